from __future__ import annotations

import pytest

from fleet.errors import SettingsError
from fleet.registry import Order, OrderKind
from fleet.settings import PolicySettings
from stoker.orders import forget_order, scale_order

POLICY = PolicySettings(min=2, max=8)


@pytest.mark.parametrize("count", [2, 5, 8])
def test_a_number_from_min_to_max_is_an_order(count: int) -> None:
    assert Order(OrderKind.SCALE, count) == scale_order(str(count), POLICY)


def test_auto_gives_the_decision_back_to_the_load() -> None:
    assert Order(OrderKind.AUTO) == scale_order("auto", POLICY)


@pytest.mark.parametrize("text", ["1", "9", "-3", "3.5", "", "many", "٣", "1" * 200])
def test_anything_else_is_refused_with_the_limits_and_the_value(text: str) -> None:
    with pytest.raises(SettingsError, match=r"^scale: must be auto or a number from min \(2\) to max \(8\), was '"):
        scale_order(text, POLICY)


def test_a_missing_proxy_may_be_forgotten() -> None:
    assert Order(OrderKind.FORGET, proxy="west") == forget_order("west", ("east", "west"))


@pytest.mark.parametrize(
    ("silent", "words"),
    [
        (("east", "west"), r"forget: must be a missing proxy \(east, west\), was 'north'"),
        ((), "forget: must be a missing proxy; none is missing, was 'north'"),
    ],
)
def test_a_proxy_that_is_not_missing_is_not_forgotten(silent: tuple[str, ...], words: str) -> None:
    with pytest.raises(SettingsError, match=f"^{words}$"):
        forget_order("north", silent)
