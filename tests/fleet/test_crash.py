from __future__ import annotations

import pytest

from fleet.crash import Capture, Crash, Entry, Source, Symptom, Uncaptured, counted, merged
from tests.contracts.crashes import failure

RAISED = Capture("c1", "A::Error", "m", "app/a.rb:1:in b")
REPLAYED = Capture("c1", profiled=True, source=Source.REPLAY)


def test_entries_are_brought_together_by_id_in_the_order_of_the_failures() -> None:
    entries: list[Entry] = [failure("c1"), failure("c2"), Uncaptured("c2", "gone"), RAISED, Uncaptured("c9", "unknown")]
    assert (Crash(failure("c1"), RAISED), Crash(failure("c2"), None, "gone")) == merged(entries)


@pytest.mark.parametrize("captures", [(RAISED, REPLAYED), (REPLAYED, RAISED)])
def test_a_replay_stands_behind_what_the_request_itself_left(captures: tuple[Capture, Capture]) -> None:
    assert (Crash(failure("c1"), RAISED),) == merged([failure("c1"), *captures])


def test_a_reason_is_forgotten_once_something_was_captured_after_all() -> None:
    assert (Crash(failure("c1"), RAISED),) == merged([failure("c1"), Uncaptured("c1", "x"), RAISED])
    assert (Crash(failure("c1"), RAISED),) == merged([failure("c1"), RAISED, Uncaptured("c1", "x")])


def test_crashes_of_one_kind_share_exception_and_frame() -> None:
    other = Capture("c3", "A::Error", "another message", "app/a.rb:1:in b")
    crashes = [Crash(failure("c1"), RAISED), Crash(failure("c2")), Crash(failure("c3", path="/x"), other)]
    assert {("A::Error", "app/a.rb:1:in b"): 2, ("500", "GET /orders/1"): 1} == counted(crashes)


def test_without_an_exception_the_way_it_failed_and_the_path_tell_the_kind() -> None:
    aborted = Crash(failure("c1", status=None, failure=Symptom.ABORTED, method="POST"))
    assert ("aborted", "POST /orders/1") == aborted.group
