"""Read Ruby's Marshal 4.8 into plain data: no class is looked up and no code of the dump runs.

The walker holds its own stack, so depth costs no recursion. Symbols become str; objects, structs and the like become
`RubyObject`, which is inert. A value met again through a link is the same Python object, so cycles stay cycles.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from flamegraph.profile import ProfileError
from flamegraph.readers.marshal_values import (
    MISSING,
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

IVARS: Final = ord("I")
SYMLINK: Final = ord(";")
STRING: Final = ord('"')
ONE_IVAR: Final = b"\x06;"
# A sound dump nests a handful of levels; Ruby itself gives up long before this many.
MAX_DEPTH: Final = 10_000
# Empty containers grow most in memory: 32 times what they take in the file. A sound dump of 500 MB has a million.
MAX_CONTAINERS: Final = 8_000_000
# Longer integers appear only in user metadata, and Python takes quadratic time to print them.
MAX_INTEGER_BYTES: Final = 1024


def small(data: bytes, pos: int) -> tuple[int, int]:
    """The Fixnum from 0 on at a position after its `i`, and the position after it, or 0 where it is another."""
    size = data[pos]
    if 4 < size < 128:
        return size - 5, pos + 1
    if size > 4:
        return 0, 0
    end = pos + 1 + size
    return int.from_bytes(data[pos + 1 : end], "little"), end


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
        """Read values until the one at the bottom of the stack is complete."""
        stack = self.stack
        while True:
            value = self.value()
            if value is OPEN and not self.fills(stack[-1]):
                continue
            if value is OPEN:
                value = stack.pop().close()
            while stack:
                top = stack[-1]
                if not top.take(value) and not self.fills(top):
                    break
                value = stack.pop().close()
            else:
                return value

    def fills(self, top: Container) -> bool:
        """Read the plain pairs that come next, of which frames are made, without a turn of the walk for each.

        True where they were the last ones. Whatever is not plain, or not sound, is left to the walk.
        """
        if type(top) is not Pairs or top.key is not MISSING:
            return False
        data, symbols = self.data, self.symbols
        known = min(len(symbols) + 5, 128)
        pos = self.pos
        while top.left and data[pos] == SYMLINK and 4 < data[pos + 1] < known:
            key = symbols[data[pos + 1] - 5]
            value, end = self.plain(key, pos + 2)
            if not end:
                break
            top.pairs[key] = value
            top.left -= 1
            pos = end
        self.pos = pos
        return top.left == 0

    def plain(self, key: str, pos: int) -> tuple[object, int]:
        """The value at a position where it needs no walk, and the position after it, or 0 where it does."""
        data = self.data
        match data[pos]:
            case 105:  # i
                return small(data, pos + 1)
            case 64:  # @
                index, end = small(data, pos + 1)
                return (self.objects[index], end) if end and index in self.objects else (None, 0)
            case 34 | 73:  # " I
                return self.plain_string(pos)
            case 48:  # 0
                return None, pos + 1
            case 123 if key in self.packed:  # {
                count, begin = small(data, pos + 1)
                fits = begin and 2 * count <= len(data) - begin
                found = self.packed[key](data, begin, count) if fits else None
                if found is not None:
                    self.remember(found[0])
                    self.numbered += found[2]
                    return found[:2]
        return None, 0

    def plain_string(self, pos: int) -> tuple[object, int]:
        """A string, without instance variables or with the one that nearly all have: :E, true or false, by a link."""
        data = self.data
        ivars = 4 if data[pos] == IVARS else 0
        size, begin = small(data, pos + 1 + ivars // 4)
        end = begin + size
        if not begin or end + ivars > len(data) or (ivars and data[pos + 1] != STRING):
            return None, 0
        if ivars and not (data[end : end + 2] == ONE_IVAR and 4 < data[end + 2] < 128 and data[end + 3] in b"TF"):
            return None, 0
        value = decode(data[begin:end])
        self.remember(value)
        return value, end + ivars

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
        return self.remembered(RubyObject("Regexp", {"source": decode(self.byte_string()), "options": self.take(1)}))

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


READERS: Final[dict[int, Callable[[_Walker], object]]] = {
    ord("0"): lambda _: None,
    ord("T"): lambda _: True,
    ord("F"): lambda _: False,
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
