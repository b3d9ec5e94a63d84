"""What `stoker deploy` makes of the events of a canary."""

from __future__ import annotations

from fleet.registry import Happening
from stoker.deploy import Following


def heard(*happenings: Happening) -> Following:
    following = Following("7-1")
    for one in happenings:
        following.hear(one)
    return following


def deploy(after: str, *reasons: str) -> Happening:
    return Happening(0, "deploy", "shop:2", "", after, reasons)


def canary(after: str, *reasons: str) -> Happening:
    return Happening(0, "canary", "shop:2", "", after, reasons)


ASKED = deploy("asked", "order 7-1")


def test_a_canary_that_serves_ends_its_order_well() -> None:
    assert heard(ASKED, canary("begun", "10 % of the traffic")).code is None
    assert heard(ASKED, canary("begun"), canary("serving", "10 % of the traffic")).code == 0


def test_one_that_is_cut_before_it_serves_has_failed_with_the_reason() -> None:
    found = heard(ASKED, canary("begun"), canary("cut", "3 of its instances failed", "shop:1 stays"))
    assert (1, ["3 of its instances failed", "shop:1 stays"]) == (found.code, found.why)


def test_one_that_is_in_force_already_has_failed() -> None:
    assert heard(ASKED, canary("refused", "spec1 is in force already")).code == 1


def test_an_image_that_cannot_be_had_has_failed() -> None:
    assert heard(ASKED, deploy("failed", "no such image")).code == 1


def test_a_promotion_ends_with_the_deploy_that_follows() -> None:
    begun = (canary("promoted", "order 7-1"), deploy("proven", "order 7-1"))
    assert heard(*begun).code is None
    assert heard(*begun, deploy("done")).code == 0
    assert heard(*begun, deploy("failed", "production9: gone")).code == 1


def test_an_abort_ends_with_the_cut() -> None:
    assert heard(canary("cut", "order 7-1", "shop:1 stays")).code == 0


def test_anothers_canary_is_not_ours() -> None:
    following = Following("7-1")
    assert not following.hear(canary("cut", "order 5-1"))
    assert not following.hear(canary("serving"))
    assert following.code is None
