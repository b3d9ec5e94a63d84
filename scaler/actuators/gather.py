"""Calls of the same moment made one: the first waits a little, takes the others along, and all get their answer."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

Item = TypeVar("Item")
Answer = TypeVar("Answer")


class Gather(Generic[Item, Answer]):
    """Hands the items that arrive within `window_s` to `work` at once; `work` returns their answers in that order."""

    def __init__(self, work: Callable[[list[Item]], list[Answer]], window_s: float) -> None:
        self._work = work
        self._window_s = window_s
        self._lock = threading.Lock()
        self._waiting: list[tuple[Item, Future[Answer]]] = []

    def __call__(self, item: Item) -> Answer:
        """Wait for the answer to this item. Raises whatever `work` raised."""
        answer: Future[Answer] = Future()
        with self._lock:
            self._waiting.append((item, answer))
            is_first = len(self._waiting) == 1
        if is_first:
            threading.Event().wait(self._window_s)
            with self._lock:
                batch, self._waiting = self._waiting, []
            self._answer(batch)
        return answer.result()

    def _answer(self, batch: list[tuple[Item, Future[Answer]]]) -> None:
        try:
            answers = self._work([item for item, _ in batch])
        except BaseException as error:  # noqa: BLE001  # it belongs to everyone who waits
            for _, answer in batch:
                answer.set_exception(error)
        else:
            for (_, answer), result in zip(batch, answers, strict=True):
                answer.set_result(result)
