"""What the Marshal walker builds: containers that are open until their last value came, and inert objects."""

from __future__ import annotations

from typing import Final, Protocol

from flamegraph.readers.text import decode


class RubyObject:
    """An object, struct, class or the like of the dump, as its class's name and its values: nothing that acts."""

    __slots__ = ("class_name", "values")

    def __init__(self, class_name: str, values: dict[object, object] | None = None) -> None:
        self.class_name = class_name
        self.values: dict[object, object] = {} if values is None else values


class Mark:
    """A value that no dump holds."""


OPEN: Final = Mark()
MISSING: Final = Mark()


class Numbering(Protocol):
    """The part of the walker that gives each value of a dump its number."""

    objects: dict[int, object]

    def remember(self, value: object) -> int:
        """Give the next number to a value."""

    def length(self, unit: int = 1) -> int:
        """The next count, of things that take at least `unit` bytes each."""


class Container(Protocol):
    """A value whose parts are still to come."""

    def take(self, value: object) -> bool:
        """Accept the next value that is complete; True when it was the last."""

    def close(self) -> object:
        """What the container is, now that it is complete."""


class Array:
    """An Array and how many items are to come."""

    __slots__ = ("items", "left")

    def __init__(self, items: list[object], left: int) -> None:
        self.items = items
        self.left = left

    def take(self, value: object) -> bool:
        """Accept the next part; True when it was the last."""
        self.items.append(value)
        self.left -= 1
        return self.left == 0

    def close(self) -> object:
        """The whole value."""
        return self.items


class Pairs:
    """Keys and values into `pairs`, then perhaps the default value of a Hash, for `result`."""

    __slots__ = ("defaults", "key", "left", "pairs", "result")

    def __init__(self, result: object, pairs: dict[object, object], left: int, defaults: int = 0) -> None:
        self.result = result
        self.pairs = pairs
        self.left = left
        self.defaults = defaults
        self.key: object = MISSING

    def take(self, value: object) -> bool:
        """Accept the next part; True when it was the last."""
        if self.left == 0:
            return True
        if self.key is MISSING:
            self.key = RubyObject("key", {"value": value}) if isinstance(value, list | dict) else value
            return False
        self.pairs[self.key] = value
        self.key = MISSING
        self.left -= 1
        return self.left + self.defaults == 0

    def close(self) -> object:
        """The whole value."""
        return self.result


class StringPairs(Pairs):
    """The instance variables of a String, one of which may name its encoding."""

    __slots__ = ("numbering", "raw", "slot")

    def __init__(self, numbering: Numbering, raw: bytes, slot: int, left: int) -> None:
        super().__init__(None, {}, left)
        self.numbering = numbering
        self.raw = raw
        self.slot = slot

    def close(self) -> object:
        """The whole value."""
        value = decode(self.raw, str(self.pairs.get("encoding", "utf-8")))
        self.numbering.objects[self.slot] = value
        return value


class UserdefPairs(Pairs):
    """The instance variables of an object with a `_dump` of its own, which is numbered after them."""

    __slots__ = ("numbering",)

    def __init__(self, numbering: Numbering, result: RubyObject, left: int) -> None:
        super().__init__(result, result.values, left)
        self.numbering = numbering

    def close(self) -> object:
        """The whole value."""
        self.numbering.remember(self.result)
        return self.result


class Ivars:
    """A value, then its instance variables, which nobody needs."""

    __slots__ = ("inner", "left", "numbering")

    def __init__(self, numbering: Numbering) -> None:
        self.numbering = numbering
        self.inner: object = MISSING
        self.left = 0

    def take(self, value: object) -> bool:
        """Accept the next part; True when it was the last."""
        if self.inner is MISSING:
            self.inner = value
            self.left = 2 * self.numbering.length(2)
        else:
            self.left -= 1
        return self.left == 0

    def close(self) -> object:
        """The whole value."""
        return self.inner


class DefaultedPairs(Pairs):
    """A Hash with a default value after its pairs."""

    __slots__ = ()

    def __init__(self, result: object, pairs: dict[object, object], left: int) -> None:
        super().__init__(result, pairs, left, defaults=1)


class Single:
    """The one value of an object with a `marshal_dump` of its own."""

    __slots__ = ("owner",)

    def __init__(self, owner: RubyObject) -> None:
        self.owner = owner

    def take(self, value: object) -> bool:
        """Accept the next part; True when it was the last."""
        self.owner.values["value"] = value
        return True

    def close(self) -> object:
        """The whole value."""
        return self.owner
