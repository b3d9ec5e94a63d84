"""Read Ruby's Marshal 4.8 into plain data: no class is looked up and no code of the dump runs.

The walker holds its own stack, so depth costs no recursion. Symbols become str; objects, structs and the like become
`RubyObject`, which is inert. A value met again through a link is the same Python object, so cycles stay cycles.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from flamegraph.profile import ProfileError
from flamegraph.readers.marshal_values import (
    OPEN,
    Array,
    DefaultedPairs,
    Ivars,
    Pairs,
    RubyObject,
    Single,
    StringPairs,
    UserdefPairs,
)
from flamegraph.readers.text import decode

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from flamegraph.readers.marshal_values import Container

    Packed = Callable[[bytes, int, int], "tuple[object, int, int] | None"]

# A sound dump nests a handful of levels; Ruby itself gives up long before this many.
MAX_DEPTH: Final = 10_000
# Empty containers grow most in memory: 32 times what they take in the file. A sound dump of 500 MB has a million.
MAX_CONTAINERS: Final = 8_000_000
# Longer integers appear only in user metadata, and Python takes quadratic time to print them.
MAX_INTEGER_BYTES: Final = 1024


class _PackedLinkError(Exception):
    """A link leads into an array that was read packed."""


class _Walker:
    """One pass over one dump."""

    def __init__(self, data: bytes, packed: Mapping[str, Packed]) -> None:
        self.data = data
        self.pos = 2
        self.packed = packed
        self.symbols: list[str] = []
        self.objects: dict[int, object] = {}
        self.numbered = 0
        self.containers = 0
        self.stack: list[Container] = []

    def walk(self) -> object:
        stack = self.stack
        while True:
            value = self.value()
            if value is OPEN:
                continue
            while stack:
                if not stack[-1].take(value):
                    break
                value = stack.pop().close()
            else:
                return value

    def value(self) -> object:
        reader = READERS.get(self.data[self.pos])
        if reader is None:
            raise ProfileError(f"byte {self.pos}: {self.data[self.pos]:#04x} starts no value of Ruby's Marshal")
        self.pos += 1
        return reader(self)

    def push(self, container: Container) -> object:
        self.stack.append(container)
        self.containers += 1
        if len(self.stack) > MAX_DEPTH:
            raise ProfileError(f"byte {self.pos}: nested deeper than {MAX_DEPTH} levels")
        if self.containers > MAX_CONTAINERS:
            raise ProfileError(f"byte {self.pos}: more than {MAX_CONTAINERS} arrays and hashes")
        return OPEN

    def remember(self, value: object) -> int:
        slot = self.numbered
        self.objects[slot] = value
        self.numbered = slot + 1
        return slot

    def fixnum(self) -> int:
        pos = self.pos
        byte = self.data[pos]
        self.pos = pos + 1
        if 4 < byte < 252:
            return max(byte - 5, 0) if byte < 128 else min(byte - 251, 0)
        if byte == 0:
            return 0
        size = byte if byte <= 4 else 256 - byte
        raw = self.take(size)
        return int.from_bytes(raw, "little") - (0 if byte <= 4 else 1 << 8 * size)

    def length(self, unit: int = 1) -> int:
        """The next count, of things that take at least `unit` bytes each."""
        at = self.pos
        count = self.fixnum()
        left = len(self.data) - self.pos
        if not 0 <= count * unit <= left:
            raise ProfileError(f"byte {at}: a length of {count}, where {left} bytes are left")
        return count

    def take(self, size: int) -> bytes:
        raw = self.data[self.pos : self.pos + size]
        if len(raw) < size:
            raise IndexError
        self.pos += size
        return raw

    def byte_string(self) -> bytes:
        return self.take(self.length())

    def symbol(self) -> str:
        """The next value, where only a symbol may stand."""
        at = self.pos
        kind = self.take(1)
        if kind == b"I" and self.data[self.pos] == ord(":"):
            self.pos += 1
            return self.encoded_symbol()
        if kind == b":":
            return self.new_symbol()
        if kind == b";":
            return self.old_symbol()
        raise ProfileError(f"byte {at}: {kind!r} where a symbol must stand")

    def new_symbol(self) -> str:
        name = decode(self.byte_string())
        self.symbols.append(name)
        return name

    def old_symbol(self) -> str:
        at = self.pos
        index = self.fixnum()
        if not 0 <= index < len(self.symbols):
            raise ProfileError(f"byte {at}: symbol {index} of {len(self.symbols)}")
        return self.symbols[index]

    def encoded_symbol(self) -> str:
        """A symbol with instance variables: its encoding, as true, false or a String."""
        name = self.new_symbol()
        for _ in range(self.length(2)):
            self.symbol()
            match self.take(1):
                case b"T" | b"F" | b"0":
                    pass
                case b'"':
                    self.remember(decode(self.byte_string()))
                case b"@":
                    self.fixnum()
                case other:
                    raise ProfileError(f"byte {self.pos - 1}: {other!r} where the encoding of a symbol must stand")
        return name

    def string(self) -> str:
        value = decode(self.byte_string())
        self.remember(value)
        return value

    def array(self) -> object:
        count = self.length()
        top = self.stack[-1] if self.stack else None
        reader = self.packed.get(top.key) if isinstance(top, Pairs) and isinstance(top.key, str) else None
        items: list[object] = []
        slot = self.remember(items)
        found = reader(self.data, self.pos, count) if reader else None
        if found is not None:
            value, self.pos, numbered = found
            self.numbered += numbered
            self.objects[slot] = value
            return value
        return self.push(Array(items, count)) if count else items

    def pairs(self) -> object:
        count = self.length(2)
        pairs: dict[object, object] = {}
        self.remember(pairs)
        return self.push(Pairs(pairs, pairs, count)) if count else pairs

    def hash_with_default(self) -> object:
        count = self.length(2)
        pairs: dict[object, object] = {}
        self.remember(pairs)
        return self.push(DefaultedPairs(pairs, pairs, count))

    def instance(self) -> object:
        value = RubyObject(self.symbol())
        self.remember(value)
        count = self.length(2)
        return self.push(Pairs(value, value.values, count)) if count else value

    def user_marshal(self) -> object:
        value = RubyObject(self.symbol())
        self.remember(value)
        return self.push(Single(value))

    def userdef(self) -> object:
        value = RubyObject(self.symbol(), {"bytes": decode(self.byte_string())})
        self.remember(value)
        return value

    def with_ivars(self) -> object:
        kind = self.data[self.pos]
        if kind == ord('"'):
            self.pos += 1
            return self.string_with_ivars()
        if kind == ord(":"):
            self.pos += 1
            return self.encoded_symbol()
        if kind == ord("u"):
            self.pos += 1
            value = RubyObject(self.symbol(), {"bytes": decode(self.byte_string())})
            count = self.length(2)
            return self.push(UserdefPairs(self, value, count)) if count else self.remembered(value)
        return self.push(Ivars(self))

    def string_with_ivars(self) -> object:
        raw = self.byte_string()
        data, pos = self.data, self.pos
        # Nearly every string has one variable, :E, by a link that fits in a byte, and is true or false.
        if data[pos : pos + 2] == b"\x06;" and data[pos + 3] in b"TF" and data[pos + 2] > 4:
            self.pos = pos + 4
            value = decode(raw)
            self.remember(value)
            return value
        slot = self.remember(decode(raw))
        count = self.length(2)
        return self.push(StringPairs(self, raw, slot, count)) if count else self.objects[slot]

    def remembered(self, value: object) -> object:
        self.remember(value)
        return value

    def extended(self) -> object:
        """A module or class name before the value that it marks; the value alone is kept."""
        while True:
            self.symbol()
            kind = self.data[self.pos]
            if kind not in b"eC":
                return self.value()
            self.pos += 1

    def named(self) -> object:
        return self.remembered(RubyObject(decode(self.byte_string())))

    def regexp(self) -> object:
        value = RubyObject("Regexp", {"source": decode(self.byte_string())})
        self.take(1)
        return self.remembered(value)

    def floating(self) -> object:
        at = self.pos
        raw = self.byte_string().split(b"\0", 1)[0]
        try:
            return self.remembered(float(raw))
        except ValueError:
            raise ProfileError(f"byte {at}: {decode(raw)!r} is not a float") from None

    def bignum(self) -> object:
        sign = self.take(1)
        size = 2 * self.length(2)
        raw = self.take(size)
        if size > MAX_INTEGER_BYTES:
            return self.remembered(RubyObject(f"Integer of {size} bytes"))
        value = int.from_bytes(raw, "little")
        return self.remembered(-value if sign == b"-" else value)

    def link(self) -> object:
        at = self.pos
        index = self.fixnum()
        if index in self.objects:
            return self.objects[index]
        if 0 <= index < self.numbered:
            raise _PackedLinkError
        raise ProfileError(f"byte {at}: a link to value {index} of {self.numbered}")


def _nothing(_: _Walker) -> object:
    return None


def _true(_: _Walker) -> object:
    return True


def _false(_: _Walker) -> object:
    return False


READERS: Final[dict[int, Callable[[_Walker], object]]] = {
    ord("0"): _nothing,
    ord("T"): _true,
    ord("F"): _false,
    ord("i"): _Walker.fixnum,
    ord("l"): _Walker.bignum,
    ord("f"): _Walker.floating,
    ord('"'): _Walker.string,
    ord(":"): _Walker.new_symbol,
    ord(";"): _Walker.old_symbol,
    ord("["): _Walker.array,
    ord("{"): _Walker.pairs,
    ord("}"): _Walker.hash_with_default,
    ord("I"): _Walker.with_ivars,
    ord("e"): _Walker.extended,
    ord("C"): _Walker.extended,
    ord("o"): _Walker.instance,
    ord("S"): _Walker.instance,
    ord("u"): _Walker.userdef,
    ord("U"): _Walker.user_marshal,
    ord("d"): _Walker.user_marshal,
    ord("c"): _Walker.named,
    ord("m"): _Walker.named,
    ord("M"): _Walker.named,
    ord("/"): _Walker.regexp,
    ord("@"): _Walker.link,
}


def load(data: bytes, packed: Mapping[str, Packed] | None = None) -> object:
    """Read one value; bytes after it are ignored, as `stackprof --dump` writes a line's end there.

    `packed` names hash keys whose arrays are read by a function of (data, position, length) that returns the value,
    the position after it and how many numbered objects it held, or None to have the array read plainly.
    """
    major, minor = data[:1], data[1:2]
    if major != b"\x04" or not minor or minor > b"\x08":
        raise ProfileError("not a dump of Ruby's Marshal 4.8")
    walker = _Walker(data, packed or {})
    try:
        return walker.walk()
    except _PackedLinkError:
        return load(data)
    except IndexError:
        raise ProfileError(f"byte {len(data)}: the dump is cut off here") from None
