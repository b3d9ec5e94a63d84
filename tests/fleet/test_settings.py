from __future__ import annotations

import ipaddress
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from fleet.crash_settings import MIDDLEWARE_VARIABLES
from fleet.errors import SettingsError
from fleet.section import Section
from fleet.settings import Settings, load

MIDDLEWARE = Path(__file__).resolve().parents[2] / "flamegraph/rails/stoker_crashes.rb"
SETTING = re.compile(r'setting\("(\w+)"')


@pytest.fixture(autouse=True)
def nothing_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "mine.toml"


def test_without_a_file_the_defaults_hold() -> None:
    settings = load()
    assert Settings().model_dump() == settings.model_dump()
    assert ("stoker", "production", None) == (settings.fleet, settings.app, settings.redis_url)
    assert (1, 10, 10.0) == (settings.policy.min, settings.policy.max, settings.policy.target_rps)


def test_stoker_toml_of_this_folder_is_read(tmp_path: Path) -> None:
    (tmp_path / "stoker.toml").write_text('app = "web"\n')
    assert "web" == load().app


def test_a_file_that_was_named_wins_over_the_one_of_this_folder(tmp_path: Path, file: Path) -> None:
    (tmp_path / "stoker.toml").write_text('app = "web"\n')
    file.write_text('app = "shop"\n')
    assert "shop" == load(file).app


def test_the_environment_wins_over_the_file_and_the_caller_over_both(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.write_text('app = "web"\nfleet = "one"\n[policy]\nmin = 2\nmax = 5\n[life]\ntick_s = 2\n')
    monkeypatch.setenv("STOKER_APP", "shop")
    monkeypatch.setenv("STOKER_POLICY__MAX", "6")
    monkeypatch.setenv("STOKER_LIFE__TICK_S", "3")
    settings = load(file, **{"life.tick_s": 4, "fleet": "two"})
    assert ("shop", "two", 2, 6, 4.0) == (
        settings.app,
        settings.fleet,
        settings.policy.min,
        settings.policy.max,
        settings.life.tick_s,
    )


def test_lists_and_tables_come_from_the_environment_as_json(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STOKER_INSTANCE__ENV", '{"A": "1"}')
    monkeypatch.setenv("STOKER_PROXY__BACKEND_NETWORKS", '["10.0.0.0/8"]')
    settings = load()
    assert {"A": "1"} == settings.instance.env
    assert (ipaddress.ip_network("10.0.0.0/8"),) == settings.networks


def test_settings_do_not_change_after_the_load() -> None:
    settings = load()
    with pytest.raises(ValidationError):
        setattr(settings, "app", "web")  # noqa: B010  # the type checker knows it too
    with pytest.raises(ValidationError):
        setattr(settings.policy, "max", 3)  # noqa: B010  # likewise


def test_a_fleets_files_lie_in_a_folder_of_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert tmp_path / ".local/state/stoker/mine" == load(None, fleet="mine").state_path


def test_an_instance_may_lie_in_the_range_that_holds_loopback_and_private_nets() -> None:
    inside = [ipaddress.ip_address(text) for text in ("127.0.0.1", "10.0.0.1", "172.31.0.1", "192.168.1.1", "::1")]
    assert all(any(address in network for network in load().networks) for address in inside)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("polcy = 1", "polcy is not a setting; docs/settings.md lists them"),
        ("policy = 1", "policy: must be a table, was 1"),
        ("[policy]\nmaximum = 1", "policy.maximum is not a setting; docs/settings.md lists them"),
        ("[policy]\nmax = 'many'", "policy.max: input should be a valid integer, .*, was 'many'"),
        ("[policy]\nmax = 0", "policy.max: input should be greater than or equal to 1, was 0"),
        ("[policy]\nmin = 3\nmax = 2", r"policy: min must be at most max \(2\), was 3"),
        ("[policy]\nkind = 'magic'", "policy.kind: input should be 'target' or 'threshold', was 'magic'"),
        ("[policy]\nup_rps = 5\ndown_rps = 5", r"policy: down_rps must be below up_rps \(5\), was 5"),
        ("[policy]\npanic_window_s = 60", r"policy: panic_window_s must be below stable_window_s \(60\)"),
        ("[policy]\ntarget_rps = nan", "policy.target_rps: input should be a finite number, was nan"),
        ("[life]\ndrain_timeout_s = -5", "life.drain_timeout_s: input should be greater than 0, was -5"),
        ("[life]\nprobe_path = 'up'", "life.probe_path: string should match pattern .*, was 'up'"),
        ("app = 'web1'", "app: must be lower-case letters, .*, was 'web1'"),
        ("app = 'a:b'", "app: must be lower-case letters, .*, was 'a:b'"),
        ("fleet = ''", "fleet: must be lower-case letters, .*, was ''"),
        ("[actuator]\nkind = 'ansible'", "settings: actuator.inventory must name a file when actuator.kind is ansible"),
        ("[actuator]\npublish_address = '0.0.0.0'", "actuator.publish_address: must be one address .*, was '0.0.0.0'"),
        ("[actuator]\ngroup = '-x'", "actuator.group: must be a host's name, was '-x'"),
        ("[proxy]\nbackend_networks = ['169.254.0.0/16']", "proxy.backend_networks.0: must not be link-local, was .*"),
        ("[proxy]\nbackend_networks = ['10.0.0.1/8']", "proxy.backend_networks.0: .*has host bits set.*"),
        ("[proxy]\nlisten_port = 70000", "proxy.listen_port: input should be less than or equal to 65535, was 70000"),
        ("[instance]\nimage = 'a b'", "instance.image: string should match pattern .*, was 'a b'"),
        ("scaler_id = 'a:b'", "scaler_id: string should match pattern .*, was 'a:b'"),
        ("app = ", "not TOML: .*"),
    ],
)
def test_what_breaks_a_rule_is_said_in_one_line_with_file_key_rule_and_value(
    file: Path, content: str, said: str
) -> None:
    file.write_text(content)
    with pytest.raises(SettingsError, match=rf"^{file}: {said}$"):
        load(file)


