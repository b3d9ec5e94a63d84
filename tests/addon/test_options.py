from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from mitmproxy import exceptions
from mitmproxy.addons import dumper, proxyserver
from mitmproxy.test import taddons

from addon.options import NEEDED, OPTIONS, Configuration
from fleet.settings import load

if TYPE_CHECKING:
    from pathlib import Path

MODE = {"mode": ["reverse:http://stoker@127.0.0.1:8081"]}


def configured(**options: object) -> tuple[Configuration, taddons.context]:
    """A configuration that has read these options, and mitmproxy's around it."""
    configuration = Configuration()
    context = taddons.context(loadcore=True)
    context.master.addons.add(proxyserver.Proxyserver(), dumper.Dumper())
    if "onboarding" not in context.options:
        context.options.add_option("onboarding", bool, True, "")
        context.options.add_option("block_global", bool, True, "")
    context.master.addons.register(configuration)
    context.options.update(**MODE | options)
    configuration.configure(context.options.keys())
    return configuration, context


@pytest.fixture(autouse=True)
def _nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


async def test_the_options_a_reverse_proxy_needs_are_set() -> None:
    _, context = configured()
    assert {name: getattr(context.options, name) for name in NEEDED} == NEEDED


@pytest.mark.parametrize(("option", "value"), [("keep_host_header", False), ("flow_detail", 3), ("block_global", True)])
async def test_a_value_that_the_user_set_stays(option: str, value: object) -> None:
    _, context = configured(**{option: value})
    assert getattr(context.options, option) == value


async def test_options_win_over_the_environment_and_that_over_the_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "own.toml").write_text('app = "filed"\nfleet = "filed"\n[proxy]\nhold_max = 7\nid = "filed"\n')
    monkeypatch.setenv("STOKER_APP", "env")
    monkeypatch.setenv("STOKER_FLEET", "env")
    configuration, _ = configured(stoker_config=str(tmp_path / "own.toml"), stoker_app="option")
    settings = configuration.settings
    assert ("option", "env", 7) == (settings.app, settings.fleet, settings.proxy.hold_max)
    assert configuration.plane.id == "filed"


async def test_the_default_id_names_kind_host_and_port() -> None:
    configuration, _ = configured()
    assert configuration.plane.id.startswith("mitmproxy-")
    assert configuration.plane.id.endswith("-8081")


@pytest.mark.parametrize(
    "mode", ["regular", "upstream:http://other", "socks5", "transparent", "reverse:https://a", "reverse:tcp://a:1"]
)
async def test_another_mode_is_refused_and_nothing_listens(mode: str, caplog: pytest.LogCaptureFixture) -> None:
    configuration = Configuration()
    with taddons.context(loadcore=True) as context:
        context.master.addons.add(proxyserver.Proxyserver())
        context.master.addons.register(configuration)
        context.options._options["mode"].value = [mode]
        configuration.configure(context.options.keys())
        assert not configuration.ready
        assert context.options.server is False
    assert f"stoker: mode must be reverse:http://stoker, was '{mode}'" in caplog.text


@pytest.mark.parametrize(
    "url", ["redis://:hunter2@h/0", "redis://u:hunter2@h/0", "redis+sentinel://h/m?sentinel_password=hunter2"]
)
async def test_a_password_in_the_arguments_is_refused_without_showing_it(
    url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("sys.argv", ["mitmdump", "--set", f"stoker_redis={url}"])
    configuration, _ = configured(stoker_redis=url)
    assert not configuration.ready
    assert "stoker_redis must not hold a password" in caplog.text
    assert "hunter2" not in caplog.text


async def test_a_fault_is_one_line_with_key_rule_and_value(caplog: pytest.LogCaptureFixture) -> None:
    configuration, _ = configured(stoker_hold_max="-1")
    assert not configuration.ready
    ours = [record.getMessage() for record in caplog.records if record.name == "addon.options"]
    lines = [line for text in ours for line in text.splitlines()]
    assert lines == ["stoker: proxy.hold_max: input should be greater than or equal to 0, was '-1'"]


async def test_what_was_read_at_the_start_does_not_change() -> None:
    configuration, context = configured()
    plane = configuration.plane
    with pytest.raises(exceptions.OptionsError, match="stoker_fleet cannot be changed while the proxy runs"):
        configuration.configure({"stoker_fleet"})
    configuration.configure({"anticache"})
    assert configuration.plane is plane
    assert context.options.stoker_fleet is None


async def test_every_option_stands_over_a_setting() -> None:
    settings = load(None)
    for _, setting, sentence in OPTIONS:
        assert sentence.endswith(".")
        table, _, key = setting.rpartition(".")
        assert not setting or hasattr(getattr(settings, table) if table else settings, key)
