"""`stoker demo`: a real fleet, a load that climbs and falls, and what a person sees of both."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from dataclasses import dataclass

from rich.console import Console
from rich.live import Live

from fleet.backend import Phase
from fleet.clock import Clock
from fleet.errors import StoreUnavailableError
from fleet.store.desk import RedisDesk
from fleet.store.opening import open_desk
from stoker.demo.client import Client
from stoker.demo.load import Load
from stoker.demo.record import Record, Sample, Shape, judge
from stoker.demo.screen import last_screen, line, picture
from stoker.demo.stage import MAX, Stage, stage
from stoker.errors import CommandError
from stoker.lines import status_json

LOOK_S = 0.2
LINE_S = 1.0
SERVES_WITHIN_S = 60.0
WIDEST = 100
# A play takes seconds: more than this would be more than the one instance carries until then.
STRENGTH = {"process": 1.0, "docker": 1.0, "ansible": 0.5}


@dataclass(slots=True)
class Demo:
    """One run on a stage. `now` is the clock of everything that is measured."""

    stage: Stage
    desk: RedisDesk
    load: Load
    record: Record
    now: Callable[[], float]
    _seen: str = ""

    async def run(self, show: Callable[[Record], None]) -> None:
        """Send the whole load and look on."""
        record, shape = self.record, self.record.shape
        record.started_at = self.now()
        sending = asyncio.ensure_future(self.load.run(shape, shape.seconds))
        try:
            while not sending.done():
                self.stage.check()
                await asyncio.to_thread(self._look)
                show(record)
                await asyncio.wait([sending], timeout=LOOK_S)
            await sending
        finally:
            sending.cancel()
        await asyncio.to_thread(self._look)

    def _look(self) -> None:
        record, load = self.record, self.load
        content = status_json(self.stage.settings, self.desk.status())
        new = self.desk.history(self._seen, wait_s=0)
        self._seen = new[-1][0] if new else self._seen
        record.happenings += [happening for _, happening in new]
        at_s = self.now() - record.started_at
        rate = record.shape(at_s)
        record.samples.append(Sample(at_s, content, rate, load.sent, len(load.failed), load.p95_s()))


def run_demo(actuator: str, seconds: float, kind: str = "mitmproxy") -> int:
    """Run it; 0 if no request failed and the fleet followed the load, else 1. Raises CommandError."""
    console, now = Console(highlight=False), Clock().now
    width = min(console.width, WIDEST)
    with stage(actuator, proxy={"kind": kind}) as found:
        proxy = found.settings.proxy
        console.print(f"[dim]starting a fleet of {actuator} instances behind {kind}, {found.settings.fleet} ...[/]")
        desk = asyncio.run(serving_desk(found))
        load = Load(Client(proxy.listen_address, proxy.listen_port), now)
        demo = Demo(found, desk, load, Record(Shape(seconds, STRENGTH[actuator]), now()), now)
        if sys.stdout.isatty():
            title = f"{actuator} instances behind http://{proxy.listen_address}:{proxy.listen_port}"
            with Live(console=console, auto_refresh=False, transient=True) as live:
                asyncio.run(demo.run(lambda record: live.update(picture(record, title, MAX, width), refresh=True)))
        else:
            asyncio.run(demo.run(_liner()))
        console.print("[dim]stopping it ...[/]")
    verdict = judge(demo.record, load.ended, load.first_answers)
    console.print(last_screen(demo.record, verdict, MAX, width))
    return 0 if verdict.passed else 1


def _liner() -> Callable[[Record], None]:
    due = 0.0

    def show(record: Record) -> None:
        nonlocal due
        sample = record.samples[-1]
        if sample.at_s >= due:
            due = sample.at_s + LINE_S
            sys.stdout.write(line(sample) + "\n")
            sys.stdout.flush()

    return show


async def serving_desk(found: Stage) -> RedisDesk:
    """The fleet's desk, once an instance serves."""
    desk: RedisDesk | None = None
    try:
        async with asyncio.timeout(SERVES_WITHIN_S):
            while True:
                found.check()
                try:
                    desk = desk or open_desk(found.settings)
                    if status_json(found.settings, desk.status())["state"] in {"IDLE", "UP"}:
                        return desk
                except StoreUnavailableError:
                    desk = None  # it is being started
                await asyncio.sleep(LOOK_S)
    except TimeoutError as error:
        lines = found.log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        failed = [line for line in lines if f" -> {Phase.FAILED} " in line]
        said = [*lines, *failed][-1] if lines else "stoker up said nothing"
        raise CommandError(f"demo: no instance serves after {SERVES_WITHIN_S:g} s; the last word: {said}") from error
