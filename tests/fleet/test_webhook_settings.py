from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fleet.errors import SettingsError
from fleet.settings import load
from fleet.webhook_settings import KINDS, SECRET_RULE

if TYPE_CHECKING:
    from pathlib import Path

URL, SECRET = "https://hooks.example.org/T0/private-part", "0123456789abcdef"
URL_RULE = "must be an http:// or https:// url without user, password and fragment"


@pytest.fixture(autouse=True)
def no_settings_from_outside(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)


def refusal(**values: object) -> str:
    with pytest.raises(SettingsError) as error:
        load(None, **{f"webhooks.{key}": value for key, value in values.items()})
    return str(error.value)


def test_nothing_is_sent_by_default() -> None:
    assert (None, KINDS) == (load().webhooks.url, load().webhooks.kinds)


def test_the_secret_comes_from_the_environment_or_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text(f"{SECRET}-file\n")
    assert f"{SECRET}-file".encode() == load(None, **{"webhooks.secret_file": file}).webhooks.key()
    monkeypatch.setenv("STOKER_WEBHOOKS__URL", URL)
    monkeypatch.setenv("STOKER_WEBHOOKS__SECRET", SECRET)
    assert SECRET.encode() == load().webhooks.key()


def test_neither_url_nor_secret_are_ever_shown() -> None:
    settings = load(None, **{"webhooks.url": URL, "webhooks.secret": SECRET})
    shown = repr(settings) + settings.model_dump_json()
    assert (False, False) == ("private-part" in shown, SECRET in shown)


@pytest.mark.parametrize(
    "url",
    [
        "ftp://a.example",
        "https://",
        "https://user:pw@a.example",
        "https://a.example/#x",
        "http://a.example:99999",
        "http://[::1",
        "https://a.example/\n",
        "https://a.example/a b",
        "mailto:a",
        "",
    ],
)
def test_a_wrong_url_is_refused_without_being_shown(url: str) -> None:
    assert f"webhooks.url: {URL_RULE}" == refusal(url=url, secret=SECRET)


@pytest.mark.parametrize("secret", ["short", "with spaces in between", "0123456789abcdé", "x" * 201])
def test_a_weak_secret_is_refused_without_being_shown(secret: str) -> None:
    assert f"webhooks.secret: {SECRET_RULE}" == refusal(url=URL, secret=secret)


def test_messages_are_always_signed() -> None:
    assert "webhooks: url needs secret or secret_file: messages are always signed" == refusal(url=URL)


def test_an_unknown_kind_is_refused() -> None:
    assert refusal(kinds=["at-max", "coffee"]).startswith("webhooks.kinds.1: input should be 'at-max', 'canary-cut'")


def test_a_secret_file_that_cannot_be_had_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as missing:
        load(None, **{"webhooks.secret_file": tmp_path / "none"}).webhooks.key()
    assert f"webhooks.secret_file: {tmp_path / 'none'} cannot be read: No such file or directory" == str(missing.value)
    file = tmp_path / "weak"
    file.write_text("hunter2")
    with pytest.raises(SettingsError) as weak:
        load(None, **{"webhooks.secret_file": file}).webhooks.key()
    assert f"webhooks.secret_file: {file}: {SECRET_RULE}" == str(weak.value)
