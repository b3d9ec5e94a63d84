"""The `raw` array of a stackprof dump: entries of (depth, one id for each frame, count), most of them repeated.

Out of Marshal the entries are told apart by their undecoded bytes, and only the different ones are ever decoded:
some hundreds of a typical dump's ten thousand.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import repeat
from struct import Struct
from typing import Final

from flamegraph.readers.marshal import small

# An id that is an address: `l`, `+`, a length of three shorts, six bytes.
ADDRESS_SIZE: Final = 9
ADDRESS_HEAD: Final = (b"l", b"+", b"\x08")
# Positive integers of every other width, which ids of old versions and of GC's frames have.
INTEGER: Final = rb"(?:l\+\x08.{6}|i[\x00\x05-\x7f]|i\x01.|i\x02..|i\x03...|i\x04....|l\+\x07.{4}|l\+\x09.{8})"
FIXNUM: Final = ord("i")
# Up to so many integers are stepped over sooner than a pattern is made for their number.
FEW: Final = 64
TWO: Final = b"[\x07"
ONE_INTEGER: Final = re.compile(INTEGER, re.DOTALL)


@dataclass(frozen=True, slots=True)
class Entries:
    """`order[i]` and `counts[i]` are the stack of entry i and its samples; `problem` says where reading stopped."""

    order: Sequence[int]
    counts: Sequence[int]
    problem: str = ""


@dataclass(frozen=True, slots=True)
class PackedEntries:
    """Entries whose stacks are still bytes of Marshal, each a depth, or 0 where not all are addresses, and its ids."""

    keys: Sequence[tuple[int, bytes]]
    order: Sequence[int]
    counts: Sequence[int]

    def stacks(self, index_of: Mapping[int, int], unknown: int) -> list[tuple[int, ...]]:
        """Decode the different stacks, each id to its place in `index_of`.

        Neighbours begin alike, as requests go through the same middleware, so only where they part is decoded.
        """
        by_address = {key.to_bytes(6, "little"): index for key, index in index_of.items() if 0 <= key < 1 << 48}
        found: list[tuple[int, ...]] = []
        above: bytes = b""
        stack: tuple[int, ...] = ()
        for depth, key in self.keys:
            if depth:
                same = _common(key, above)
                rest = _addresses(depth - same).unpack_from(key, same * ADDRESS_SIZE)
                stack = stack[:same] + tuple(map(by_address.get, rest, repeat(unknown)))
                above = key
                found.append(stack)
            else:
                found.append(tuple([index_of.get(decode_integer(each), unknown) for each in ONE_INTEGER.findall(key)]))
        return found


def _common(key: bytes, other: bytes) -> int:
    """How many addresses two stacks begin with in common."""
    low, high = 0, min(len(key), len(other)) // ADDRESS_SIZE
    while low < high:
        middle = (low + high + 1) // 2
        if key.startswith(other[: middle * ADDRESS_SIZE]):
            low = middle
        else:
            high = middle - 1
    return low


@dataclass(frozen=True, slots=True)
class PackedIntegers:
    """An array of integers that nobody may ask for, still as bytes of Marshal."""

    raw: bytes
    count: int

    def decoded(self) -> Sequence[int]:
        """The integers; bignums of one width, as nearly all timestamps are, without a step for each."""
        width = _bignum_width(self.raw, self.count)
        if not width:
            return [decode_integer(each) for each in ONE_INTEGER.findall(self.raw)]
        wide = bytearray(8 * self.count)
        for place in range(3, width):
            wide[place - 3 :: 8] = self.raw[place::width]
        return array("Q", bytes(wide))


def _bignum_width(raw: bytes, count: int) -> int:
    """How many bytes each integer takes, where all are positive bignums of one width, or 0."""
    width = len(raw) // count if count else 0
    if width not in (7, 9, 11) or width * count != len(raw):
        return 0
    head = (b"l", b"+", bytes([(width - 3) // 2 + 5]))
    return width if all(raw[place::width] == each * count for place, each in enumerate(head)) else 0


def is_addresses(key: bytes, count: int) -> bool:
    """Whether the bytes are `count` addresses and nothing else."""
    return all(key[place::ADDRESS_SIZE] == head * count for place, head in enumerate(ADDRESS_HEAD))


@lru_cache(maxsize=4096)
def _addresses(count: int) -> Struct:
    return Struct("3x6s" * count)


@lru_cache(maxsize=4096)
def integers(count: int) -> re.Pattern[bytes]:
    """The pattern of `count` integers, matched without going back."""
    return re.compile(INTEGER + b"{%d}+" % count, re.DOTALL)


def decode_integer(raw: bytes) -> int:
    """The value of one match of INTEGER."""
    if raw[:1] == b"l":
        return int.from_bytes(raw[3:], "little")
    if len(raw) > 2:
        return int.from_bytes(raw[2:], "little")
    return max(raw[1] - 5, 0)


class _Different:
    """The different entries so far, found again by their bytes."""

    def __init__(self) -> None:
        self.keys: list[tuple[int, bytes]] = []
        self.numbered: list[int] = []
        self.addresses: dict[bytes, int] = {}
        self.mixed: dict[bytes, int] = {}

    def add(self, data: bytes, pos: int, depth: int) -> int:
        """The index of the stack of `depth` frames at `pos`, whose addresses were not met before; -1 if unsound."""
        key = data[pos : pos + depth * ADDRESS_SIZE]
        if len(key) == depth * ADDRESS_SIZE and is_addresses(key, depth):
            self.addresses[key] = len(self.keys)
            return self.append((depth, key), depth)
        end = skip(data, pos, depth)
        if not end:
            return -1
        key = data[pos:end]
        index = self.mixed.get(key)
        if index is None:
            index = self.mixed[key] = self.append((0, key), count_bignums(key))
        return index

    def append(self, key: tuple[int, bytes], numbered: int) -> int:
        """The index of a new stack."""
        self.keys.append(key)
        self.numbered.append(numbered)
        return len(self.keys) - 1


def count_bignums(raw: bytes) -> int:
    """How many of the integers are numbered objects of Marshal."""
    return sum([each[:1] == b"l" for each in ONE_INTEGER.findall(raw)]) if b"l+" in raw else 0


def read_entries(data: bytes, pos: int, length: int) -> tuple[PackedEntries, int, int] | None:
    """Read the array of `length` integers at `pos`: entries, the position after them, how many were numbered objects.

    None where anything is unusual; the plain walker reads it then, and says what is wrong.
    """
    different = _Different()
    known, keys = different.addresses.get, different.keys
    order: list[int] = []
    counts: list[int] = []
    while length > 0 and data[pos] == FIXNUM:
        depth, pos = small(data, pos + 1)
        length -= depth + 2
        if not pos or length < 0:
            return None
        index = known(data[pos : pos + depth * ADDRESS_SIZE])
        if index is None:
            index = different.add(data, pos, depth)
            if index < 0:
                return None
        pos += len(keys[index][1])
        if data[pos] != FIXNUM:
            return None
        count, pos = small(data, pos + 1)
        if not pos or not count:
            return None
        order.append(index)
        counts.append(count)
    if length:
        return None
    objects = sum(map(different.numbered.__getitem__, order))
    return PackedEntries(keys, order, counts), pos, objects


def read_integers(data: bytes, pos: int, length: int) -> tuple[PackedIntegers, int, int] | None:
    """Skip over an array of integers, keeping its bytes; the same contract as `read_entries`."""
    width = 2 * data[pos + 2] - 7
    raw = data[pos : pos + width * length]
    if length > FEW and _bignum_width(raw, length) == width:
        return PackedIntegers(raw, length), pos + len(raw), length
    end = skip(data, pos, length)
    if not end or end > len(data):
        return None
    raw = data[pos:end]
    return PackedIntegers(raw, length), end, count_bignums(raw)


def read_edges(data: bytes, pos: int, pairs: int) -> tuple[PackedIntegers, int, int] | None:
    """Skip over a hash of integers to integers; the same contract as `read_entries`."""
    return read_integers(data, pos, 2 * pairs)


def skip_lines(data: bytes, pos: int, pairs: int) -> tuple[None, int, int] | None:
    """Skip over a hash of a line's number to two counts, which nobody asks for; as `read_entries`."""
    for _ in range(pairs):
        pos = skip(data, pos, 1)
        if not pos or data[pos : pos + 2] != TWO:
            return None
        pos = skip(data, pos + 2, 2)
        if not pos:
            return None
    return None, pos, pairs


