"""One HAProxy kept as the fleet wants it: looked at, changed by commands, reloaded only with a reason."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from fleet.settings import Settings
from haproxy.answers import INFO, STATE, read_info, read_slots
from haproxy.canary import map_commands, map_faults, map_text, rows, weighed
from haproxy.commands import Command, fault
from haproxy.config_file import ConfigFile, have_map, sole_changer, write_map
from haproxy.control import reload
from haproxy.errors import HaproxyError
from haproxy.model import Running, Slot, Target, Wanted
from haproxy.plan import Commands, Reload, plan
from haproxy.render import Frame, Places
from haproxy.sections import read_marks, server_lines, with_slots
from haproxy.workers import Workers

if TYPE_CHECKING:
    from collections.abc import Sequence


# After a reload that failed the next try waits at least this long.
FAILED_RELOAD_S = 30.0
FILE_EVERY_S = 1.0


@dataclass(slots=True)
class Keeper:
    """Changes made through this object alone. `frame` is replaced when its files have changed.

    `looked` hears that the counters were read while a reload is under way.
    """

    settings: Settings
    places: Places
    file: ConfigFile
    binary: str
    workers: Workers
    frame: Frame
    log: Callable[..., None]
    looked: Callable[[], None] = lambda: None
    changes: int = 0
    reloads: Counter[str] = field(default_factory=Counter)
    slots: tuple[Slot, ...] = ()
    _reload_at: float = 0.0
    _write_at: float = 0.0
    _waiting: tuple[str, ...] = ()
    _shared: tuple[str, dict[str, str]] = ("", {})

    async def converge(self, targets: Sequence[Target], least: int) -> bool:
        """Bring the current worker to these targets; True once exactly these get requests.

        Raises HaproxyError where HAProxy cannot be asked.
        """
        async with sole_changer(self.places.lock):
            return await self._converge(targets, least)

    async def _converge(self, targets: Sequence[Target], least: int) -> bool:
        decision = plan(await self._running(), Wanted(self.frame.marks, least, weighed(targets)))
        commands = decision if isinstance(decision, Commands) else decision.first
        if not await self._carry_out(commands):
            return False
        if server_lines(commands.slots) != server_lines(self.slots):
            self._write_at = self._write_at or self.workers.now() + FILE_EVERY_S
        self.slots = commands.slots
        if isinstance(decision, Reload):
            await self._reload(decision)
        else:
            self._waiting = ()
        shared = await self._share(rows(targets, self.slots))
        return shared and {slot.holder for slot in self.slots if slot.enabled} == {target.name for target in targets}

    async def _share(self, found: dict[str, str]) -> bool:
        """Give a canary its share, or take it; the file first, from which a new worker starts."""
        current = self.workers.current
        if current is None or self._shared == (current.key, found):
            return current is not None
        path = self.places.canary
        await asyncio.to_thread(write_map, path, map_text(found))
        said = map_faults(await current.link.ask(*map_commands(str(path), found)))
        if said and found:
            self.log("the canary's share was not taken", faults=said[:2])
            return False
        if found or self._shared[1]:
            self.log("shared", canary=len(found))
        self._shared = (current.key, found)
        return True

    async def _running(self) -> Running:
        current = self.workers.current
        if current is None:
            raise HaproxyError(f"{self.places.stats}: no worker listens")
        state, info = await current.link.ask(STATE, INFO)
        busy = self.workers.busy_slots
        marks = read_marks(read_info(info).description)
        if not marks:
            raise HaproxyError(
                f"{self.places.stats}: what runs was not rendered by Stoker; start HAProxy with {self.places.config}"
            )
        return Running(marks, read_slots(state, self.workers.holders, dict.fromkeys(busy, False)))

    async def _carry_out(self, commands: Commands) -> bool:
        holders = {slot.name: slot.holder for slot in commands.slots if slot.holder}
        if not commands.commands:
            self.workers.hold(holders)
            return True
        self.workers.hold(holders)
        current = self.workers.current
        if current is None:
            return False
        answers = await current.link.ask(*(command.text for command in commands.commands))
        self.workers.busy_slots |= {slot.name for slot in commands.slots if not slot.idle and not slot.enabled}
        faults = [
            said for command, answer in zip(commands.commands, answers, strict=True) if (said := fault(command, answer))
        ]
        self.changes += len(answers) - len(faults)
        if faults:
            self.log("not every change was taken", faults=faults[:5], count=len(faults))
        else:
            self.log("changed", commands=_told(commands.commands))
        return not faults

    async def _reload(self, decision: Reload) -> None:
        now = self.workers.now()
        held = sum(seen.held for seen in self.workers.all) or self._under_way_without_anybody()
        if held or now < self._reload_at:
            if decision.reasons != self._waiting:
                self._waiting = decision.reasons
                why = f"{held} requests are held" if held else "the last one was just now"
                self.log("a reload waits", reasons=decision.reasons, because=why)
            return
        self._waiting = ()
        self._reload_at = now + self.settings.haproxy.min_reload_s
        try:
            await self._load(decision)
        except (HaproxyError, OSError) as error:
            self._reload_at = now + max(FAILED_RELOAD_S, self.settings.haproxy.min_reload_s)
            self.reloads["failed"] += 1
            self.log("reload failed; the former file and worker stay", reasons=decision.reasons, error=str(error))
        else:
            for reason in decision.reasons:
                self.reloads[reason.partition(" of ")[0]] += 1

    def _under_way_without_anybody(self) -> int:
        """Requests that may wait for an instance although nothing holds them: theirs refused them."""
        current = self.workers.current
        return current.front.in_flight if current is not None and not current.front.active else 0

    async def _load(self, decision: Reload) -> None:
        former = self.file.read()
        await asyncio.to_thread(have_map, self.places.canary)
        await asyncio.to_thread(self.file.replace, self.frame.text(decision.slots), self.binary)
        try:
            pid = await reload(self.settings, self.places, self._look)
        except HaproxyError:
            await asyncio.to_thread(self.file.restore, former)
            raise
        await asyncio.to_thread(self.file.approve)
        if self.workers.current is not None and self.workers.current.pid != pid:
            self.workers.retire()
        self.slots, self._write_at = decision.slots, 0.0
        self.log("reloaded", reasons=decision.reasons, worker=pid, slots=len(decision.slots))

    async def _look(self) -> None:
        """While a reload is under way the counters are read on; that the old worker ends is no fault then."""
        try:
            await self.workers.read_on(detail=False)
        except HaproxyError as error:
            self.log("a worker ended during the reload", error=str(error))
        else:
            self.looked()

    async def keep_file(self) -> None:
        """Write the slots as they are into the file, a moment after they changed; a restart then begins with them."""
        if self._write_at and self.workers.now() >= self._write_at:
            self._write_at = 0.0
            await asyncio.to_thread(self._write)

    def _write(self) -> None:
        text = self.file.read()
        try:
            self.file.replace(with_slots(text, self.slots) if text else self.frame.text(self.slots), None)
            self.file.approve()
        except OSError as error:
            self.log("the configuration cannot be written", path=str(self.file.path), error=error.strerror)


def _told(commands: Sequence[Command]) -> list[str]:
    shown = [command.text.removeprefix("set server app/") for command in commands[:12]]
    return shown if len(commands) <= 12 else [*shown, f"and {len(commands) - 12} more"]
