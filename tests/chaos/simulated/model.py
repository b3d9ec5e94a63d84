"""The promises, held against what really happened: what was granted, published, started and stopped."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf
from typing import TYPE_CHECKING

from fleet.backend import CAPACITY, LEAVING, Backend, Phase
from fleet.registry import PROXY_TTL_S, Lease
from scaler.state import Policy
from tests.chaos.simulated.proxy import Proxy
from tests.chaos.simulated.timeline import Timeline

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fleet.registry import Change, Happening
    from tests.chaos.simulated.engine import Container

EARLY_S = 0.5
# Between the first report of a proxy that was forgotten and the publication of what was decided without it.
BACK_S = 3.0


class BrokenError(AssertionError):
    """A promise was broken."""

    def __init__(self, promise: str, at: float, what: str) -> None:
        super().__init__(f"{promise}: {what} (at {at:.1f} s)")
        self.promise = promise
        self.at = at
        self.what = what


@dataclass(slots=True)
class Model:
    """`registry` is what the store took last, whatever became of the store; `lost_at` is when it last lost data."""

    policy: Policy
    timeline: Timeline
    proxies: Mapping[str, Proxy] = field(default_factory=dict)
    registry: Mapping[str, Backend] = field(default_factory=dict)
    generation: int = 0
    holder: Lease | None = None
    writer: Lease | None = None
    lost_at: float = -1.0
    published_at: float = -1.0
    checked: Counter[str] = field(default_factory=Counter)
    clock_went_back: bool = False
    closing: bool = False  # whoever wrote last ends the fleet
    _tokens: set[int] = field(default_factory=set)
    _told: set[tuple[str, str, str]] = field(default_factory=set)
    _sent: dict[str, float] = field(default_factory=dict)
    _draining_since: dict[str, float] = field(default_factory=dict)
    _stopping_since: dict[str, float] = field(default_factory=dict)
    _ordered_at: dict[str, float] = field(default_factory=dict)  # when each name was given out last
    _knew: Mapping[str, frozenset[str]] = field(default_factory=dict)
    _losses: list[float] = field(default_factory=list)
    _lived_at: dict[str, float] = field(default_factory=dict)  # when data was first lost in the life of each scaler

    def broken(self, promise: str, what: str) -> BrokenError:
        return BrokenError(promise, self.timeline.now, what)

    def lost(self, knew: Mapping[str, frozenset[str]]) -> None:
        """The store lost data, or went back. `knew` is which proxies each scaler's process knew of at that moment."""
        self.lost_at = self.timeline.now
        self._losses.append(self.lost_at)
        self._knew = {**self._knew, **knew}
        for scaler in knew:
            self._lived_at.setdefault(scaler, self.lost_at)

    # What the store did -----------------------------------------------------------------------------------------

    def granted(self, lease: Lease) -> None:
        self.checked["granted"] += 1
        # A store that lost its data while its clock was stepped back cannot know of a larger one. The lease still names
        # its scaler, so a smaller token lets no late holder in.
        if lease.token <= max(self._tokens, default=0) and not self.clock_went_back:
            raise self.broken("tokens never go back", f"{lease.token} after {max(self._tokens)}")
        self._tokens.add(lease.token)
        self.holder = lease

    def written(self, lease: Lease, happenings: Sequence[Happening]) -> None:
        if self.holder is None or lease.token != self.holder.token:
            raise self.broken("one acts", f"{lease.scaler} wrote without the lease")
        if happenings:
            self._remember(happenings)

    def _remember(self, happenings: Sequence[Happening]) -> None:
        self._told.update(
            (one.subject, one.before, one.after) for one in happenings if one.kind == "instance" and all(one.reasons)
        )

    def published(self, lease: Lease, change: Change, generation: int) -> None:
        self.checked["published"] += 1
        self.written(lease, change.happenings)
        if generation <= self.generation and not self.clock_went_back:
            raise self.broken("generations never go back", f"{generation} after {self.generation}")
        before, after = self.registry, change.backends
        self._limits(before, after)
        same = self.writer is not None and self.writer == lease
        if same:
            self._reasons(before, after)
        if self.lost_at < self.published_at or (self.writer and self.writer.scaler == lease.scaler):
            self._never_back(before, after)
        now = self.timeline.now
        for name, backend in after.items():
            if backend.phase is Phase.STARTING and name not in before:
                self._ordered_at[name] = now
            elif backend.phase is Phase.DRAINING:
                self._draining_since.setdefault(name, now)
            elif backend.phase is Phase.STOPPING and (name not in before or before[name].phase is not Phase.STOPPING):
                self._stopping_since[name] = now
        self.registry, self.generation, self.writer, self.published_at = dict(after), generation, lease, now
        self._told.clear()

    def _limits(self, before: Mapping[str, Backend], after: Mapping[str, Backend]) -> None:
        sizes = self.policy.sizes
        serving = sum(one.phase is Phase.SERVING for one in after.values())
        capacity = sum(one.phase in CAPACITY for one in after.values())
        ordered = [one.name for one in after.values() if one.phase is Phase.STARTING and one.name not in before]
        if ordered and capacity > sizes.max + self.policy.life.surge:
            raise self.broken("never above the limits", f"{capacity} with {ordered} ordered, max {sizes.max}")
        drained = [
            name
            for name, one in after.items()
            if one.phase is Phase.DRAINING
            and name in before
            and before[name].phase is Phase.SERVING
            and one.canary is before[name].canary  # a canary that is cut off goes at once, whatever else serves
        ]
        died = any(
            one.phase is Phase.SERVING and (name not in after or after[name].phase in {Phase.STOPPING, Phase.FAILED})
            for name, one in before.items()
        )
        if drained and serving < sizes.min and not died and not self.closing and self.lost_at < self.published_at:
            raise self.broken("never below the minimum", f"{drained} drained, {serving} left")

    def _never_back(self, before: Mapping[str, Backend], after: Mapping[str, Backend]) -> None:
        for name, one in before.items():
            if one.phase in LEAVING and name in after and after[name].phase in CAPACITY:
                raise self.broken("who leaves never comes back", f"{name}: {one.phase} to {after[name].phase}")

    def _reasons(self, before: Mapping[str, Backend], after: Mapping[str, Backend]) -> None:
        for name in before.keys() | after.keys():
            was = str(before[name].phase) if name in before else ""
            now = str(after[name].phase) if name in after else "gone"
            if was != now and not any(subject == name and last == now for subject, _, last in self._told):
                raise self.broken("every change has a reason", f"{name}: {was or 'nothing'} to {now}")

    # What the engine was asked for ------------------------------------------------------------------------------

    def _late(self, scaler: str) -> bool:
        return self.holder is None or self.holder.scaler != scaler

    def start_sent(self, scaler: str, name: str) -> None:
        self.checked["started"] += 1
        sent_at = self._sent.get(name)
        if sent_at is not None and self._could_tell(scaler, sent_at):
            raise self.broken("nothing is started twice", f"{name} by {scaler}")
        self._sent[name] = self.timeline.now
        if self._late(scaler) and name in self.registry and self.writer and self.writer.scaler != scaler:
            raise self.broken("a late scaler is harmless", f"{scaler} started {name}, which {self.writer.scaler} has")

    def _could_tell(self, scaler: str, sent_at: float) -> bool:
        """Whether that is not lost, or it lived when that was, so that by what it remembers it knows what to leave out.

        To have lived at a later loss does not help: by then nobody knew of what the first one took.
        """
        if self.lost_at < sent_at:
            return True
        first = next(at for at in self._losses if at >= sent_at)
        return self._lived_at.get(scaler, inf) <= first and not self.clock_went_back

    def stop_sent(self, scaler: str, container: Container) -> None:
        self.checked["stopped"] += 1
        name, now = container.name, self.timeline.now
        listed = self.registry.get(name)
        if self._late(scaler):
            others = self.writer is not None and self.writer.scaler != scaler
            if others and listed is not None and listed.phase in CAPACITY | {Phase.DRAINING}:
                raise self.broken("a late scaler is harmless", f"{scaler} stopped {name}, which is {listed.phase}")
        elif listed is None or listed.phase not in {Phase.STOPPING, Phase.FAILED}:
            raise self.broken("publish, then act", f"{name} stopped while {listed.phase if listed else 'unlisted'}")
        if not container.runs(now) or not container.answers(now) or container.bad[0] <= now:
            return
        # Where a name may be given out again, what is stopped by it may be an earlier one that nobody knows any longer.
        if container.created < self._ordered_at.get(name, 0.0) and not self._could_tell(scaler, container.created):
            return
        since = self._draining_since.get(name)
        if since is not None and now - since >= self.policy.life.drain_timeout_s - EARLY_S:
            return
        decided_at = self._stopping_since.get(name, now)  # whoever takes over before it is done goes on with it
        flying = {
            one.id: one.in_flight(name)
            for one in self.proxies.values()
            if one.serves and not self._gone(one, scaler, decided_at)
        }
        if any(flying.values()):
            raise self.broken(
                "nothing in flight is cut before its drain's deadline",
                f"{name} stopped by {scaler} with {flying} in flight, draining since {since}",
            )

    # What the proxies are ---------------------------------------------------------------------------------------

    def _gone(self, proxy: Proxy, scaler: str, decided_at: float) -> bool:
        """Whether that scaler could not know of this proxy when it decided.

        The proxy was lost by the store, is forgotten by now or was until then, or has begun meanwhile.
        """
        silent_s = self.timeline.now - proxy.last_report
        forget_s = self.policy.life.proxy_forget_s
        just_back = proxy.back_after_s >= forget_s and decided_at - proxy.back_at < BACK_S
        forgotten = proxy.kind != "haproxy" and (silent_s >= forget_s or just_back)
        lost = self.lost_at >= proxy.last_report and proxy.id not in self._knew.get(scaler, ())
        return forgotten or lost or not proxy.known

    def missing(self, scaler: str, looked_at: float) -> list[str]:
        """The proxies that serve, and that were silent at that look of the scaler's.

        A slow store makes a look seconds old. Of what fell silent since nobody can know who decides by it; a drain then
        lasts for its whole time.
        """
        return [
            one.id
            for one in self.proxies.values()
            if one.serves and looked_at - one.last_report > PROXY_TTL_S and not self._gone(one, scaler, looked_at)
        ]

    def busy(self, scaler: str, looked_at: float, within_s: float) -> list[str]:
        """The proxies that had told at that look of a request in the time before it, or of one in flight or held.

        A slow store makes a look seconds old. What came since nobody can know who decides by it; it has a drain's time.
        """
        return [
            one.id
            for one in self.proxies.values()
            if one.serves
            and not self._gone(one, scaler, looked_at)
            and looked_at - one.told_busy_at(looked_at) < within_s
        ]
