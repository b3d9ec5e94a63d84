from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from scaler.actuators.excerpt import LINES, last_lines, one_line, scrub


def test_the_last_twenty_lines_are_kept() -> None:
    output = "\n".join(f"line {n}" for n in range(100)).encode()
    assert last_lines(output, ()) == tuple(f"line {n}" for n in range(80, 100))


def test_control_characters_and_colours_go() -> None:
    assert last_lines(b"\x1b[31mred\x1b[0m\r\n\x00\x07bell\xff\n\n", ()) == ("red", "bell\ufffd")


def test_long_lines_are_cut() -> None:
    assert last_lines(b"x" * 1000, ()) == ("x" * 300,)


def test_secrets_are_hidden_the_longest_first() -> None:
    assert scrub("user=hunter2 key=hunter2000", ["hunter2", "hunter2000"]) == "user=[hidden] key=[hidden]"


def test_a_secret_of_several_lines_is_hidden_line_by_line_too() -> None:
    assert last_lines(b"begin\nKEY-1\nKEY-2\nx KEY-2\n", ["KEY-1\nKEY-2"]) == ("begin", "[hidden]", "x [hidden]")


def test_values_too_short_for_secrets_hide_nothing() -> None:
    assert scrub("port 1 of 10", ["1", "", "10"]) == "port 1 of 10"


def test_a_message_becomes_one_line() -> None:
    assert one_line("a\n  b\tc\x1b[0m\n", ["none"]) == "a b c"


@given(st.binary(max_size=2000), st.lists(st.text(min_size=4, max_size=9), max_size=4))
def test_any_output_is_few_printable_lines_without_secrets(output: bytes, secrets: list[str]) -> None:
    lines = last_lines(output, secrets)
    assert len(lines) <= LINES
    assert all(len(line) <= 300 and "\x1b" not in line and "\0" not in line for line in lines)
    plain = [secret for secret in secrets if secret.isalnum() and secret not in "[hidden]"]
    assert not [secret for secret in plain for line in lines if secret in line]
