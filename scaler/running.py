"""A scaler process: settings in, the world put together, the loop run until a signal ends it."""

from __future__ import annotations

import fcntl
import os
import signal
import socket
from contextlib import ExitStack, contextmanager, nullcontext
from typing import TYPE_CHECKING

import structlog

from fleet.clock import Clock
from fleet.exporter import exporting
from fleet.memory import MemoryStore
from fleet.store.opening import open_registry
from scaler.actuators.definition import definition_hash
from scaler.actuators.opening import open_actuator
from scaler.actuators.probe import Prober, probe_once
from scaler.alerts import hearing
from scaler.definitions import Definitions
from scaler.driver import drive
from scaler.hands import Hands
from scaler.inbox import Ending, Inbox
from scaler.live import Live
from scaler.messages import Outcome
from scaler.metrics import Metrics
from scaler.shadow import ShadowActuator, ShadowProber, ShadowStore
from scaler.state import Policy, State
from scaler.trace import TraceFile

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from fleet.settings import Settings
    from scaler.actuators.actuator import Actuator
    from scaler.live import Store

log = structlog.get_logger()

CENSUS_S = 10.0
PLAYED_CENSUS_S = 60.0  # a play costs a second of processor time
WARMING_CENSUS_S = 2.0
# Of scalers that share a state folder.
MOST_TRACES = 16


def policy_of(settings: Settings) -> Policy:
    """What of the settings steers the machine."""
    plays = settings.actuator.kind == "ansible"
    census_s = settings.life.census_s or (PLAYED_CENSUS_S if plays else CENSUS_S)
    image = "" if settings.actuator.kind == "process" else settings.instance.image
    pulls = settings.actuator.kind != "process" and settings.instance.pull != "never"
    return Policy(
        app=settings.app,
        spec=definition_hash(settings.instance),
        sizes=settings.policy,
        life=settings.life,
        pull_s=settings.instance.pull_timeout_s if pulls else 0.0,
        census_s=census_s,
        warming_census_s=census_s if plays else min(WARMING_CENSUS_S, census_s),
        image=image,
        canary_warmup_s=settings.canary.warmup_s,
    )


def trace_path(settings: Settings, *, shadow: bool = False, number: int = 1) -> Path:
    """Where the trace of this app's scaler is written; of several in one folder, the one of that number."""
    kind = "shadow" if shadow else "scaler"
    return settings.state_path / f"{settings.app}.{kind}{f'.{number}' if number > 1 else ''}.trace"


@contextmanager
def own_trace_path(settings: Settings, *, shadow: bool = False) -> Iterator[Path]:
    """The first path that no other scaler writes to; nobody else takes it until the block is left."""
    settings.state_path.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        for number in range(1, MOST_TRACES + 1):
            path = trace_path(settings, shadow=shadow, number=number)
            try:
                lock = stack.enter_context(path.with_suffix(".lock").open("ab"))
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            except OSError as error:  # a full disk; the trace itself waits for room
                log.warning("the trace's file cannot be locked", file=str(path), reason=str(error))
            break
        yield path


def run_scaler(settings: Settings, *, shadow: bool = False) -> None:
    """Run until SIGTERM (the instances stay, for the next scaler to adopt) or SIGINT (everything drains and stops).

    Raises SettingsError when the actuator cannot work and StoreUnavailableError when the store cannot be reached at
    the start; later on, an outage only holds the scaler.
    """
    clock = Clock()
    policy = policy_of(settings)
    real = open_registry(settings)
    scaler = settings.scaler_id or f"{socket.gethostname()}-{os.getpid()}"
    if shadow:
        actuator, store = _pretending(real, clock)
    else:
        actuator, store = open_actuator(settings, clock.now), real
    inbox = Inbox(clock.now)

    def once(urls: Mapping[str, str]) -> Mapping[str, Outcome]:
        if shadow:
            return dict.fromkeys(urls, Outcome.READY)
        return probe_once(urls, settings.life.probe_path, settings.life.probe_timeout_s)

    path = None if shadow else settings.state_path / f"{settings.app}.definitions"
    definitions = Definitions(settings.instance, policy.spec, path)
    hands = Hands(actuator, definitions, once, inbox.answer, clock.now, settings.life.parallel_starts)
    prober = (
        ShadowProber(inbox.probed)
        if shadow
        else Prober(settings.life.probe_path, settings.life.probe_timeout_s, inbox.probed)
    )
    world = Live(scaler, store, hands, prober, inbox, clock.now, settings.life.tick_s)
    signal.signal(signal.SIGTERM, lambda *_: inbox.end(Ending.LEAVE))
    signal.signal(signal.SIGINT, lambda *_: inbox.end(Ending.CLOSE))
    with own_trace_path(settings, shadow=shadow) as traced:
        trace = TraceFile(traced, policy, State(), settings.trace_size)
        world.start()
        metrics = Metrics(policy, clock.now, world, trace)
        try:
            heard = nullcontext() if shadow else hearing(settings, log.warning)
            with exporting(settings, "scaler", settings.metrics.scaler_port, metrics, log.warning), heard:
                drive(policy, State(), metrics, metrics)
        finally:
            world.close()
            trace.close()


def _pretending(real: Store, clock: Clock) -> tuple[Actuator, Store]:
    actuator = ShadowActuator(clock.now)
    snapshot = real.recall().snapshot
    if snapshot is not None:
        actuator.adopt(snapshot)
    return actuator, ShadowStore(real, MemoryStore(clock.now))
