"""What is sent, and what counts as done; the answers are those of HAProxy 2.6 and 2.8."""

from __future__ import annotations

import pytest

from haproxy.commands import Command, Disable, Enable, SetAddress, SetWeight, fault

ADDRESS = SetAddress("s1", "10.0.0.1", 80)


@pytest.mark.parametrize(
    ("command", "text"),
    [
        (ADDRESS, "set server app/s1 addr 10.0.0.1 port 80"),
        (SetAddress("s1", "::1", 80), "set server app/s1 addr ::1 port 80"),
        (SetWeight("s1", 0), "set server app/s1 weight 0"),
        (Enable("s1"), "set server app/s1 state ready"),
        (Disable("s1"), "set server app/s1 state maint"),
    ],
)
def test_commands_are_these(command: Command, text: str) -> None:
    assert text == command.text


@pytest.mark.parametrize(
    ("command", "answer"),
    [
        (
            ADDRESS,
            "[4]: IP changed from '127.0.0.1' to '10.0.0.1', port changed from '1' to '80' by 'stats socket command'",
        ),
        (ADDRESS, "[4]: no need to change the addr, no need to change the port by 'stats socket command'"),
        (ADDRESS, "[4]: no need to change the addr, port changed from '1' to '80' by 'stats socket command'"),
        (Enable("s1"), ""),
        (Disable("s1"), "\n"),
        (SetWeight("s1", 3), ""),
    ],
)
def test_it_was_done(command: Command, answer: str) -> None:
    assert fault(command, answer) is None


@pytest.mark.parametrize(
    ("command", "answer", "said"),
    [
        (Enable("s1"), "[3]: No such server.", "set server app/s1 state ready: No such server."),
        (Enable("s1"), "[3]: Proxy is disabled.", "set server app/s1 state ready: Proxy is disabled."),
        (ADDRESS, "[3]: Invalid addr 'x'", "set server app/s1 addr 10.0.0.1 port 80: Invalid addr 'x'"),
        (ADDRESS, "", "set server app/s1 addr 10.0.0.1 port 80: no answer"),
        (ADDRESS, "[6]: hello", "set server app/s1 addr 10.0.0.1 port 80: hello"),
        (Disable("s1"), "Permission denied", "set server app/s1 state maint: Permission denied"),
        (SetWeight("s1", 1), "[4]: something new", "set server app/s1 weight 1: something new"),
    ],
)
def test_an_error_or_an_unknown_answer_is_not_done(command: Command, answer: str, said: str) -> None:
    assert said == fault(command, answer)
