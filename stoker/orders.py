"""What a person may order of the acting scaler: checked here, placed in the store, carried out there."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from fleet.errors import SettingsError
from fleet.registry import Order, OrderKind
from fleet.release import IMAGE_REFERENCE, MAX_SHARE
from fleet.store.opening import open_desk

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from fleet.settings import PolicySettings, Settings


def scale_order(text: str, policy: PolicySettings) -> Order:
    """`auto` or a number from min to max. Raises SettingsError, one line, for anything else."""
    if text == "auto":
        return Order(OrderKind.AUTO)
    if not text.isascii() or not text.isdigit() or not policy.min <= int(text) <= policy.max:
        raise SettingsError(
            f"scale: must be auto or a number from min ({policy.min}) to max ({policy.max}), was {text!r}"
        )
    return Order(OrderKind.SCALE, int(text))


def deploy_order(image: str | None, settings: Settings, *, rollback: bool) -> Order:
    """To deploy an image, the configured one again, or what was in force before. Raises SettingsError, one line."""
    if rollback:
        if image is not None:
            raise SettingsError(
                f"deploy: --rollback goes back to what was in force before, without an image, was {image!r}"
            )
        return Order(OrderKind.ROLLBACK)
    if image is None:
        return Order(OrderKind.DEPLOY)
    if settings.actuator.kind == "process":
        raise SettingsError(
            f"deploy: with actuator.kind process there is no image, was {image!r}; change instance.command and restart"
        )
    if not IMAGE_REFERENCE.fullmatch(image):
        raise SettingsError(f"deploy: must name an image, such as shop:2 or shop@sha256:..., was {image[:80]!r}")
    return Order(OrderKind.DEPLOY, image=image)


def release_order(  # the options of one command
    image: str | None,
    settings: Settings,
    *,
    rollback: bool,
    canary: str | None,
    sticky: bool,
    promote: bool,
    abort: bool,
) -> Order:
    """What the options of `stoker deploy` ask for together. Raises SettingsError, one line."""
    chosen = [
        name
        for name, on in (("--rollback", rollback), ("--canary", canary), ("--promote", promote), ("--abort", abort))
        if on is not None and on is not False
    ]
    if len(chosen) > 1:
        raise SettingsError(f"deploy: one of --rollback, --canary, --promote and --abort, was {' '.join(chosen)}")
    if sticky and canary is None:
        raise SettingsError("deploy: --sticky is about a --canary")
    if promote or abort:
        return verdict_order(image, promote=promote)
    if canary is not None:
        return canary_order(image, settings, share=canary, sticky=sticky)
    return deploy_order(image, settings, rollback=rollback)


def canary_order(image: str | None, settings: Settings, *, share: str, sticky: bool) -> Order:
    """To try an image on a share of the traffic. Raises SettingsError, one line."""
    digits = share.removesuffix("%")
    if not digits.isascii() or not digits.isdigit() or not 0 < int(digits[:9]) <= MAX_SHARE:
        raise SettingsError(f"deploy: --canary must be 1% to {MAX_SHARE}%, was {share!r}")
    order = deploy_order(image, settings, rollback=False)
    if not order.image:
        raise SettingsError("deploy: --canary tries an image beside the one in force; name it")
    return replace(order, share=int(digits), sticky=sticky)


def verdict_order(image: str | None, *, promote: bool) -> Order:
    """To make the canary's release the one in force, or to cut it off. Raises SettingsError, one line."""
    name = "--promote" if promote else "--abort"
    if image is not None:
        raise SettingsError(f"deploy: {name} is about the canary that is tried, without an image, was {image!r}")
    return Order(OrderKind.PROMOTE if promote else OrderKind.ABORT)


def forget_order(proxy: str, silent: Sequence[str]) -> Order:
    """To wait no longer for one of the missing proxies. Raises SettingsError, one line, for any other."""
    if proxy not in silent:
        missing = f"a missing proxy ({', '.join(silent)})" if silent else "a missing proxy; none is missing"
        raise SettingsError(f"forget: must be {missing}, was {proxy!r}")
    return Order(OrderKind.FORGET, proxy=proxy)


def place(settings: Settings, order: Order, say: Callable[[str], None]) -> None:
    """Leave the order and say who will carry it out. Raises StoreUnavailableError."""
    desk = open_desk(settings)
    order_id = desk.place(order)
    acting = desk.status().acting
    what = order.proxy or (str(order.count) if order.count is not None else "")
    words = f"{order.kind} {what}".rstrip()
    whom = f"scaler {acting}" if acting else "the next scaler that acts; none does now"
    say(f"ordered {words} ({order_id}), for {whom}")
