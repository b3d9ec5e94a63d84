"""What finished in two sets since the last look, of counters that restart, vanish and come late."""

from __future__ import annotations

from dataclasses import replace

from fleet.registry import Detail, Outcomes, Sighting
from scaler.canary_counts import Seen, finished
from scaler.canary_judge import Trials
from tests.scaler.builders import reading

CANARIES, STABLE = frozenset({"web6"}), frozenset({"web1", "web2"})


def look(series: str = "s", silent: tuple[str, ...] = (), **told: tuple[int, int, int]) -> Sighting:
    """One proxy, unless it is silent, that has seen so many finish, fail, and take so long, by backend."""
    outcomes = {name: Outcomes(*values) for name, values in told.items()}
    readings = () if silent else (reading(series=series),)
    return Sighting(readings, silent, detail=Detail(outcomes={"p": outcomes}))


def test_the_first_sight_of_a_proxy_counts_nothing() -> None:
    seen, ours, theirs = finished({}, look(web1=(900, 9, 1), web6=(100, 50, 1)), CANARIES, STABLE)
    assert (Trials(), Trials()) == (ours, theirs)
    assert {"p"} == set(seen)


def test_the_difference_counts_for_the_set_of_each_backend() -> None:
    seen, _, _ = finished({}, look(web1=(10, 1, 100), web2=(10, 0, 50), web6=(5, 5, 9)), CANARIES, STABLE)
    later = look(web1=(30, 2, 400), web2=(10, 0, 50), web6=(8, 6, 99))
    _, ours, theirs = finished(seen, later, CANARIES, STABLE)
    assert (Trials(3, 1, 90), Trials(20, 1, 300)) == (ours, theirs)


def test_a_backend_that_a_known_proxy_tells_of_for_the_first_time_has_begun_at_0() -> None:
    seen, _, _ = finished({}, look(web1=(10, 1, 100)), CANARIES, STABLE)
    _, ours, _ = finished(seen, look(web1=(10, 1, 100), web6=(4, 2, 40)), CANARIES, STABLE)
    assert Trials(4, 2, 40) == ours


def test_a_proxy_that_began_anew_counts_all_that_it_has() -> None:
    seen, _, _ = finished({}, look(web6=(100, 50, 1000)), CANARIES, STABLE)
    _, ours, _ = finished(seen, look(series="t", web6=(3, 1, 30)), CANARIES, STABLE)
    assert Trials(3, 1, 30) == ours


def test_a_proxy_that_was_silent_goes_on_where_it_was() -> None:
    seen, _, _ = finished({}, look(web6=(100, 50, 1000)), CANARIES, STABLE)
    seen, ours, _ = finished(seen, look(silent=("p",)), CANARIES, STABLE)
    assert Trials() == ours
    _, ours, _ = finished(seen, look(web6=(110, 51, 1100)), CANARIES, STABLE)
    assert Trials(10, 1, 100) == ours


def test_a_gauge_read_a_moment_too_late_counts_no_request_twice() -> None:
    seen, _, _ = finished({}, look(web6=(100, 0, 0)), CANARIES, STABLE)
    seen, ours, _ = finished(seen, look(web6=(98, 0, 0)), CANARIES, STABLE)
    assert Trials() == ours
    _, ours, _ = finished(seen, look(web6=(103, 0, 0)), CANARIES, STABLE)
    assert ours.finished == 3


def test_an_error_counts_with_a_request_even_before_that_has_left() -> None:
    seen, _, _ = finished({}, look(web6=(100, 0, 0)), CANARIES, STABLE)
    _, ours, _ = finished(seen, look(web6=(100, 2, 0)), CANARIES, STABLE)
    assert Trials(2, 2) == replace(ours, busy_ms=0.0)


def test_a_proxy_whose_detail_is_missing_is_passed_over() -> None:
    known = {"p": Seen("s", {"web6": Outcomes(5)})}
    seen, ours, theirs = finished(known, Sighting((reading(),), detail=Detail()), CANARIES, STABLE)
    assert (Trials(), Trials()) == (ours, theirs)
    assert {} == seen
