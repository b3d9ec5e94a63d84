"""Delivery on a real store, with a receiver that does as it is told and a clock that is moved by hand."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from structlog.testing import capture_logs

from fleet.crash import Capture
from fleet.registry import Lease
from fleet.settings import Settings
from fleet.store.opening import open_crash_desk, open_crash_log, open_delivery, open_desk, open_registry
from fleet.store.scaler_side import RedisRegistry
from stoker.webhooks.courier import LONGEST_RETRY_S, LOOK_S, STAND_BY_S, Courier
from stoker.webhooks.outbox import LIMIT
from stoker.webhooks.place import PlaceFile
from tests.doors import patient
from tests.stoker.webhooks.builders import failure, fault

if TYPE_CHECKING:
    from collections.abc import Iterator, MutableMapping, Sequence

    from fleet.crash import Entry
    from fleet.delivery import Place
    from fleet.registry import Happening


@dataclass
class Told:
    """A sender that remembers; `failing` is what it says instead of taking a message."""

    failing: str = ""
    got: list[dict[str, Any]] = field(default_factory=list)
    tries: int = 0

    def send(self, identity: str, body: bytes, timestamp: str) -> str:
        self.tries += 1
        assert timestamp.isdigit()
        if not self.failing:
            self.got.append(json.loads(body))
            assert identity == self.got[-1]["id"]
        return self.failing


@dataclass
class Rig:
    """A fleet's store, its clock, and as many couriers as are asked for."""

    settings: Settings
    folder: Path
    registry: RedisRegistry
    lease: Lease
    now: float = 1000.0
    sender: Told = field(default_factory=Told)
    opened: list[Any] = field(default_factory=list)

    def courier(self, owner: str = "a", sender: Told | None = None, host: str = "here") -> Courier:
        doors = patient(open_desk(self.settings)), open_crash_desk(self.settings), open_delivery(self.settings)
        self.opened += doors
        file = PlaceFile(self.folder / host / "webhooks.json")
        return Courier(self.settings, owner, *doors, sender or self.sender, file, lambda: self.now, jitter=lambda: 1.0)

    def record(self, *happenings: Happening) -> None:
        self.registry.record(self.lease, happenings)

    def crash(self, *entries: Entry) -> None:
        async def write() -> None:
            log = open_crash_log(self.settings)
            for entry in entries:
                if isinstance(entry, Capture):
                    await log.captured(entry, b"x")
                else:
                    await log.failed([entry])  # type: ignore[list-item]
            await log.aclose()

        asyncio.run(write())

    def kinds(self) -> list[str]:
        return [message["kind"] for message in self.sender.got]


@pytest.fixture
def rig(store_settings: Settings, tmp_path: Path) -> Iterator[Rig]:
    registry = patient(open_registry(store_settings))
    lease = registry.acquire("s")
    assert lease is not None
    found = Rig(store_settings, tmp_path, registry, lease)
    yield found
    registry.close()
    for door in found.opened:
        door.close()


def lines(logs: Sequence[MutableMapping[str, Any]]) -> list[str]:
    return [line["event"] for line in logs if line["log_level"] == "warning"]


def step(courier: Courier, times: int = 1) -> None:
    for _ in range(times):
        courier.step()


def test_what_happened_before_the_first_courier_is_not_told(rig: Rig) -> None:
    rig.record(fault("at-max"))
    courier = rig.courier()
    step(courier)
    rig.record(fault("no-data"))
    step(courier)
    assert ["no-data"] == rig.kinds()


def test_a_message_names_the_fleet_and_its_own_id(rig: Rig) -> None:
    courier = rig.courier()
    step(courier)
    rig.record(fault("at-max", "begins", "max: 9 wanted, 5 allowed"))
    step(courier)
    [message] = rig.sender.got
    assert (rig.settings.fleet, "production", "max: 9 wanted, 5 allowed") == (
        message["fleet"],
        message["app"],
        message["text"],
    )
    assert message["id"].startswith(f"{rig.settings.fleet}/production/events/")


def test_a_crash_is_told_with_its_exception(rig: Rig) -> None:
    courier = rig.courier()
    step(courier)
    rig.crash(failure("c1"), Capture("c1", "NoMethodError", "secret"))
    step(courier)
    assert [] == rig.kinds()
    rig.now += 2.0
    step(courier)
    assert ["NoMethodError: a GET answered 500; stoker crashes show c1"] == [one["text"] for one in rig.sender.got]


