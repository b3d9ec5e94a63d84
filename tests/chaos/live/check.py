"""Holds what a live run left behind against the promises: the load's record, the apps', the history, the traces."""

from __future__ import annotations

import contextlib
import json
from collections import Counter
from dataclasses import dataclass, field

from fleet.backend import CAPACITY, LEAVING, Phase
from scaler.trace import replay
from tests.chaos.live.accounts import Accounts
from tests.chaos.live.faults import Faults
from tests.chaos.live.load import Load
from tests.chaos.live.records import Record, read_records
from tests.chaos.live.stage import Stage
from tests.chaos.live.terms import late_take_overs

# A publication may be lost with the store this long before anyone has seen it.
LOST_S = 1.5
STORE_LOST = {"store-wiped", "store-old", "store-down", "store-hung"}
DRAIN_EARLY_S = 0.6
TRACEBACK = "Traceback (most recent call last):"


@dataclass(slots=True)
class Checker:
    """`began` is the run's start on the monotonic clock; every line tells a moment from there."""

    stage: Stage
    loads: list[Load]
    faults: Faults
    exits: list[tuple[float, str]]
    began: float
    rest_s: float | None
    allowed: Counter[str] = field(default_factory=Counter)
    records: dict[str, Record] = field(default_factory=dict)

    def broken(self) -> list[str]:
        """Every promise that was broken, with its moment."""
        self.records = read_records(self.stage.record)
        return [
            *self._requests(),
            *self._started_twice(),
            *self._stops(),
            *self._registry(),
            *self._history(),
            *self._ends(),
            *(self._at(at) + what for at, what in late_take_overs(self.stage, self.faults, self.began)),
            *self._parts(),
            *self._traces(),
        ]

    def _at(self, moment: float) -> str:
        return f"at {moment - self.began:.1f} s: "

    def _requests(self) -> list[str]:
        accounts = Accounts(self.stage, self.faults, self.records)
        found = []
        for load in self.loads:
            for one in load.failed:
                why = accounts.why(one)
                if why is None:
                    found.append(self._at(one.sent_at) + f"lost: {one}; {accounts.told(one)}")
                else:
                    self.allowed[why] += 1
        begun = Counter(number for record in self.records.values() for number in record.begun)
        found += [f"executed twice: request {number}" for number, times in begun.items() if times > 1]
        return found

    def _started_twice(self) -> list[str]:
        return [
            self._at(record.boots[1]) + f"nothing is started twice: {name} booted {len(record.boots)} times"
            for name, record in self.records.items()
            if len(record.boots) > 1
        ]

    def _stops(self) -> list[str]:
        """Whoever was told to end had been published as leaving, with nothing in flight or at its deadline."""
        found = []
        for name, record in self.records.items():
            if not record.terms:
                continue
            at = record.terms[0]
            phases = [
                (since, one)
                for since, one in self.stage.watch.history
                if one.kind == "instance" and one.subject == name
            ]
            last = next((one.after for since, one in reversed(phases) if since <= at and one.after != "gone"), "")
            if last not in {"stopping", "failed"} and not self._store_lost(at):
                found.append(self._at(at) + f"publish, then act: {name} was told to end while {last or 'unknown'}")
            drained = next((since for since, one in phases if one.after == "draining"), None)
            flying = [
                number
                for number, (begin, end) in record.begun.items()
                if begin < at - 0.05 and (end is None or end > at)
            ]
            early = drained is not None and at - drained < self.stage.settings.life.drain_timeout_s - DRAIN_EARLY_S
            if flying and early:
                found.append(self._at(at) + f"cut before its drain's deadline: {name}, requests {flying}")
        return found

    def _store_lost(self, at: float) -> bool:
        return any(one.kind in STORE_LOST and one.at - LOST_S <= at <= one.until + LOST_S for one in self.faults.done)

    def _registry(self) -> list[str]:
        """Along all that was seen of the registry: limits, generations, and that who leaves never comes back."""
        found, left, generation, seen = [], set[str](), 0, self.began
        sizes = self.stage.settings.policy
        stepped = any(one.kind == "clock-step" for one in self.faults.done)
        for look in self.stage.watch.looks:
            snapshot = look.status.snapshot if look.status else None
            if snapshot is None:
                continue
            if snapshot.generation < generation and not self._old(look.at) and not stepped:
                found.append(self._at(look.at) + f"generations never go back: {snapshot.generation} after {generation}")
            generation = max(generation, snapshot.generation)
            if any(one.kind == "store-wiped" and seen < one.at <= look.at for one in self.faults.done):
                left.clear()  # who takes over with an empty store cannot know of what was leaving
            seen = look.at
            capacity = [name for name, one in snapshot.backends.items() if one.phase in CAPACITY]
            if len(capacity) > sizes.max + self.stage.settings.life.surge and not self._old(look.at):
                found.append(self._at(look.at) + f"never above the limits: {capacity}, max {sizes.max}")
            back = left.intersection(capacity)
            if back and not self._old(look.at):
                found.append(self._at(look.at) + f"who leaves never comes back: {sorted(back)}")
            left |= {name for name, one in snapshot.backends.items() if one.phase in LEAVING}
        return found

    def _old(self, at: float) -> bool:
        return any(one.kind == "store-old" and one.at <= at for one in self.faults.done)

    def _history(self) -> list[str]:
        return [
            self._at(seen) + f"every change has a reason: {one.subject} {one.before} -> {one.after}"
            for seen, one in self.stage.watch.history
            if one.kind in {"instance", "decision", "state"} and not (one.reasons and all(one.reasons))
        ]

    def _ends(self) -> list[str]:
        """After the last fault it comes to rest: what runs is listed and serves, one acts, the others wait."""
        last = self.stage.watch.last
        listed = dict(last.backends or {})
        running = self.stage.instances()
        found = []
        if self.rest_s is None:
            shown = {name: str(one.phase) for name, one in listed.items()}
            readings = last.status.sighting.readings if last.status else ()
            proxies = [(one.id, one.generation, one.in_flight, one.held) for one in readings]
            silent = last.status.sighting.silent if last.status else ()
            found.append(f"it comes to rest: {shown}, running {sorted(running)}, proxies {proxies}, silent {silent}")
        if orphans := sorted(running.keys() - listed.keys()):
            found.append(f"nothing is orphaned: {orphans} run and are not listed")
        if ghosts := sorted(name for name, one in listed.items() if one.phase is Phase.SERVING and name not in running):
            found.append(f"what is listed runs: {ghosts} do not")
        shown = json.loads(self.stage.command("status", "--json"))
        acting = [one["id"] for one in shown["scalers"] if one["acting"]]
        waiting = [one["id"] for one in shown["scalers"] if not one["acting"]]
        if len(acting) != 1 or len(waiting) != len(self.stage.scalers) - 1:
            found.append(f"status says who acts and who waits: {shown['scalers']}")
        return found

    def _parts(self) -> list[str]:
        """No part dies by itself, but a scaler that starts while no store answers; and none says that it is broken."""
        found = []
        for at, name in self.exits:
            down = any(
                (one.kind in STORE_LOST or (one.kind == "cut" and one.target == name))
                and one.at <= at <= one.until + 12
                for one in self.faults.done
            )
            if not (name.startswith("scaler") and down):
                found.append(self._at(at) + f"no part dies: {name} ended: {self.stage.part(name).said()[-300:]!r}")
        for part in self.stage.parts:
            _, *raised = part.said().split(TRACEBACK)
            found += [f"{part.name} said: {TRACEBACK}{text[:2000]}" for text in raised if not _is_an_end(text)]
        return found

    def _traces(self) -> list[str]:
        """Each scaler's trace, taken again, gives what was recorded."""
        self.stage.keep_traces()
        found = []
        for path in sorted((self.stage.state / "kept").glob("*.trace")):
            with contextlib.suppress(FileNotFoundError):
                try:
                    found += [
                        f"{path.name}:{one.line}: replayed otherwise: {one.differs}"
                        for one in replay(path)
                        if one.differs
                    ]
                except ValueError as error:
                    full = any(one.kind == "disk-full" for one in self.faults.done)
                    found += [] if full else [str(error)]
        return found

    def story(self) -> list[str]:
        """Faults and history in one list, for whoever looks for a cause."""
        lines = [
            (one.at, f"FAULT {one.kind} {one.target} until {one.until - self.began:.1f} s") for one in self.faults.done
        ]
        lines += [(at, f"KILLED {name}") for name, at in self.faults.kills.items()]
        lines += [
            (seen, f"{one.kind} {one.subject} {one.before} -> {one.after} ({'; '.join(one.reasons)[:160]})")
            for seen, one in self.stage.watch.history
        ]
        return [f"{at - self.began:7.1f}  {line}" for at, line in sorted(lines)]


def _is_an_end(text: str) -> bool:
    """Whether it is what mitmproxy says of each connection that its own end cuts."""
    return next((line for line in text.split("\n")[1:] if line[:1].strip()), "").startswith(
        "asyncio.exceptions.Cancelled"
    )
