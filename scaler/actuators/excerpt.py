"""Foreign text made fit for an event: the last lines of an output, without secrets and control characters."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

LINES = 20
LINE_LENGTH = 300
SHORTEST_SECRET = 4  # a shorter value is no secret, and hiding every "1" would make the text unreadable

_CONTROL = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|[^\t -~\u00a0-\U0010ffff]")


def scrub(text: str, secrets: Iterable[str]) -> str:
    """The text with each secret of four characters or more replaced, the longest first."""
    pieces = {piece for secret in secrets for piece in [secret, *secret.splitlines()]}
    for piece in sorted((piece for piece in pieces if len(piece) >= SHORTEST_SECRET), key=len, reverse=True):
        text = text.replace(piece, "[hidden]")
    return text


def last_lines(output: bytes, secrets: Iterable[str]) -> tuple[str, ...]:
    """The last 20 lines of a log, printable and cut to 300 characters each."""
    lines = scrub(output.decode("utf-8", "replace"), secrets).splitlines()
    shown = [_CONTROL.sub("", line).rstrip()[:LINE_LENGTH] for line in lines if line.strip()]
    return tuple(shown[-LINES:])


def one_line(text: str, secrets: Iterable[str] = ()) -> str:
    """A foreign message as one printable line of 300 characters at most."""
    return " ".join(_CONTROL.sub(" ", scrub(text, secrets)).split())[:LINE_LENGTH]
