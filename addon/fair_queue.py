"""A bounded queue in which no group of the like pushes another one out."""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import Generic, TypeVar

Item = TypeVar("Item")


class FairQueue(Generic[Item]):
    """Groups take turns; at the limit the largest group gives way."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._groups: OrderedDict[object, deque[Item]] = OrderedDict()
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def put(self, group: object, item: Item) -> Item | None:
        """Add one; returns the one that has to go for it, which may be itself."""
        if self._size < self._limit:
            self._groups.setdefault(group, deque()).append(item)
            self._size += 1
            return None
        largest = max(self._groups.values(), key=len)
        if group in self._groups and len(self._groups[group]) >= len(largest) - 1:
            return item
        dropped = largest.pop()
        self._groups.setdefault(group, deque()).append(item)
        return dropped

    def get(self) -> Item:
        """The oldest of the group whose turn it is; raises KeyError when there is none."""
        group, items = self._groups.popitem(last=False)
        found = items.popleft()
        self._size -= 1
        if items:
            self._groups[group] = items
        return found