def test_a_restart_neither_repeats_nor_loses(rig: Rig) -> None:
    first = rig.courier("a")
    step(first)
    rig.record(fault("at-max"))
    step(first)
    rig.sender.failing = "it answered 500"
    rig.record(fault("no-data"))
    step(first)
    first.close()
    rig.record(fault("no-host"))
    rig.sender.failing = ""
    second = rig.courier("b")
    step(second, 3)
    assert ["at-max", "no-data", "no-host"] == rig.kinds()


def test_a_restart_goes_on_though_the_store_forgot_everything(rig: Rig) -> None:
    first = rig.courier()
    step(first)
    rig.record(fault("at-max"))
    step(first)
    first.close()
    open_desk(rig.settings).client.delete(rig.registry.keys.webhooks, rig.registry.keys.events)
    rig.record(fault("no-data"))
    second = rig.courier("b")
    step(second)
    assert ["at-max", "no-data"] == rig.kinds()


def test_another_host_takes_over_where_the_first_got_to(rig: Rig) -> None:
    first, other = rig.courier("a", host="one"), rig.courier("b", host="two")
    step(first)
    rig.record(fault("at-max"))
    assert (LOOK_S, STAND_BY_S) == (first.step(), other.step())
    first.close()
    rig.record(fault("no-data"))
    step(other, 2)
    assert STAND_BY_S == first.step()
    assert ["at-max", "no-data"] == rig.kinds()


def test_a_receiver_that_fails_is_asked_ever_more_rarely(rig: Rig) -> None:
    courier = rig.courier()
    step(courier)
    rig.sender.failing = "no answer within 5 s"
    rig.record(fault("at-max"))
    asked = list[float]()
    with capture_logs() as logs:
        while rig.now < 1000.0 + 600:
            before = rig.sender.tries
            step(courier)
            if rig.sender.tries > before:
                asked.append(rig.now - 1000.0)
            rig.now += 1.0
    assert [0, 1, 3, 7, 15, 31, 63, 127, 255, 511] == asked
    assert ["the receiver does not take messages; trying again", "message given up"] == lines(logs)


def test_after_one_was_given_up_the_receiver_is_not_asked_more_often(rig: Rig) -> None:
    courier = rig.courier()
    step(courier)
    rig.sender.failing = "it answered 500"
    rig.record(fault("at-max"), fault("no-data"))
    while rig.now < 1000.0 + 1500:
        step(courier)
        rig.now += 1.0
    assert 10 + (1500 - 511) // LONGEST_RETRY_S == rig.sender.tries
    rig.sender.failing = ""
    rig.now += LONGEST_RETRY_S
    step(courier, 2)
    assert ["no-data"] == rig.kinds()


def test_what_waits_is_bounded_and_the_oldest_are_given_up_in_one_line(rig: Rig) -> None:
    settings = rig.settings.model_copy(
        update={"webhooks": rig.settings.webhooks.model_copy(update={"every_s": 0.001, "tries": 100})}
    )
    rig.settings = settings
    courier = rig.courier()
    step(courier)
    rig.sender.failing = "it answered 500"
    for _ in range(LIMIT + 20):
        rig.record(fault("at-max"))
        rig.now += 1.0
        step(courier)
    with capture_logs() as logs:
        rig.record(fault("at-max"))
        rig.now += 1.0
        step(courier)
    assert ["messages given up: too many wait for the receiver"] == lines(logs)
    rig.sender.failing = ""
    rig.now += LONGEST_RETRY_S
    step(courier, 2 * LIMIT)
    assert LIMIT == len(rig.sender.got)


def test_kinds_that_are_not_wanted_are_passed_over(rig: Rig) -> None:
    rig.settings = rig.settings.model_copy(
        update={"webhooks": rig.settings.webhooks.model_copy(update={"kinds": ("crash",)})}
    )
    courier = rig.courier()
    step(courier)
    rig.record(fault("at-max"))
    step(courier)
    assert ([], open_newest(rig)) == (rig.kinds(), courier.file.read().events)


def open_newest(rig: Rig) -> str:
    door = open_delivery(rig.settings)
    newest: Place = door.newest()
    door.close()
    return newest.events


def test_a_courier_that_lost_its_right_settles_nothing(rig: Rig) -> None:
    first, other = rig.courier("a", host="one"), rig.courier("b", host="two")
    step(first)
    first.delivery.release("a")
    step(other)
    rig.record(fault("at-max"))
    step(first)
    step(other)
    step(first)
    assert ["at-max"] == rig.kinds()
