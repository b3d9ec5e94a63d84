"""A task that is begun again where it breaks off, and stays ended once it is told to end."""

from __future__ import annotations

import asyncio

import pytest

from addon.supervised import Supervised


class Job:
    """Breaks off as often as it is told, then runs until it is cancelled; below 0, it cannot even end well."""

    def __init__(self, breaks: int) -> None:
        self.breaks = breaks
        self.begun = 0
        self.runs = asyncio.Event()
        self.cancelled = asyncio.Event()

    async def run(self) -> None:
        self.begun += 1
        if self.begun <= self.breaks:
            raise OSError("no more files")
        self.runs.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.cancelled.set()
            if self.breaks < 0:
                raise OSError("cannot be closed")


async def test_what_breaks_off_is_logged_and_begins_again(caplog: pytest.LogCaptureFixture) -> None:
    job = Job(breaks=2)
    supervised = Supervised("the job", job.run, restart_s=0)
    supervised.start()
    await asyncio.wait_for(job.runs.wait(), 5)
    await supervised.end()
    assert (3, True) == (job.begun, job.cancelled.is_set())
    assert ["stoker: the job broke off and begins again"] * 2 == caplog.messages
    assert all(one.exc_info for one in caplog.records)


async def test_what_is_stopped_is_cancelled_and_does_not_begin_again(caplog: pytest.LogCaptureFixture) -> None:
    job = Job(breaks=0)
    supervised = Supervised("the job", job.run, restart_s=0)
    assert not supervised.started
    supervised.start()
    assert supervised.started
    await asyncio.wait_for(job.runs.wait(), 5)
    supervised.stop()
    await asyncio.wait_for(job.cancelled.wait(), 5)
    assert (1, []) == (job.begun, caplog.messages)


async def test_what_ends_after_it_broke_off_does_not_begin_again() -> None:
    job = Job(breaks=1)
    supervised = Supervised("the job", job.run, restart_s=0.05)
    supervised.start()
    await asyncio.sleep(0)  # it breaks off, and is to begin again
    await asyncio.sleep(0)
    await supervised.end()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(job.runs.wait(), 0.1)
    assert 1 == job.begun


async def test_what_breaks_off_while_it_ends_does_not_begin_again(caplog: pytest.LogCaptureFixture) -> None:
    job = Job(breaks=-1)
    supervised = Supervised("the job", job.run, restart_s=0)
    supervised.start()
    await asyncio.wait_for(job.runs.wait(), 5)
    await supervised.end()
    await asyncio.sleep(0)  # what would begin it again
    await asyncio.sleep(0)
    assert (1, ["stoker: the job broke off"]) == (job.begun, caplog.messages)
