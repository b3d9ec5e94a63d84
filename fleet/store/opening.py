"""The doors to the store, one a role; nothing connects before the first call."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fleet.crash import Retention
from fleet.embedded import running_url
from fleet.errors import StoreUnavailableError
from fleet.store.address import Address, address_of
from fleet.store.connection import connect, connect_async
from fleet.store.crashes import RedisCrashDesk, RedisCrashLog
from fleet.store.deliveries import RedisDelivery
from fleet.store.desk import RedisDesk
from fleet.store.inspection import Inspection
from fleet.store.keys import Keys
from fleet.store.proxy_side import RedisNoticeboard
from fleet.store.scaler_side import RedisRegistry
from fleet.store.snapshots import SnapshotReader

if TYPE_CHECKING:
    from fleet.settings import Settings


def open_registry(settings: Settings) -> RedisRegistry:
    """The acting scaler's side: a Registry and a Meter."""
    address, keys = _address(settings), Keys(settings.fleet, settings.app)
    return RedisRegistry(connect(address), address.shown, keys, SnapshotReader(keys, settings.networks))


def open_noticeboard(settings: Settings) -> RedisNoticeboard:
    """A proxy's side."""
    address, keys = _address(settings), Keys(settings.fleet, settings.app)
    return RedisNoticeboard(connect_async(address), address.shown, keys, SnapshotReader(keys, settings.networks))


def open_desk(settings: Settings) -> RedisDesk:
    """The `stoker` command's side."""
    address, keys = _address(settings), Keys(settings.fleet, settings.app)
    return RedisDesk(connect(address), address.shown, keys, SnapshotReader(keys, settings.networks))


def open_crash_log(settings: Settings) -> RedisCrashLog:
    """A data plane's side of the crashes."""
    address, keys = _address(settings), Keys(settings.fleet, settings.app)
    kept = settings.crashes
    retention = Retention(kept.keep, kept.keep_documents, kept.keep_s)
    return RedisCrashLog(connect_async(address), address.shown, keys, retention)


def open_crash_desk(settings: Settings) -> RedisCrashDesk:
    """The side of those who read about crashes."""
    address, keys = _address(settings), Keys(settings.fleet, settings.app)
    return RedisCrashDesk(connect(address), address.shown, keys)


def open_delivery(settings: Settings) -> RedisDelivery:
    """The side of whoever delivers messages."""
    address, keys = _address(settings), Keys(settings.fleet, settings.app)
    return RedisDelivery(connect(address), address.shown, keys)


def open_inspection(settings: Settings) -> Inspection:
    """The side of whoever wants to know what kind of server it is."""
    address = _address(settings)
    return Inspection(connect(address), address, Keys(settings.fleet, settings.app))


def _address(settings: Settings) -> Address:
    """Where the store is: `redis_url`, or the embedded server that runs in the fleet's state folder."""
    url = settings.redis_url.get_secret_value() if settings.redis_url else running_url(settings.state_path)
    if not url:
        raise StoreUnavailableError(
            f"Redis: redis_url is not set, and no embedded server of fleet {settings.fleet} runs in "
            f"{settings.state_path}; set it, or start `stoker up`"
        )
    return address_of(settings, url)
