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

# An id that is an address: `l`, `+`, a length of three shorts, six bytes.
ADDRESS_SIZE: Final = 9
ADDRESS_HEAD: Final = (b"l", b"+", b"\x08")
# Positive integers of every other width, which ids of old versions and of GC's frames have.
INTEGER: Final = rb"(?:l\+\x08.{6}|i[\x00\x05-\x7f]|i\x01.|i\x02..|i\x03...|i\x04....|l\+\x07.{4}|l\+\x09.{8})"
FIXNUM: Final = ord("i")
ONE_INTEGER: Final = re.compile(INTEGER, re.DOTALL)


@dataclass(frozen=True, slots=True)
class Entries:
    """`order[i]` and `counts[i]` are the stack of entry i and its samples; `problem` says where reading stopped."""

    order: Sequence[int]
    counts: Sequence[int]
    problem: str = ""


@dataclass(frozen=True, slots=True)
class PackedEntries:
    """Entries whose stacks are still bytes of Marshal, each a depth and that many integers."""

    keys: Sequence[tuple[int, bytes]]
    order: Sequence[int]
    counts: Sequence[int]

    def stacks(self, index_of: Mapping[int, int], unknown: int) -> list[tuple[int, ...]]:
        """Decode the different stacks, each id to its place in `index_of`."""
        by_address = {key.to_bytes(6, "little"): index for key, index in index_of.items() if 0 <= key < 1 << 48}
        found = []
        for depth, key in self.keys:
            if len(key) == depth * ADDRESS_SIZE and is_addresses(key, depth):
                found.append(tuple(map(by_address.get, _addresses(depth).unpack(key), repeat(unknown))))
            else:
                ids = map(decode_integer, ONE_INTEGER.findall(key))
                found.append(tuple([index_of.get(each, unknown) for each in ids]))
        return found


@dataclass(frozen=True, slots=True)
class PackedIntegers:
    """An array of integers that nobody may ask for, still as bytes of Marshal."""

    raw: bytes
    count: int

    def decoded(self) -> Sequence[int]:
        """The integers; those of one width, as nearly all timestamps are, without a step for each."""
        size = ADDRESS_SIZE
        if len(self.raw) != size * self.count or not is_addresses(self.raw, self.count):
            return [decode_integer(each) for each in ONE_INTEGER.findall(self.raw)]
        wide = bytearray(8 * self.count)
        for place in range(6):
            wide[place::8] = self.raw[3 + place :: size]
        return array("Q", bytes(wide))


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


def _small(data: bytes, pos: int) -> tuple[int, int]:
    """A non-negative Fixnum at `pos` and the position after it; -1 where something else stands."""
    if data[pos] != FIXNUM:
        return -1, pos
    size = data[pos + 1]
    if 4 < size < 128:
        return size - 5, pos + 2
    if size > 4:
        return -1, pos
    end = pos + 2 + size
    return int.from_bytes(data[pos + 2 : end], "little"), end


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
            return self.append(depth, key, depth)
        found = integers(depth).match(data, pos)
        if found is None:
            return -1
        key = found.group()
        index = self.mixed.get(key)
        if index is None:
            index = self.mixed[key] = self.append(depth, key, count_bignums(key))
        return index

    def append(self, depth: int, key: bytes, numbered: int) -> int:
        """The index of a new stack."""
        self.keys.append((depth, key))
        self.numbered.append(numbered)
        return len(self.keys) - 1


def count_bignums(raw: bytes) -> int:
    """How many of the integers are numbered objects of Marshal."""
    return sum(each[:1] == b"l" for each in ONE_INTEGER.findall(raw)) if b"l+" in raw else 0


def read_entries(data: bytes, pos: int, length: int) -> tuple[PackedEntries, int, int] | None:
    """Read the array of `length` integers at `pos`: entries, the position after them, how many were numbered objects.

    None where anything is unusual; the plain walker reads it then, and says what is wrong.
    """
    different = _Different()
    known, keys = different.addresses.get, different.keys
    order: list[int] = []
    counts: list[int] = []
    while length > 0:
        depth, pos = _small(data, pos)
        length -= depth + 2
        if depth < 0 or length < 0:
            return None
        index = known(data[pos : pos + depth * ADDRESS_SIZE])
        if index is None:
            index = different.add(data, pos, depth)
            if index < 0:
                return None
        count, pos = _small(data, pos + len(keys[index][1]))
        if count < 1:
            return None
        order.append(index)
        counts.append(count)
    objects = sum(map(different.numbered.__getitem__, order))
    return PackedEntries(keys, order, counts), pos, objects


def read_integers(data: bytes, pos: int, length: int) -> tuple[PackedIntegers, int, int] | None:
    """Skip over an array of integers, keeping its bytes; the same contract as `read_entries`."""
    raw = data[pos : pos + ADDRESS_SIZE * length]
    if len(raw) == ADDRESS_SIZE * length and is_addresses(raw, length):
        return PackedIntegers(raw, length), pos + len(raw), length
    found = integers(length).match(data, pos)
    if found is None:
        return None
    return PackedIntegers(found.group(), length), found.end(), count_bignums(found.group())


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
            order.append(index.setdefault(tuple(raw[at + 1 : end]), len(index)))
            counts.append(count)
            at = end + 1
        else:
            problem = f"raw is not sound from its element {at} on: what follows is left out"
    return list(index), Entries(order, counts, problem)