def test_every_fault_has_its_line(file: Path) -> None:
    file.write_text("nonsense = 1\n[policy]\nmax = 0\n")
    with pytest.raises(SettingsError) as caught:
        load(file)
    assert 2 == len(str(caught.value).splitlines())


def test_a_file_that_is_not_there_is_said(file: Path) -> None:
    with pytest.raises(SettingsError, match=rf"^{file}: cannot be read: No such file or directory$"):
        load(file)


def test_a_file_that_is_no_text_is_said(file: Path) -> None:
    file.write_bytes(b"app = '\xff'")
    with pytest.raises(SettingsError, match=rf"^{file}: not TOML: "):
        load(file)


def test_the_variables_of_the_apps_middleware_may_be_there(monkeypatch: pytest.MonkeyPatch) -> None:
    text = MIDDLEWARE.read_text()
    read = {*re.findall(r'ENV\["(STOKER_\w+)"\]', text), *(f"STOKER_PROFILE_{name}" for name in SETTING.findall(text))}
    assert read == MIDDLEWARE_VARIABLES | {"STOKER_PROFILE_TOKEN"}
    for name in MIDDLEWARE_VARIABLES:
        monkeypatch.setenv(name, "1")
    assert Settings().model_dump() == load().model_dump()


def test_a_variable_that_is_no_setting_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STOKER_POLICY__MAXIMUM", "3")
    message = r"^environment: STOKER_POLICY__MAXIMUM is not a setting; docs/settings.md lists them$"
    with pytest.raises(SettingsError, match=message):
        load()


def test_a_variable_of_a_wrong_type_is_said_and_not_blamed_on_the_file(
    monkeypatch: pytest.MonkeyPatch, file: Path
) -> None:
    file.write_text("[policy]\nmax = 3")
    monkeypatch.setenv("STOKER_POLICY__MAX", "many")
    with pytest.raises(
        SettingsError, match=r"^environment: policy.max: input should be a valid integer, .*, was 'many'$"
    ):
        load(file)


def test_a_variable_that_should_be_json_and_is_not_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STOKER_PROXY__BACKEND_NETWORKS", "10.0.0.0/8")
    with pytest.raises(SettingsError, match=r'^environment: .*"proxy".*; lists and tables are written as JSON$'):
        load()


@pytest.mark.parametrize(
    "overrides",
    [
        {"redis_url": ["hunter2"]},
        {"instance.env": {"A": ["hunter2"]}},
        {"instance.env": ["hunter2"]},
        {"profile_token": "hunter2"},
        {"profile_token": ["hunter2"]},
    ],
)
def test_no_secret_is_shown_in_a_fault(overrides: dict[str, object]) -> None:
    with pytest.raises(SettingsError) as caught:
        load(None, **overrides)
    assert "hunter2" not in str(caught.value)


def test_the_token_of_profiles_comes_from_its_variable_or_a_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert load().token() is None
    path = tmp_path / "token"
    path.write_text("hunter2-hunter2-hunter2\n", encoding="utf-8")
    assert "hunter2-hunter2-hunter2" == load(None, profile_token_file=path).token()
    monkeypatch.setenv("STOKER_PROFILE_TOKEN", "0123456789abcdef")
    assert "0123456789abcdef" == load(None, profile_token_file=path).token()
    assert "0123456789abcdef" not in repr(load())


@pytest.mark.parametrize(
    "content", ["hunter2", "hunter2 hunter2 hunter2", "hunter2-hunter2-h\N{LATIN SMALL LETTER U WITH DIAERESIS}"]
)
def test_a_file_without_a_good_token_is_one_line_that_shows_nothing_of_it(tmp_path: Path, content: str) -> None:
    path = tmp_path / "token"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(SettingsError) as caught:
        load(None, profile_token_file=path).token()
    assert str(caught.value).startswith(f"profile_token_file: {path}")
    assert "hunter2" not in str(caught.value)


def test_a_token_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"profile_token_file: .* cannot be read: No such file or directory"):
        load(None, profile_token_file=tmp_path / "none").token()


def test_the_urls_password_is_not_in_what_settings_look_like() -> None:
    assert "hunter2" not in repr(load(None, redis_url="redis://:hunter2@h"))


@given(st.dictionaries(st.text(max_size=8), st.none() | st.booleans() | st.text(max_size=8) | st.lists(st.integers())))
def test_whatever_the_tables_hold_is_settings_or_faults_of_one_line_each(table: dict[str, object]) -> None:
    try:
        load(None, policy=table, proxy=table)
    except SettingsError as error:
        assert all(line.startswith(("policy", "proxy")) for line in str(error).split("\n"))  # noqa: PT017  # or no error


def test_every_setting_has_a_sentence() -> None:
    sections = [model.default for model in Settings.model_fields.values() if isinstance(model.default, Section)]
    fields = {name: one for section in sections for name, one in type(section).model_fields.items()}
    fields |= {name: one for name, one in Settings.model_fields.items() if not isinstance(one.default, Section)}
    assert [] == [name for name, one in fields.items() if not one.description]
