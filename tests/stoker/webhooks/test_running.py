"""`stoker webhooks` as people run it: real processes, a real store, a real receiver."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from fleet.errors import SettingsError
from fleet.registry import Happening
from fleet.settings import load
from fleet.store.opening import open_registry
from stoker.webhooks.running import receiver_of
from tests.doors import patient
from tests.stoker.webhooks.builders import fault
from tests.stoker.webhooks.receiver import KEY, Receiver, receiving

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fleet.embedded import EmbeddedValkey
    from fleet.settings import Settings

ROOT = Path(__file__).resolve().parents[3]


def test_without_a_receiver_there_is_nothing_to_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SettingsError, match=r"webhooks\.url: must be set"):
        receiver_of(load())


def record(settings: Settings, *happenings: Happening) -> None:
    """As a scaler that acts for a moment."""
    registry = patient(open_registry(settings))
    lease = registry.acquire("s")
    assert lease is not None
    registry.record(lease, happenings)
    registry.release(lease)
    registry.close()


@contextmanager
def couriers(valkey: EmbeddedValkey, settings: Settings, folder: Path, receiver: Receiver) -> Iterator[list[int]]:
    """Two hosts' couriers; yields their pids once one of them delivers."""
    running = []
    try:
        for host in ("one", "two"):
            environment = os.environ | {
                "STOKER_FLEET": settings.fleet,
                "STOKER_REDIS_URL": valkey.url or "",
                "STOKER_STATE_DIR": str(folder / host),
                "STOKER_WEBHOOKS__URL": receiver.url,
                "STOKER_WEBHOOKS__SECRET": KEY,
                "STOKER_WEBHOOKS__TIMEOUT_S": "1",
                "STOKER_WEBHOOKS__EVERY_S": "0.01",  # every one is told on its own
                "PYTHONPATH": str(ROOT),
            }
            argv = [sys.executable, "-P", "-m", "stoker", "webhooks"]
            process = subprocess.Popen(argv, env=environment, cwd=folder, stderr=subprocess.PIPE, text=True)
            assert process.stderr is not None
            running.append(process)
            if host == "one":
                assert "delivering" in process.stderr.readline()
        yield [process.pid for process in running]
    finally:
        for process in running:
            process.terminate()
        for process in running:
            process.communicate(timeout=15)


@pytest.mark.live
@pytest.mark.timeout(90)
class TestLive:
    def test_two_hosts_tell_everything_once_and_a_killed_one_is_succeeded(
        self, valkey: EmbeddedValkey, store_settings: Settings, tmp_path: Path
    ) -> None:
        with receiving(answers=[500, 302]) as receiver:
            with couriers(valkey, store_settings, tmp_path, receiver) as (first, _):
                record(store_settings, fault("at-max"), fault("no-data"))
                assert ["at-max", "no-data"] == [one["kind"] for one in receiver.wait_for(2)]
                os.kill(first, signal.SIGKILL)
                record(store_settings, fault("no-host"), Happening(9.0, "deploy", "shop:2", "", "done"))
                told = receiver.wait_for(4, 40)
            assert ["at-max", "no-data", "no-host", "deploy-done"] == [one["kind"] for one in told]
            assert 0 == receiver.forged

    def test_a_receiver_that_hangs_holds_up_nothing_but_its_messages(
        self, valkey: EmbeddedValkey, store_settings: Settings, tmp_path: Path
    ) -> None:
        with (
            receiving(hang=threading.Event()) as receiver,
            couriers(valkey, store_settings, tmp_path, receiver),
        ):
            record(store_settings, fault("at-max"))
            assert [] == receiver.wait_for(1, 2.5)
            assert receiver.hang is not None
            hang, receiver.hang = receiver.hang, None
            hang.set()
            assert "at-max" == receiver.wait_for(1)[0]["kind"]
