from __future__ import annotations

import io
import json
import logging
from typing import TYPE_CHECKING

import pytest
import structlog
from pydantic import SecretStr

from fleet import log

if TYPE_CHECKING:
    from collections.abc import Iterator


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    handlers, level = logging.root.handlers[:], logging.root.level
    yield
    structlog.reset_defaults()
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)


def test_anywhere_but_on_a_terminal_a_line_is_a_json_object() -> None:
    stream = io.StringIO()
    log.configure(stream=stream)
    structlog.get_logger().info("started", app="production", count=3)
    line = json.loads(stream.getvalue())
    assert ("started", "info", "production", 3) == (line["event"], line["level"], line["app"], line["count"])
    assert line["timestamp"].endswith("Z")
    assert 1 == stream.getvalue().count("\n")


def test_on_a_terminal_a_line_is_key_and_value() -> None:
    stream = Terminal()
    log.configure(stream=stream)
    structlog.get_logger().warning("order ignored", reason="no\nsuch order")
    assert stream.getvalue().endswith(' level=warning event="order ignored" reason="no\\nsuch order"\n')
    assert 1 == stream.getvalue().count("\n")


@pytest.mark.parametrize("stream", [io.StringIO, Terminal])
def test_what_the_standard_logging_is_told_has_the_same_form(stream: type[io.StringIO]) -> None:
    out = stream()
    log.configure(stream=out)
    logging.getLogger("fleet.store").warning("lost %s", "redis://user:hunter2@h")
    logging.getLogger("library").info("chatter")
    assert "lost redis://***@h" in out.getvalue()
    assert "warning" in out.getvalue()
    assert 1 == out.getvalue().count("\n")


def test_below_the_level_nothing_is_said() -> None:
    stream = io.StringIO()
    log.configure(stream=stream)
    structlog.get_logger().debug("probe")
    assert "" == stream.getvalue()


@pytest.mark.parametrize(
    "fields",
    [
        {"password": "hunter2"},
        {"redis_password": "hunter2"},
        {"url": "redis://:hunter2@h:6379/0"},
        {"url": "redis://user:hunt/er2@h"},
        {"reason": "cannot reach redis://user:hunter2@h now"},
        {"error": ValueError("redis://user:hunter2@h")},
        {"url": SecretStr("hunter2")},
        {"settings": {"api_key": "hunter2", "urls": ["http://a:hunter2@h", ("http://a:hunter2@h",)]}},
        {"env": {"DATABASE": "hunter2"}},
        {"headers": {"Cookie": "hunter2", "authorization": "hunter2"}},
    ],
)
@pytest.mark.parametrize("stream", [io.StringIO, Terminal])
def test_no_secret_reaches_a_log(fields: dict[str, object], stream: type[io.StringIO]) -> None:
    out = stream()
    log.configure(stream=out)
    structlog.get_logger().info("seen", **fields)
    assert "hunt" not in out.getvalue()
    assert "***" in out.getvalue()


def test_what_went_wrong_is_logged_without_secrets() -> None:
    stream = io.StringIO()
    log.configure(stream=stream)
    try:
        int("redis://user:hunter2@h")
    except ValueError:
        structlog.get_logger().exception("failed")
    assert "hunter2" not in stream.getvalue()
    assert "redis://***@h" in json.loads(stream.getvalue())["exception"]