def skip(data: bytes, pos: int, count: int) -> int:
    """The position after some integers, or 0 where something else stands among them."""
    if count > FEW:
        found = integers(count).match(data, pos)
        return found.end() if found else 0
    for _ in range(count):
        size = data[pos + 1]
        if data[pos] == FIXNUM and (size < 128):
            pos += 2 if size > 4 else 2 + size
        elif data[pos : pos + 2] == b"l+" and 6 < data[pos + 2] < 10:
            pos += 2 * data[pos + 2] - 7
        else:
            return 0
    return pos


def entries_of(raw: Sequence[object]) -> tuple[list[tuple[object, ...]], Entries]:
    """Read entries from a plain array, up to the first that is not sound; the stacks are of ids."""
    index: dict[tuple[object, ...], int] = {}
    order: list[int] = []
    counts: list[int] = []
    at, problem = 0, ""
    while at < len(raw) and not problem:
        depth = raw[at]
        end = at + depth + 1 if isinstance(depth, int) and depth >= 0 else len(raw)
        count = raw[end] if end < len(raw) else None
        if isinstance(count, int) and count > 0:
            ids = tuple([each if isinstance(each, int | str) else None for each in raw[at + 1 : end]])
            order.append(index.setdefault(ids, len(index)))
            counts.append(count)
            at = end + 1
        else:
            problem = f"raw is not sound from its element {at} on: what follows is left out"
    return list(index), Entries(order, counts, problem)
