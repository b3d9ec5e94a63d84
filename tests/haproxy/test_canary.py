"""The rows that give a canary its share of what HAProxy forwards."""

from __future__ import annotations

from collections import Counter

from fleet.canary_cookie import mark_of, value_of
from haproxy.canary import map_commands, map_faults, rows, weighed
from haproxy.model import Slot, Target

STABLE = tuple(Target(f"web{number}", "127.0.0.1", 3000 + number) for number in range(1, 6))


def canary(number: int, weight: int = 56, *, sticky: bool = False) -> Target:
    return Target(f"web{number}", "127.0.0.1", 3000 + number, weight, canary=True, sticky=sticky, spec="spec2")


def slots(*targets: Target) -> tuple[Slot, ...]:
    return tuple(
        Slot(f"s{number}", one.address, one.port, one.weight, enabled=True, holder=one.name)
        for number, one in enumerate(targets, start=1)
    )


def test_without_a_canary_the_map_is_empty_and_weights_are_as_published() -> None:
    assert {} == rows(STABLE, slots(*STABLE))
    assert weighed(STABLE) == STABLE


def test_a_canary_gets_rows_by_its_share_of_the_weights_and_no_weight() -> None:
    targets = (*STABLE, canary(6))
    assert [100] * 5 + [0] == [one.weight for one in weighed(targets)]
    assert {str(number): "s6" for number in range(101)} == rows(targets, slots(*targets))


def test_canaries_divide_the_rows_evenly() -> None:
    targets = (*STABLE, canary(6), canary(7))
    assert {"s6": 92, "s7": 91} == Counter(rows(targets, slots(*targets)).values())


def test_a_canary_without_a_slot_gets_no_row() -> None:
    assert {} == rows((*STABLE, canary(6)), slots(*STABLE))


def test_a_canary_of_weight_0_gets_no_row() -> None:
    targets = (*STABLE, canary(6, 0))
    assert {} == rows(targets, slots(*targets))
    assert weighed(targets)[-1].weight == 0


def test_canaries_alone_are_balanced_like_any_others() -> None:
    targets = (canary(6), canary(7))
    assert {} == rows(targets, slots(*targets))
    assert weighed(targets) == targets


def test_a_sticky_canary_has_rows_for_the_cookies_values() -> None:
    targets, mark = (*STABLE, canary(6, sticky=True)), mark_of("spec2")
    found = rows(targets, slots(*targets))
    more = {key: value for key, value in found.items() if not key.isdigit()}
    sides = {value_of(mark, canary=True): "canary", value_of(mark, canary=False): "stable"}
    assert {"rows": "101", "sticky": mark, **sides} == more


def test_the_map_is_filled_by_one_command_after_it_was_emptied() -> None:
    assert ["clear map /m", "add map /m <<\n0 s6\n1 s6\n"] == map_commands("/m", {"0": "s6", "1": "s6"})
    assert ["clear map /m"] == map_commands("/m", {})


def test_an_answer_is_a_fault_by_its_severity_behind_the_pluses() -> None:
    assert [] == map_faults(["", "+ + + ", "[6]: done"])
    assert ["unable to parse 's5'."] == map_faults(["", "+ + [3]: unable to parse 's5'."])
