"""The real world: counters and lease from the store, acts by the actuator, events from threads through one queue."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

import structlog

from fleet.errors import RefusedError, StoreUnavailableError
from fleet.registry import Meter, Registry
from scaler.inbox import Ending, Wake
from scaler.messages import (
    Adopted,
    Closed,
    Count,
    Deposed,
    Elected,
    Event,
    Forget,
    Look,
    Ordered,
    Overwritten,
    Publish,
    Published,
    Refused,
    Remember,
    Report,
    Resolve,
    Start,
    Stop,
    Survey,
    Tick,
    Unpublished,
    Watch,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from fleet.registry import Change, Happening, Lease, Order
    from scaler.hands import Hands, Prober
    from scaler.inbox import Inbox
    from scaler.messages import Effect

UNTOLD_LIMIT = 1000
RECONNECT_S = 1.0
# A proxy that starts meanwhile holds its requests for so long at most.
VERIFY_S = 5.0
# Who waits for the lease needs the counters only so that its window is full when its turn comes.
WAITING_LOOK_S = 2.0
CLOSING_LIMIT_S = 120.0
# More than the store keeps.
ORDERS_KNOWN = 2000

log = structlog.get_logger()


class Store(Registry, Meter, Protocol):
    """What the live world needs of the shared store: both roles, and to be woken."""

    def wakes(self) -> Iterator[None]:
        """Yield at every wake or order; blocks."""

    def close(self) -> None:
        """End `wakes`."""


class Live:
    """A World. `scaler` is this scaler's id, `now` the clock of all events."""

    def __init__(
        self,
        scaler: str,
        store: Store,
        hands: Hands,
        prober: Prober,
        inbox: Inbox,
        now: Callable[[], float],
        tick_s: float,
    ) -> None:
        self._scaler = scaler
        self._store = store
        self._hands = hands
        self._prober = prober
        self._now = now
        self._tick_s = tick_s
        self._inbox = inbox
        self._soon: deque[Event] = deque()
        self._lease: Lease | None = None
        self._renewed_at: float | None = None
        self._next_tick = self._next_verification = self._next_waiting_look = now()
        self._order = ""
        self._taken: deque[Order] = deque(maxlen=ORDERS_KNOWN)
        self._untold: list[Happening] = []
        self._surveyed = False
        self._reached = False
        self._unreachable = False
        self._closing_until: float | None = None
        self._over = threading.Event()

    def start(self) -> None:
        """Begin to listen for wakes and to probe."""
        threading.Thread(target=self._listen, name="wakes", daemon=True).start()
        self._prober.start()

    def close(self) -> None:
        """Give the lease back and end what runs in the background."""
        self._over.set()
        self._prober.close()
        self._hands.close()
        if self._lease is not None:
            try:
                self._store.release(self._lease)
            except StoreUnavailableError as error:
                log.warning("lease not released", reason=str(error))
        self._store.close()

    def next_event(self) -> Event | None:
        """Wait for what comes first: an answer, a wake, the next tick. None once the run is to end."""
        while not self._soon:
            now = self._now()
            if self._closing_until is not None and now >= self._closing_until:
                log.warning("not everything stopped in time; the rest is left to the next start")
                return None
            # Answers come before a tick that is due, or ticks that a slow store makes long leave no time for them;
            # but not for longer than a tick, because the lease has to be renewed.
            overdue = now >= self._next_tick + self._tick_s
            item = None if overdue else self._inbox.take(max(0.0, self._next_tick - now))
            if item is None:
                if event := self._tick():
                    return event
                continue
            if item is Wake.NOW:
                self._next_tick = self._now()
            elif not isinstance(item, Ending | Wake):
                self._surveyed = self._surveyed or (
                    isinstance(item, Adopted) and self._lease is not None and item.token == self._lease.token
                )
                return item
            elif item is Ending.LEAVE or self._lease is None:
                return None
            else:
                self._closing_until = self._now() + CLOSING_LIMIT_S
                return Closed(self._now())
        return self._soon.popleft()

    def perform(self, effect: Effect) -> None:
        """Do what is quick here, hand the rest to threads."""
        match effect:
            case Publish() | Report() | Forget() | Remember():
                self._write(effect)
            case Start():
                self._hands.start(effect, self._holds(self._lease))
            case Stop():
                self._hands.stop(effect, self._holds(self._lease))
            case Resolve():
                self._hands.resolve(effect)
            case Watch():
                self._inbox.watching(effect.targets)
                self._prober.set_targets(effect.targets)
            case Look() | Count() | Survey():
                self._read(effect)

    def _holds(self, lease: Lease | None) -> Callable[[], bool]:
        """Whether that lease is still held, by this process' own clock: asked once more right before an act."""

        def holds() -> bool:
            renewed_at = self._renewed_at
            return (
                lease is not None
                and self._lease is lease
                and renewed_at is not None
                and self._now() < renewed_at + lease.ttl_s
            )

        return holds

    def _tick(self) -> Event | None:
        """The tick where it is due, None where it is not, or has nothing to look at."""
        if self._now() < self._next_tick:
            return None
        event = self._look()
        self._next_tick = max(self._next_tick, self._now())
        return event

    def _look(self) -> Event | None:
        """The lease first, then the orders, then the counters: not at each tick while another acts."""
        self._next_tick = max(self._next_tick + self._tick_s, self._now())
        try:
            event = self._hold_lease()
            waits = self._lease is None and self._now() < self._next_waiting_look
            if event is None and not waits:
                self._next_waiting_look = self._now() + WAITING_LOOK_S - self._tick_s / 2
                self._take_orders()
                self._verify()
                event = Tick(self._now(), self._store.sight(detail=False), self._renewed_at)
        except StoreUnavailableError as error:
            if not self._reached:
                raise
            self._lost(error)
            return Tick(self._now(), None)
        self._reached = True
        if self._unreachable:
            self._unreachable = False
            log.info("the store answers again")
        return event

    def _hold_lease(self) -> Event | None:
        """Renew or take the lease; an event where that changed who acts."""
        sent_at = self._now()
        if self._lease is not None:
            if self._store.renew(self._lease):
                self._renewed_at = sent_at
                return None
            self._lease = self._renewed_at = None
            return Deposed(self._now(), "the lease ran out or was taken")
        self._lease = self._store.acquire(self._scaler)
        if self._lease is None:
            return None
        self._renewed_at = sent_at
        self._surveyed = False
        self._next_tick = self._now()
        act_from = sent_at if self._lease.settled else sent_at + self._lease.ttl_s
        log.info("acting", scaler=self._scaler, token=self._lease.token)
        return Elected(self._now(), self._lease.token, sent_at, act_from, self._lease.ttl_s)

    def _take_orders(self) -> None:
        """Hand over the new orders, once the survey told which are old and which still hold.

        A store that lost data tells of those again that were taken here, and new ones may come before them: its clock
        may have gone back.
        """
        if self._lease is None or not self._surveyed:
            return
        for order in self._store.orders(self._order):
            self._order = order.id
            if order not in self._taken:
                self._taken.append(order)
                self._soon.append(Ordered(self._now(), order))

    def _verify(self) -> None:
        """See now and then that the registry is what this scaler wrote: proxies believe what stands there."""
        if self._lease is None or self._now() < self._next_verification:
            return
        self._next_verification = self._now() + VERIFY_S
        if reason := self._store.overwritten():
            self._soon.append(Overwritten(self._now(), reason))

    def _lost(self, error: StoreUnavailableError) -> None:
        if not self._unreachable:
            self._unreachable = True
            log.warning("holding: the store cannot be used", reason=str(error))

    def _write(self, effect: Publish | Report | Forget | Remember) -> None:
        lease = self._lease
        if lease is None:
            return
        try:
            match effect:
                case Publish():
                    generation = self._store.publish(lease, self._with_untold(effect.change))
                    self._soon.append(Published(self._now(), effect.version, generation))
                    self._shown(effect.change)
                case Report():
                    self._report(lease, effect)
                case Forget() | Remember():
                    self._list(lease, effect)
        except RefusedError as error:
            self._lease = self._renewed_at = None
            self._soon.append(Refused(self._now(), str(error)))
        except StoreUnavailableError as error:
            self._lost(error)
            self._keep_untold(effect)
            if isinstance(effect, Publish):
                self._soon.append(Unpublished(self._now(), effect.version, str(error)))

    def _list(self, lease: Lease, effect: Forget | Remember) -> None:
        if isinstance(effect, Forget):
            self._store.forget(lease, effect.proxy)
        else:
            self._store.remember(lease, effect.proxy, lasting=effect.lasting)

    def _report(self, lease: Lease, effect: Report) -> None:
        self._store.summarise(lease, effect.summary)
        told = [*self._untold, *effect.happenings]
        if told:
            self._store.record(lease, told)
            self._untold.clear()
        _log(effect.happenings)

    def _with_untold(self, change: Change) -> Change:
        return replace(change, happenings=(*self._untold, *change.happenings)) if self._untold else change

    def _shown(self, change: Change) -> None:
        self._untold.clear()
        _log(change.happenings)
        if self._closing_until is not None and not change.backends:
            self._inbox.end(Ending.LEAVE)

    def _keep_untold(self, effect: Publish | Report | Forget | Remember) -> None:
        """Keep the history of an outage for later, the newest of it where it is long."""
        if isinstance(effect, Publish | Report):
            news = effect.change.happenings if isinstance(effect, Publish) else effect.happenings
            self._untold = [*self._untold, *news][-UNTOLD_LIMIT:]

    def _read(self, effect: Look | Count | Survey) -> None:
        try:
            match effect:
                case Look():
                    self._soon.append(
                        Tick(self._now(), self._store.sight(detail=True, outcomes=effect.outcomes), self._renewed_at)
                    )
                case Count():
                    self._hands.count()
                case Survey():
                    memory = self._store.recall()
                    self._order = memory.last_order
                    self._hands.survey(effect.token, memory)
        except StoreUnavailableError as error:
            self._lost(error)
            if isinstance(effect, Survey):
                self._lease = self._renewed_at = None
                self._soon.append(Deposed(self._now(), f"the store was lost before the survey: {error}"))

    def _listen(self) -> None:
        """Turn every wake into a tick at once; reconnect with a pause after a broken connection."""
        while not self._over.is_set():
            try:
                for _ in self._store.wakes():
                    self._inbox.wake()
            except StoreUnavailableError:
                self._over.wait(RECONNECT_S)


def _log(happenings: tuple[Happening, ...]) -> None:
    for item in happenings:
        log.info(
            item.kind,
            subject=item.subject,
            before=str(item.before),
            after=str(item.after),
            reasons="; ".join(item.reasons),
        )
