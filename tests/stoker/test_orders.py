from __future__ import annotations

import pytest

from fleet.errors import SettingsError
from fleet.registry import Order, OrderKind
from fleet.settings import PolicySettings, Settings
from stoker.orders import deploy_order, forget_order, release_order, scale_order

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


CONTAINERS = Settings()
PROCESSES = Settings(actuator={"kind": "process"}, instance={"command": ("app", "{port}")})


def test_an_image_the_configured_one_and_the_one_before_are_orders() -> None:
    assert Order(OrderKind.DEPLOY, image="shop:2") == deploy_order("shop:2", CONTAINERS, rollback=False)
    assert Order(OrderKind.DEPLOY) == deploy_order(None, PROCESSES, rollback=False)
    assert Order(OrderKind.ROLLBACK) == deploy_order(None, CONTAINERS, rollback=True)


@pytest.mark.parametrize(
    ("image", "settings", "rollback", "words"),
    [
        ("shop 2", CONTAINERS, False, r"deploy: must name an image, such as shop:2 or shop@sha256:..., was 'shop 2'"),
        ("", CONTAINERS, False, "deploy: must name an image, such as shop:2 or shop@sha256:..., was ''"),
        (
            "shop:2",
            CONTAINERS,
            True,
            "deploy: --rollback goes back to what was in force before, without an image, was 's",
        ),
        ("shop:2", PROCESSES, False, "deploy: with actuator.kind process there is no image, was 'shop:2'; change"),
    ],
)
def test_another_deploy_is_refused_in_one_line(image: str, settings: Settings, words: str, *, rollback: bool) -> None:
    with pytest.raises(SettingsError, match=f"^{words}"):
        deploy_order(image, settings, rollback=rollback)


def asked(image: str | None = None, **options: object) -> Order:
    off = {"rollback": False, "canary": None, "sticky": False, "promote": False, "abort": False}
    return release_order(image, Settings(instance={"image": "shop:1"}), **{**off, **options})  # type: ignore[arg-type]


@pytest.mark.parametrize(("share", "expected"), [("10%", 10), ("10", 10), ("1%", 1), ("50%", 50)])
def test_a_canary_is_a_deploy_with_a_share(share: str, expected: int) -> None:
    assert Order(OrderKind.DEPLOY, image="shop:2", share=expected, sticky=True) == asked(
        "shop:2", canary=share, sticky=True
    )


@pytest.mark.parametrize("share", ["0%", "200%", "51%", "", "%", "-1%", "10%%", "1.5%", "ten", "٣%", "9" * 5000])
def test_a_share_of_nothing_or_of_more_than_half_is_refused(share: str) -> None:
    with pytest.raises(SettingsError, match=r"^deploy: --canary must be 1% to 50%, was '"):
        asked("shop:2", canary=share)


def test_promote_and_abort_are_about_the_canary_that_is_there() -> None:
    assert Order(OrderKind.PROMOTE) == asked(promote=True)
    assert Order(OrderKind.ABORT) == asked(abort=True)


@pytest.mark.parametrize(
    ("image", "options", "words"),
    [
        (None, {"canary": "10%"}, "--canary tries an image beside the one in force; name it"),
        ("shop:2", {"sticky": True}, "--sticky is about a --canary"),
        ("shop:2", {"promote": True}, "--promote is about the canary that is tried, without an image, was 'shop:2'"),
        ("shop:2", {"abort": True}, "--abort is about the canary that is tried, without an image, was 'shop:2'"),
        (None, {"abort": True, "promote": True}, "one of --rollback, .* was --promote --abort"),
        (None, {"rollback": True, "canary": "1%"}, "one of --rollback, .* was --rollback --canary"),
        ("not an image", {"canary": "1%"}, "must name an image"),
    ],
)
def test_options_that_do_not_go_together_are_refused(image: str | None, options: dict[str, object], words: str) -> None:
    with pytest.raises(SettingsError, match=f"^deploy: {words}"):
        asked(image, **options)
