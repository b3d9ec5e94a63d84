"""`stoker replay`: what this version would have decided on recorded events, and where that differs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scaler.trace import replay
from stoker.errors import CommandError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SHOWN = 20


def tell_replay(path: Path, say: Callable[[str], None]) -> bool:
    """Tell the differences, at most 20 of them; whether there were none. Raises CommandError where it is no trace."""
    events = differing = 0
    try:
        for replayed in replay(path):
            events += 1
            differing += bool(replayed.differs)
            if replayed.differs and differing <= SHOWN:
                say(f"{path}:{replayed.line}: {type(replayed.event).__name__}: {replayed.differs}")
    except OSError as error:
        raise CommandError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise CommandError(f"{path}: must be a trace, is no text") from error
    except ValueError as error:
        raise CommandError(str(error)) from error
    say(f"{events} events, {differing} decided otherwise than recorded")
    return not differing
