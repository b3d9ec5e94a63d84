"""Writes Ruby's Marshal out of Python values, as Ruby does, for tests that want a dump of their own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from flamegraph.profile import ProfileError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


@dataclass(frozen=True, slots=True)
class Symbol:
    """A symbol, where a str is a String."""

    name: str


def fixnum(value: int) -> bytes:
    if value == 0:
        return b"\0"
    if 0 < value < 123:
        return bytes([value + 5])
    if -124 < value < 0:
        return bytes([value + 251])
    size = next(size for size in range(1, 5) if -(1 << 8 * size) <= value < 1 << 8 * size)
    return bytes([size if value > 0 else 256 - size]) + (value % (1 << 8 * size)).to_bytes(size, "little")


def integer(value: int) -> bytes:
    if -(1 << 30) <= value < 1 << 30:
        return b"i" + fixnum(value)
    shorts = -(-abs(value).bit_length() // 16)
    return b"l" + (b"-" if value < 0 else b"+") + fixnum(shorts) + abs(value).to_bytes(2 * shorts, "little")


def dump(value: object) -> bytes:
    """A whole dump: the version, then the value; symbols are written in full each time, which Ruby reads too."""
    return b"\x04\x08" + write(value)


def write(value: object) -> bytes:
    """One value, without the version."""
    return WRITERS[type(value)](value)


def _float(value: float) -> bytes:
    return b"f" + _counted(repr(value).encode())


def _symbol(value: Symbol) -> bytes:
    return b":" + _counted(value.name.encode())


def _string(value: str) -> bytes:
    return b'I"' + _counted(value.encode()) + fixnum(1) + write(Symbol("E")) + b"T"


def _array(value: list[object]) -> bytes:
    return b"[" + fixnum(len(value)) + b"".join(map(write, value))


def _hash(value: dict[object, object]) -> bytes:
    return b"{" + fixnum(len(value)) + b"".join(write(each) for pair in value.items() for each in pair)


def _counted(raw: bytes) -> bytes:
    return fixnum(len(raw)) + raw


WRITERS: dict[type, Callable[[Any], bytes]] = {
    type(None): lambda _: b"0",
    bool: lambda value: b"T" if value else b"F",
    int: integer,
    float: _float,
    Symbol: _symbol,
    str: _string,
    bytes: lambda value: b'"' + _counted(value),
    list: _array,
    dict: _hash,
}


def profile(raw: Sequence[object] | None, frames: dict[int, object], **more: object) -> bytes:
    """A dump of stackprof's with these frames and this raw array."""
    table: dict[object, object] = {Symbol("version"): 1.2, Symbol("mode"): Symbol("wall"), Symbol("interval"): 1000}
    table |= {Symbol("samples"): 3, Symbol("gc_samples"): 0, Symbol("missed_samples"): 0}
    table[Symbol("frames")] = frames
    if raw is not None:
        table[Symbol("raw")] = list(raw)
    return dump(table | {Symbol(key): value for key, value in more.items()})


def frame(name: str, file: str = "app.rb", line: int = 1) -> dict[object, object]:
    return {Symbol("name"): name, Symbol("file"): file, Symbol("line"): line}


def read_or_refused(read: Callable[[bytes], object], data: bytes) -> None:
    """Fail unless the bytes are read, or refused as no sound profile in one line."""
    said = ""
    try:
        read(data)
    except ProfileError as error:
        said = str(error) or "\n"
    assert len(said.split("\n")) == 1
