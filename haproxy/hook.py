"""One shot, without an agent: the configuration as it should be now, put in place, loaded where that is needed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fleet.errors import StoreUnavailableError
from fleet.snapshot_file import snapshot_file
from fleet.store.opening import open_noticeboard
from haproxy.answers import STATE, read_slots
from haproxy.binary import find_binary
from haproxy.canary import weighed
from haproxy.config_file import ConfigFile, have_map, sole_changer
from haproxy.control import reload, running_worker
from haproxy.errors import HaproxyError
from haproxy.ledger import boot_id, read_ledger
from haproxy.model import Running, Slot, Wanted, slot_name, slots_for, targets_of
from haproxy.plan import plan
from haproxy.render import frame, places
from haproxy.running import ledger_path, proxy_id
from haproxy.runtime_api import RuntimeApi
from haproxy.sections import read_marks

if TYPE_CHECKING:
    from collections.abc import Callable

    from fleet.registry import Noticeboard, Snapshot
    from fleet.settings import Settings
    from fleet.snapshot_file import SnapshotFile
    from haproxy.render import Places


async def rendered(settings: Settings, say: Callable[[str], None], *, announce: bool = False) -> str:
    """The configuration for the fleet as it is now.

    It comes from Redis, or from the last snapshot where Redis cannot be reached or holds no data; the fleet is empty
    only where there never was one. `announce` shows this proxy to the scaler before its data are read. Raises
    SettingsError, and HaproxyError for a snapshot file that cannot be believed.
    """
    where = places(settings)
    snapshot = await _snapshot(settings, say, announce=announce)
    targets, faults = targets_of(snapshot, settings.networks) if snapshot else ((), ())
    for fault in (*(snapshot.faults if snapshot else ()), *faults):
        say(f"not used: {fault}")
    made, least = frame(settings), slots_for(settings.policy.max)
    before = await _present_slots(where) or ConfigFile(where.config).slots()
    before += tuple(Slot(slot_name(number)) for number in range(len(before) + 1, least + 1))
    return made.text(plan(Running(made.marks, before), Wanted(made.marks, least, weighed(targets))).slots)


def render_to(settings: Settings, text: str, file: ConfigFile) -> bool:
    """Put the text in place after HAProxy has accepted it; False where the file is like it already.

    Raises HaproxyError or OSError; the old file then stays.
    """
    have_map(places(settings).canary)
    if file.read() == text:
        return False
    file.replace(text, find_binary(settings).path)
    return True


async def run_hook(settings: Settings, say: Callable[[str], None], *, force: bool = False) -> None:
    """Render, check, replace; where HAProxy runs and something differs, load it and wait until the new worker serves.

    Raises HaproxyError, SettingsError or OSError; the old file and the old worker then stay.
    """
    where = places(settings)
    file = ConfigFile(where.config)
    running = await running_worker(where)
    text = await rendered(settings, say, announce=running is None)
    async with sole_changer(where.lock):
        former = file.read()
        try:
            changed = render_to(settings, text, file)
        except OSError as error:
            raise OSError(error.errno, error.strerror, error.filename or str(where.config)) from error
        say(f"{where.config}: {'replaced' if changed else 'as it should be'}")
        if running is None and not (settings.haproxy.reload_command or settings.haproxy.pid_file):
            say("HAProxy does not run yet")
            return
        stale = running is None or read_marks(running.description) != frame(settings).marks
        if not (changed or stale or force):
            say("nothing to load")
            return
        await _load(settings, where, file, former, say)


async def _load(
    settings: Settings, where: Places, file: ConfigFile, former: str | None, say: Callable[[str], None]
) -> None:
    try:
        pid = await reload(settings, where, _nothing)
    except HaproxyError:
        if file.restore(former):
            say(f"{where.config}: the former one is back")
        raise
    file.approve()
    say(f"worker {pid} serves")


async def _nothing() -> None:
    """While the new worker starts."""


async def _snapshot(settings: Settings, say: Callable[[str], None], *, announce: bool) -> Snapshot | None:
    kept = snapshot_file(settings, proxy_id(settings))
    try:
        board = open_noticeboard(settings)
    except StoreUnavailableError as error:
        say(f"{error}; rendering the last snapshot")
        return _kept(kept)
    try:
        if announce:
            await _announce(settings, board)
        found = await board.snapshot()
    except StoreUnavailableError as error:
        say(f"{error}; rendering the last snapshot")
        return _kept(kept)
    finally:
        await board.aclose()
    if found is None:
        say("Redis holds no data; rendering the last snapshot")
        return _kept(kept)
    try:
        kept.write(found)
    except OSError as error:  # it is for starts without Redis; this one needs it not
        say(f"{kept.path}: the last snapshot stays: {error.strerror}")
    return found


def _kept(file: SnapshotFile) -> Snapshot | None:
    try:
        return file.read()
    except ValueError as error:
        raise HaproxyError(str(error)) from error


async def _announce(settings: Settings, board: Noticeboard) -> None:
    """Generation 0: nothing that this HAProxy may send to from its start on is stopped behind its back."""
    ledger = read_ledger(ledger_path(settings), boot_id())
    await board.report(ledger.reading(proxy_id(settings), 0))


async def _present_slots(where: Places) -> tuple[Slot, ...]:
    """The running worker's slots, named by the file; none where nothing runs."""
    link = RuntimeApi(where.stats)
    try:
        await link.open()
        holders = {slot.name: slot.holder for slot in ConfigFile(where.config).slots() if slot.holder}
        return read_slots((await link.ask(STATE))[0], holders, {})
    except HaproxyError:
        return ()
    finally:
        link.close()
