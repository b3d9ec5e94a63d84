"""The meter: what a history of less than a second tells."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fleet.meter import Window, observe
from fleet.registry import ProxyReading, Sighting

if TYPE_CHECKING:
    from fleet.meter import Load


def seen(*looks: tuple[float, int, int], stable_s: float = 60.0, panic_s: float = 4.0) -> Load:
    """What the last of these (now, arrivals, milliseconds) tells of one proxy."""
    window = Window()
    for now, arrivals, uptime_ms in looks:
        sighting = Sighting((ProxyReading("p", "s", uptime_ms, 0, arrivals),))
        window, load = observe(window, now, sighting, stable_s=stable_s, panic_s=panic_s)
    assert load is not None
    return load


def test_one_request_right_after_the_first_look_is_no_rate_of_many_a_second() -> None:
    load = seen((0.0, 310, 355_170), (0.022, 311, 355_192))
    assert (1.0, 1.0) == (load.stable_rps, load.panic_rps)


def test_nor_is_it_where_the_second_report_is_an_old_one() -> None:
    assert 1.0 == seen((0.0, 310, 355_170), (1.5, 311, 355_192)).stable_rps


def test_from_a_second_on_a_rate_is_by_the_proxys_own_clock() -> None:
    assert 10.0 == seen((0.0, 310, 355_170), (0.022, 311, 355_192), (2.0, 330, 357_170)).stable_rps


def test_a_window_of_less_than_a_second_is_not_spread_over_more_than_it_covers() -> None:
    load = seen(*((number / 10, number, 100 * number) for number in range(11)), stable_s=0.5, panic_s=0.2)
    assert pytest.approx(10.0) == load.stable_rps
    assert pytest.approx(10.0) == load.panic_rps
