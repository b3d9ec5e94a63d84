"""What each kind of fault does to the world."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fleet.backend import Phase
from fleet.registry import Order
from scaler.inbox import Ending
from tests.chaos.simulated import orders
from tests.chaos.simulated.orders import place

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tests.chaos.simulated.engine import Container
    from tests.chaos.simulated.plan import Fault
    from tests.chaos.simulated.world import World

# A trap that finds no such moment is sprung after so long.
TRAP_S = 40.0


def _kill(world: World, fault: Fault) -> None:
    scaler = world.scalers[fault.target]

    def happen() -> None:
        scaler.kill()
        world.timeline.after(fault.lasts_s, lambda: None if scaler.alive else scaler.begin())

    scaler.trap(fault.how, happen)
    world.timeline.after(TRAP_S, scaler.spring)


def _end(world: World, fault: Fault) -> None:
    """SIGTERM, which leaves the instances to the next, or SIGINT, which ends them all; begun again after a while."""
    scaler = world.scalers[fault.target]
    life = scaler.life
    scaler.end(Ending.LEAVE if fault.kind == "terminate" else Ending.CLOSE)

    def again() -> None:
        if scaler.life == life and scaler.alive:  # it is not over yet
            world.timeline.after(1.0, again)
        elif scaler.life == life:
            scaler.begin()

    world.timeline.after(fault.lasts_s, again)


def _pause(world: World, fault: Fault) -> None:
    scaler = world.scalers[fault.target]

    def happen() -> None:
        life = scaler.life
        scaler.pause()
        world.timeline.after(fault.lasts_s, lambda: scaler.resume() if scaler.life == life else None)

    scaler.trap(fault.how, happen)
    world.timeline.after(TRAP_S, scaler.spring)


def _store_wiped(world: World, fault: Fault) -> None:
    del fault
    world.server.memory.wipe()
    _lost(world)


def _lost(world: World) -> None:
    world.model.lost({one.id: frozenset(one.state.proxies) for one in world.scalers.values() if one.alive})
    # What took an order back may be lost before anybody read it, and old data may hold an order that was taken back
    # since: who gave it sees that it still stands, and takes it back again.
    for back, since in world.taken_back.items():
        if since < world.timeline.now:
            place(world, Order(back))


def _store_back(world: World, fault: Fault) -> None:
    """Old data, or a replica that had not got the last writes; other servers both."""
    world.server.restore(fault.at)
    world.server.down_until = world.timeline.now + (2.0 if fault.kind == "store-failover" else 1.0)
    _lost(world)


def _store_down(world: World, fault: Fault) -> None:
    world.server.down_until = world.timeline.now + fault.lasts_s


def _cut(world: World, fault: Fault) -> None:
    _until(world.server.cut_until, world, fault)


def _store_slow(world: World, fault: Fault) -> None:
    world.server.slow_until, world.server.delay_s = world.timeline.now + fault.lasts_s, float(fault.how)


def _until(table: dict[str, float], world: World, fault: Fault) -> None:
    table[fault.target] = max(table.get(fault.target, 0.0), world.timeline.now + fault.lasts_s)


def _engine(world: World, fault: Fault) -> None:
    engine = world.engine
    world.disturb(fault.lasts_s + 30.0)
    if fault.kind == "engine-hung":
        _until(engine.hung_until, world, fault)
        return
    _until(engine.silent_until, world, fault)
    if fault.how == "dead":
        for one in engine.containers.values():
            if one.host == fault.target:
                one.dead_at = min(one.dead_at, world.timeline.now)


def _reboot(world: World, fault: Fault) -> None:
    world.disturb(fault.lasts_s + 30.0)
    world.engine.reboot(fault.target, fault.lasts_s)


def _victim(world: World, fault: Fault) -> Container | None:
    serving = [
        one
        for name, one in world.engine.containers.items()
        if name in world.model.registry and world.model.registry[name].phase is Phase.SERVING
    ]
    return serving[int(fault.target) % len(serving)] if serving else None


def _instance(world: World, fault: Fault) -> None:
    victim, now = _victim(world, fault), world.timeline.now
    if victim is None:
        return
    span = (now, now + fault.lasts_s)
    match fault.kind:
        case "instance-killed":
            victim.dead_at = min(victim.dead_at, now)
        case "instance-mute":
            victim.mute = span
        case _:
            victim.bad = span


def _everywhere(world: World, fault: Fault) -> None:
    names = {
        "outage": "outage_until",
        "starts-fail": "fail_until",
        "starts-stuck": "stuck_until",
        "starts-crash": "crash_until",
    }
    setattr(world.engine, names[fault.kind], world.timeline.now + fault.lasts_s)


def _proxy(world: World, fault: Fault) -> None:
    proxy = world.proxies[fault.target]
    if fault.kind == "proxy-restart":
        proxy.leave()
    else:
        proxy.kill(agent_only=fault.kind == "agent-killed")
    world.share()
    world.timeline.after(fault.lasts_s, lambda: None if proxy.agent else world.begin_proxy(proxy))


def _noack(world: World, fault: Fault) -> None:
    world.proxies[fault.target].refuses_news_until = world.timeline.now + fault.lasts_s


def _clock(world: World, fault: Fault) -> None:
    if fault.target == "server":
        world.server.clock_s += float(fault.how)
        world.model.clock_went_back = world.model.clock_went_back or float(fault.how) < 0
    else:
        for scaler in world.scalers.values():
            scaler.machine_clock_s += float(fault.how)


def _disk(world: World, fault: Fault) -> None:
    def full(yes: bool) -> None:
        for proxy in world.proxies.values():
            proxy.disk_full = yes

    full(True)
    world.timeline.after(fault.lasts_s, lambda: full(False))


FAULTS: Mapping[str, Callable[[World, Fault], None]] = {
    "kill": _kill,
    "pause": _pause,
    "store-down": _store_down,
    "store-wiped": _store_wiped,
    "store-old": _store_back,
    "store-failover": _store_back,
    "store-slow": _store_slow,
    "cut": _cut,
    "engine-silent": _engine,
    "engine-restart": _engine,
    "engine-hung": _engine,
    "reboot": _reboot,
    "instance-killed": _instance,
    "instance-mute": _instance,
    "instance-bad": _instance,
    "outage": _everywhere,
    "starts-fail": _everywhere,
    "starts-stuck": _everywhere,
    "starts-crash": _everywhere,
    "proxy-killed": _proxy,
    "proxy-restart": _proxy,
    "agent-killed": _proxy,
    "proxy-noack": _noack,
    "clock-step": _clock,
    "disk-full": _disk,
    "scale": orders.scale,
    "paused": orders.pause,
    "deploy": orders.deploy,
    "rollback": orders.rollback,
    "canary": orders.canary,
    "terminate": _end,
    "close": _end,
}
