from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from scaler.actuators.gather import Gather


def test_calls_of_the_same_moment_are_one_and_each_has_its_own_answer() -> None:
    batches: list[list[int]] = []

    def work(items: list[int]) -> list[int]:
        batches.append(items)
        return [10 * item for item in items]

    gather, together = Gather(work, 1.0), threading.Barrier(5)

    def call(item: int) -> int:
        together.wait()
        return gather(item)

    with ThreadPoolExecutor(5) as threads:
        assert list(threads.map(call, range(5))) == [0, 10, 20, 30, 40]
    assert [sorted(batch) for batch in batches] == [[0, 1, 2, 3, 4]]


def test_a_later_call_is_a_batch_of_its_own() -> None:
    gather: Gather[int, int] = Gather(lambda items: [len(items) for _ in items], 0.0)
    assert [gather(1), gather(2)] == [1, 1]


def test_what_the_work_raises_reaches_everyone() -> None:
    def work(items: list[int]) -> list[int]:
        raise RuntimeError(f"no play for {sorted(items)}")

    gather, together = Gather(work, 1.0), threading.Barrier(2)

    def call(item: int) -> int:
        together.wait()
        return gather(item)

    with ThreadPoolExecutor(2) as threads:
        for answer in [threads.submit(call, item) for item in (1, 2)]:
            with pytest.raises(RuntimeError, match=r"no play for \[1, 2\]"):
                answer.result()
