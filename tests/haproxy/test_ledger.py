"""What all workers counted together: never less than before, whatever is restarted, and nothing twice."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haproxy.answers import ServerCounters, Totals
from haproxy.ledger import Ledger, read_ledger

if TYPE_CHECKING:
    from pathlib import Path


def begun(*workers: str) -> Ledger:
    ledger = Ledger(boot="now")
    ledger.settle()
    for worker in workers:
        ledger.meet(worker, Totals(), {})
    return ledger


def test_what_was_counted_before_the_first_look_is_not_counted() -> None:
    ledger = Ledger(boot="now")
    ledger.meet("a", Totals(100), {"s1": ServerCounters(100)}).holders = {"s1": "web1"}
    ledger.settle()
    ledger.add_totals("a", Totals(103))
    ledger.add_servers("a", {"s1": ServerCounters(103)})
    assert (3, 3) == (ledger.totals["arrivals"], ledger.backends["web1"].arrivals)


def test_a_worker_that_comes_later_counts_from_its_beginning() -> None:
    ledger = begun()
    ledger.meet("b", Totals(5), {})
    ledger.add_totals("b", Totals(5))
    assert 5 == ledger.totals["arrivals"]


def test_old_and_new_workers_add_up() -> None:
    ledger = begun("old", "new")
    for worker, arrivals in (("old", 10), ("new", 2), ("old", 12), ("new", 7)):
        ledger.add_totals(worker, Totals(arrivals))
    assert 19 == ledger.totals["arrivals"]


def test_a_slot_counts_for_whoever_was_on_it() -> None:
    ledger = begun("a")
    ledger.workers["a"].holders = {"s1": "web1"}
    ledger.add_servers("a", {"s1": ServerCounters(4, errors=1, total_ms=20)})
    ledger.workers["a"].holders = {"s1": "web9"}
    assert {} == ledger.add_servers("a", {"s1": ServerCounters(10, errors=1, total_ms=30)})
    assert [(4, 1, 20), (6, 0, 30)] == [(one.arrivals, one.errors, one.total_ms) for one in ledger.backends.values()]


def test_failed_connections_are_told_once() -> None:
    ledger = begun("a")
    ledger.workers["a"].holders = {"s1": "web1"}
    assert {"web1": 3} == ledger.add_servers("a", {"s1": ServerCounters(1, failures=3)})
    assert {} == ledger.add_servers("a", {"s1": ServerCounters(1, failures=3)})


def test_the_gone_are_forgotten_unless_a_slot_still_holds_them() -> None:
    ledger = begun("a", "b")
    ledger.workers["a"].holders = {"s1": "web1"}
    for name in ("web1", "web2", "web3"):
        ledger.add_refused(name, 1)
    ledger.forget({"a"}, {"web2"})
    assert ({"a"}, {"web1", "web2"}, 3) == (set(ledger.workers), set(ledger.backends), ledger.totals["refused"])


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 9), st.booleans()), max_size=30))
def test_sums_survive_every_restart_of_the_agent(looks: list[tuple[str, int, bool]]) -> None:
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "counters"
        ledger, counted = begun("a", "b", "c"), dict.fromkeys("abc", 0)
        for worker, more, restarted in looks:
            counted[worker] += more
            before = ledger.totals["arrivals"]
            ledger.add_totals(worker, Totals(counted[worker]))
            assert before + more == ledger.totals["arrivals"]
            if restarted:
                ledger.write(path)
                ledger = read_ledger(path, "now")
        assert sum(counted.values()) == ledger.totals["arrivals"]


def test_after_the_machines_restart_a_new_series_begins(tmp_path: Path) -> None:
    path, ledger = tmp_path / "counters", begun("a")
    ledger.add_totals("a", Totals(7))
    ledger.write(path)
    found = read_ledger(path, "later")
    assert (0, True) == (found.totals["arrivals"], found.series != ledger.series)


@pytest.mark.parametrize(
    "change",
    [
        {"totals": {"arrivals": -1}},
        {"totals": 5},
        {"workers": {"a": [1]}},
        {"backends": {"web1": ["x", 1, 1, 1]}},
        {"series": None, "began_s": "never"},
    ],
)
def test_a_file_that_cannot_be_believed_begins_a_new_series(tmp_path: Path, change: dict[str, object]) -> None:
    path, ledger = tmp_path / "counters", begun("a")
    ledger.write(path)
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    assert ledger.series != read_ledger(path, "now").series
    path.write_text("{")
    assert ledger.series != read_ledger(path, "now").series
