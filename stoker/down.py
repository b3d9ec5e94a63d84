"""`stoker down`: end a running fleet in order, or what an earlier one left behind."""

from __future__ import annotations

import signal
import threading
from contextlib import closing
from typing import TYPE_CHECKING

from fleet.embedded import running_url
from fleet.process import await_end
from fleet.store.opening import open_desk
from stoker.errors import CommandError
from stoker.parts import Ending, ending_parts
from stoker.processes import Note, read_note
from stoker.up import end_parts, note_path

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from fleet.settings import Settings

MARGIN_S = 30.0


def run_down(settings: Settings, config: Path | None, say: Callable[[str], None]) -> None:
    """End the fleet whose supervisor runs; without one, end its parts and stop its instances from here.

    Raises CommandError where anything may still run.
    """
    note = read_note(note_path(settings))
    if note is not None and note.supervisor.signal(signal.SIGINT):
        _await_supervisor(settings, note)
    else:
        if note is not None:
            never = threading.Event()
            end_parts(ending_parts(settings, config), dict(note.children), Ending.STOP_ALL, say, never.wait)
            note_path(settings).unlink(missing_ok=True)
        _stop_instances(settings, say)
    say(f"fleet {settings.fleet} is down")


def _await_supervisor(settings: Settings, note: Note) -> None:
    life, process = settings.life, note.supervisor
    limit_s = settings.proxy.drain_s + life.drain_timeout_s + life.stop_grace_s + life.stop_timeout_s + MARGIN_S
    if not await_end(process.pid, process.mark, limit_s):
        raise CommandError(
            f"stoker up (pid {process.pid}) still runs after {limit_s:g} s; it says why where it was started"
        )


def _stop_instances(settings: Settings, say: Callable[[str], None]) -> None:
    """Nobody leads the fleet here; whatever runs of it is ended by the actuator itself."""
    if settings.redis_url or running_url(settings.state_path):
        with closing(open_desk(settings)) as desk:
            acting = desk.status().acting
        if acting:
            raise CommandError(f"scaler {acting} acts for fleet {settings.fleet}; end it where it runs")
    from scaler.actuators.opening import open_actuator

    actuator = open_actuator(settings)
    census = actuator.running()
    for found in census.found:
        actuator.stop(found.name, found.host, settings.life.stop_grace_s)
        say(f"{found.name} stopped")
    if missing := sorted(census.hosts - census.answered):
        raise CommandError(f"{', '.join(missing)} did not answer; instances there may still run")
