"""`stoker webhooks`: the courier, until a signal."""

from __future__ import annotations

import os
import secrets
import socket
from contextlib import suppress
from typing import TYPE_CHECKING

import structlog

from fleet.clock import Clock
from fleet.errors import SettingsError, StoreUnavailableError
from fleet.store.opening import open_crash_desk, open_delivery, open_desk
from stoker.signals import Signals
from stoker.webhooks.courier import LOOK_S, Courier
from stoker.webhooks.place import PlaceFile
from stoker.webhooks.post import Receiver

if TYPE_CHECKING:
    from collections.abc import Callable

    from fleet.settings import Settings

log = structlog.get_logger()


def run_webhooks(settings: Settings, say: Callable[[str], None]) -> None:
    """Deliver until a signal. Raises SettingsError without a receiver, StoreUnavailableError without any store."""
    receiver = receiver_of(settings)
    courier = assembled(settings, receiver)
    say(f"messages about fleet {settings.fleet} go to the receiver of webhooks.url")
    lost = False
    with Signals() as signals:
        wait_s = 0.0
        while not signals.wait(wait_s):
            try:
                wait_s = courier.step()
            except StoreUnavailableError as error:
                if not lost:
                    log.warning("waiting: the store cannot be used", reason=str(error))
                lost, wait_s = True, LOOK_S
                continue
            if lost:
                log.info("the store answers again")
            lost = False
    with suppress(StoreUnavailableError):  # then the right to deliver ends by itself
        courier.close()


def receiver_of(settings: Settings) -> Receiver:
    """Where messages go. Raises SettingsError, one line, where that is not set or the secret cannot be had."""
    webhooks = settings.webhooks
    if webhooks.url is None:
        raise SettingsError("webhooks.url: must be set: there is no receiver of messages")
    return Receiver(webhooks.url.get_secret_value(), webhooks.key(), webhooks.timeout_s)


def assembled(settings: Settings, receiver: Receiver) -> Courier:
    """A courier on the real store. Raises StoreUnavailableError where none is known."""
    return Courier(
        settings,
        f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}",
        open_desk(settings),
        open_crash_desk(settings),
        open_delivery(settings),
        receiver,
        PlaceFile(settings.state_path / f"{settings.app}.webhooks.json"),
        Clock().now,
    )
