"""What holds for a whole run: missing parts are named (with CI=true they fail), and nothing may be left behind."""

from __future__ import annotations

import os
import threading
import uuid
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import pytest

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable

# Every process that a test starts inherits this variable, so that it is found again wherever it went.
MARK = "TEST_RUN_OF_STOKER"
PROC = Path("/proc")
ENDING_TRIES = 300
ENDING_STEP_S = 0.05

# A test that may take this long, by its own mark, is begun early.
LONG_S = 60

LEFT = pytest.StashKey[list[str]]()


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        os.environ[MARK] = uuid.uuid4().hex
    config.stash[LEFT] = []
    # A machine that is busy makes any example slow now and then.
    hypothesis.settings.register_profile("any machine", deadline=None)
    hypothesis.settings.load_profile("any machine")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """With several workers each begins with its share of the long tests, so that none is alone with one at the end.

    `--dist worksteal` gives each worker as many tests as the next, in the order in which they were collected. Those
    that look at the same costly fixture are an `xdist_group`, and go to one worker.
    """
    workers = getattr(config, "workerinput", {}).get("workercount", 1)
    long, short = defaultdict[str, list[pytest.Item]](list), list[pytest.Item]()
    for item in items:
        limit, group = item.get_closest_marker("timeout"), item.get_closest_marker("xdist_group")
        if limit and limit.args[0] >= LONG_S:
            long[group.args[0] if group else item.nodeid].append(item)
        else:
            short.append(item)
    count = len(items)
    items.clear()
    for number in range(workers):
        mine = [item for together in [*long.values()][number::workers] for item in together]
        rest = max(0, count * (number + 1) // workers - len(items) - len(mine))
        items += mine + short[:rest]
        del short[:rest]
    items += short


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    missing_part = report.skipped and item.get_closest_marker("live") and not hasattr(report, "wasxfail")
    if missing_part and os.environ.get("CI") == "true":
        report.outcome = "failed"
        report.longrepr = f"a part is missing, which CI=true makes a failure: {_reason(report)}"
    return report


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Runs once the workers are gone; whoever still carries the mark was left behind by a test."""
    if hasattr(session.config, "workerinput"):
        return
    left = session.config.stash[LEFT] = _left_behind()
    if left and session.exitstatus in {pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED}:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    skipped: Iterable[pytest.TestReport] = terminalreporter.stats.get("skipped", ())
    live = [report for report in skipped if "live" in report.keywords]
    if live:
        terminalreporter.section("live tests skipped, because a part is missing")
        for report in live:
            terminalreporter.line(f"{report.nodeid}: {_reason(report)}")
    if config.stash[LEFT]:
        terminalreporter.section("left behind by tests")
        for line in config.stash[LEFT]:
            terminalreporter.line(line)


def _reason(report: pytest.TestReport) -> str:
    found = report.longrepr
    return found[2].removeprefix("Skipped: ") if isinstance(found, tuple) else str(found)


def _left_behind() -> list[str]:
    """The processes of this run that go on living, after a moment in which those that are ending may end."""
    never = threading.Event()
    for _ in range(ENDING_TRIES):
        found = [line for entry in PROC.glob("[0-9]*") if (line := _ours(entry))]
        if not found:
            break
        never.wait(ENDING_STEP_S)
    return found


def _ours(entry: Path) -> str | None:
    if int(entry.name) == os.getpid():
        return None
    try:
        if f"{MARK}={os.environ[MARK]}".encode() not in (entry / "environ").read_bytes().split(b"\0"):
            return None
        words = (entry / "cmdline").read_bytes().split(b"\0")
    except OSError:
        return None
    return f"process {entry.name}: {b' '.join(words).decode(errors='replace')[:160]}"
