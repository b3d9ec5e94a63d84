"""A fleet of containers behind a real `stoker up`, under load, to which the real command deploys."""

from __future__ import annotations

import asyncio
import io
import json
import os
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from fleet.backend import Phase
from fleet.clock import Clock
from fleet.settings import load as load_settings
from fleet.store.desk import RedisDesk
from fleet.store.opening import open_desk
from stoker.demo.client import Client
from stoker.demo.load import Load
from stoker.demo.run import serving_desk
from stoker.demo.stage import Stage
from tests.doors import patient
from tests.scaler.actuators.hands import folder_of_its_own, word_of_its_own
from tests.valkey import free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.engine import Engine

LONGEST_S = 600.0
LOOK_S = 0.05


@dataclass(frozen=True, slots=True)
class Deployed:
    """How one command ended: its exit code, why, and the events that it told."""

    code: int
    why: str
    events: list[dict[str, Any]]

    @property
    def words(self) -> list[str]:
        """What became of deploys and canaries, in order."""
        return [one["to"] for one in self.events if one["kind"] in {"deploy", "canary"}]


@dataclass(slots=True)
class Deploying:
    """A fleet that serves. `fewest` is how few served at any look since the load began."""

    stage: Stage
    desk: RedisDesk
    load: Load
    fewest: int = 1 << 30
    _over: threading.Event = field(default_factory=threading.Event)

    def deploy(self, *words: str) -> Deployed:
        """Run `stoker deploy` to its end."""
        config = str(self.stage.log.with_name("stoker.toml"))
        argv = [sys.executable, "-P", "-m", "stoker", "deploy", "--json", *words, "--config", config]
        ran = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        assert ran.stdout, ran.stderr
        *events, last = map(json.loads, ran.stdout.splitlines())
        assert ran.returncode == last["exit_code"]
        return Deployed(ran.returncode, "; ".join(last["reasons"]), events)

    def serving(self) -> dict[str, str]:
        """The specs of those that serve, by name."""
        snapshot = self.desk.status().snapshot
        backends = snapshot.backends.values() if snapshot else ()
        return {one.name: one.spec for one in backends if one.phase is Phase.SERVING}

    def images(self, engine: Engine) -> list[str]:
        """The ids of what the serving ones really run."""
        return [str(engine.client.containers.get(name).attrs["Image"]) for name in self.serving()]

    def replace(self, engine: Engine) -> None:
        """Kill what serves, and wait until as many others do."""
        before, seen = self.serving(), self.desk.history("", wait_s=0.0)[-1][0]
        for name in before:
            engine.client.containers.get(name).remove(force=True)
        while len(self.serving().keys() - before.keys()) < len(before):
            news = self.desk.history(seen, wait_s=1.0)
            seen = news[-1][0] if news else seen

    def under_load(self, work: Callable[[], None], rps: float) -> None:
        """Do it while so many requests come each second; those that failed are in `load.failed`."""
        asyncio.run(self._under_load(work, rps))

    async def _under_load(self, work: Callable[[], None], rps: float) -> None:
        watching = asyncio.ensure_future(asyncio.to_thread(self._watch))
        working = asyncio.ensure_future(asyncio.to_thread(work))
        sending = asyncio.ensure_future(self.load.run(lambda _: rps, LONGEST_S, working.done))
        try:
            await working
        finally:
            self._over.set()
            await asyncio.gather(sending, watching)

    def _watch(self) -> None:
        while not self._over.wait(LOOK_S):
            self.fewest = min(self.fewest, len(self.serving()))


@contextmanager
def images(engine: Engine, **commands: str) -> Iterator[dict[str, str]]:
    """An image for each, made of the test image with another command; removed at the end."""
    made = {}
    try:
        for name, command in commands.items():
            text = f'FROM {engine.image}\nENV VERSION="{name}"\nCMD {command}\n'
            tag = f"stoker-test-{os.getpid()}:{name}"
            engine.client.images.build(fileobj=io.BytesIO(text.encode()), tag=tag, rm=True)
            made[name] = tag
        yield made
    finally:
        for tag in made.values():
            engine.client.images.remove(tag, force=True)


@contextmanager
def deploying(engine: Engine, image: str, plane: str, count: int, actuator: str) -> Iterator[Deploying]:
    """So many instances of the image serve behind that plane; nothing of it is left at the end."""
    fleet, app = word_of_its_own(), word_of_its_own()
    with folder_of_its_own() as folder:
        config = folder / "stoker.toml"
        text = f"""fleet = "{fleet}"
            app = "{app}"
            state_dir = "{folder}"
            web.enabled = false
            metrics = {{ scaler_port = "none", haproxy_port = "none", mitmproxy_port = "none" }}
            proxy = {{ kind = "{plane}", listen_port = {free_port()} }}
            policy = {{ min = {count}, max = {count} }}
            life = {{ settle_s = 0.5, stop_grace_s = 2 }}
            [instance]
            image = "{image}"
            pull = "never"
            env = {{ PASSWORD = "hunter2-hunter2" }}
            [actuator]
            {actuator}
            """
        config.write_text("\n".join(line.strip() for line in text.splitlines()), encoding="utf-8")
        with _up(config) as stage:
            asyncio.run(serving_desk(stage)).close()
            desk = patient(open_desk(stage.settings))
            yield Deploying(stage, desk, Load(Client("127.0.0.1", stage.settings.proxy.listen_port), Clock().now))
            desk.close()
        engine.remove_fleet(fleet)


@contextmanager
def _up(config: Path) -> Iterator[Stage]:
    log = config.with_name("up.log")
    argv = [sys.executable, "-P", "-m", "stoker", "up", "--config", str(config)]
    with log.open("wb") as output:
        up = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )
    try:
        yield Stage(load_settings(config), up, log)
    except BaseException:
        print(log.read_text(encoding="utf-8", errors="replace"))
        raise
    finally:
        up.send_signal(signal.SIGINT)
        up.wait()
