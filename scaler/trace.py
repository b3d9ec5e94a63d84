"""Every event and step as JSON lines: written by the live world, replayed through the same machine later.

The first line of each file holds the policy and the state at that point, so that each file can be replayed alone.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache, partial
from io import FileIO
from math import inf
from typing import TYPE_CHECKING, Any, get_args

import structlog
from pydantic import TypeAdapter
from pydantic_core import PydanticSerializationError

from scaler.machine import step
from scaler.messages import Effect, Event
from scaler.state import Policy, State
from scaler.turn import Step

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


VERSION = 1
RETRY_S = 10.0

log = structlog.get_logger()
EVENTS = {kind.__name__: kind for kind in get_args(Event)}


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:  # noqa: ANN401  # any of our dataclasses
    return TypeAdapter(kind)


def to_json(value: Event | Effect) -> dict[str, Any]:
    """One event or effect under its name, as plain data."""
    kind: Any = type(value)
    return {kind.__name__: _adapter(kind).dump_python(value, mode="json")}


def _text(value: Event | Effect) -> bytes:
    """The same as text, without the plain data on the way: a tick holds every proxy's counters."""
    kind: Any = type(value)
    try:
        return b'{"%b":%b}' % (kind.__name__.encode(), _adapter(kind).dump_json(value))
    except PydanticSerializationError:  # a lone surrogate, such as a file's name in an error may hold
        return json.dumps(to_json(value)).encode()


def event_from_json(data: dict[str, Any]) -> Event:
    """The event that `to_json` wrote. Raises ValueError for an unknown name or wrong fields."""
    [(name, fields)] = data.items()
    if name not in EVENTS:
        raise ValueError(f"unknown event {name!r}")
    event: Event = _adapter(EVENTS[name]).validate_python(fields)
    return event


class TraceFile:
    """A trace on disk; past `limit` bytes, and at a restart, it is kept as `<name>.1` and a new one begins.

    Where it cannot be written, such as on a full disk, the scaler goes on without: what was begun of a line is taken
    back, and a new file begins when there is room again. Raises OSError where its folder cannot be made.
    """

    def __init__(self, path: Path, policy: Policy, state: State, limit: int) -> None:
        self.path = path
        self._policy = policy
        self._limit = limit
        self._state = state
        self._file: FileIO | None = None
        self._size = 0
        self._faulty = False
        self._try_at = -inf
        path.parent.mkdir(parents=True, exist_ok=True)
        self._attempt(self._begin)

    def __call__(self, event: Event, taken: Step) -> None:
        """Write one line; the next file begins before it where this one is full, or where the last try failed."""
        if self._file is None and event.now >= self._try_at:
            self._try_at = event.now + RETRY_S
            self._attempt(self._begin)
        elif self._file is not None and self._size >= self._limit:
            self._attempt(self._begin)
        if self._file is not None:
            effects, notes = b",".join(map(_text, taken.effects)), json.dumps(taken.notes).encode()
            line = b'{"event":%b,"effects":[%b],"notes":%b}\n' % (_text(event), effects, notes)
            self._attempt(partial(self._write, line))
        self._state = taken.state

    def close(self) -> None:
        """End the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _attempt(self, write: Callable[[], None]) -> None:
        """Say once that it cannot be written, and once that it can be again."""
        try:
            write()
        except OSError as error:
            self.close()
            if not self._faulty:
                log.warning("not traced until there is room", file=str(self.path), reason=str(error))
            self._faulty = True
        else:
            if self._faulty:
                log.info("traced again", file=str(self.path))
            self._faulty = False

    def _write(self, line: bytes) -> None:
        if self._file is None:
            return
        written = 0
        try:
            while written < len(line):  # a disk may take a part, and then no more
                written += self._file.write(memoryview(line)[written:])
        except OSError:
            self._file.truncate(self._size)
            raise
        self._size += written

    def _begin(self) -> None:
        """Begin a file; the one before it makes way only when the head of the new one is written."""
        self.close()
        head = {
            "trace": VERSION,
            "policy": _adapter(Policy).dump_python(self._policy, mode="json"),
            "state": _adapter(State).dump_python(self._state, mode="json"),
        }
        begun = self.path.with_name(self.path.name + ".new")
        self._file, self._size = FileIO(begun, "w"), 0
        try:
            self._write(json.dumps(head, separators=(",", ":")).encode() + b"\n")
            if self.path.exists():
                self.path.replace(self.path.with_name(self.path.name + ".1"))
            begun.replace(self.path)
        except OSError:
            begun.unlink(missing_ok=True)
            raise


@dataclass(frozen=True, slots=True)
class Replayed:
    """One line of a trace taken again. `differs` says what came out otherwise than recorded, "" for nothing."""

    line: int
    event: Event
    taken: Step
    differs: str


def replay(path: Path) -> Iterator[Replayed]:
    """Take every event of a trace through the machine again and compare effects and notes with the record.

    Raises ValueError, with file and line, where the file is not a trace. A last line that was cut is left out.
    """
    with path.open(encoding="utf-8") as lines:
        policy, state = _head(path, lines.readline())
        for number, line in enumerate(lines, start=2):
            if not line.endswith("\n"):
                return
            try:
                record = json.loads(line)
                event = event_from_json(record["event"])
            except (ValueError, KeyError, TypeError) as error:
                raise ValueError(f"{path}:{number}: not a line of a trace: {str(error).splitlines()[0]}") from error
            taken = step(policy, state, event)
            state = taken.state
            yield Replayed(number, event, taken, _difference(record, taken))


def _head(path: Path, line: str) -> tuple[Policy, State]:
    try:
        head = json.loads(line)
        version, policy, state = head["trace"], head["policy"], head["state"]
        found = _adapter(Policy).validate_python(policy), _adapter(State).validate_python(state)
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path}:1: not the head of a trace: {str(error).splitlines()[0]}") from error
    if version != VERSION:
        raise ValueError(f"{path}:1: a trace of version {version}; this Stoker reads {VERSION}")
    return found


def _difference(record: dict[str, Any], taken: Step) -> str:
    effects = json.loads(json.dumps([to_json(effect) for effect in taken.effects]))
    if effects != record["effects"]:
        return f"effects were {record['effects']}, are {effects}"
    if list(taken.notes) != record["notes"]:
        return f"notes were {record['notes']}, are {list(taken.notes)}"
    return ""
