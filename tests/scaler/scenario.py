"""A scenario as text: script lines, `----`, and what the scaler tells when the script is played in the simulated world.

Script lines, in seconds since the start and in any order; `#` begins a comment:

    rps 30 until 120            the traffic; the parts follow each other, the last sets the end
    boot 10 | start 0.3 | answer 0.05 | carries 20
    set min 0                   any setting of [policy] or [life]
    schedule office min 4 start 2 0 * * * end 6 0 * * *
    hosts a b | proxies 2
    stuck web2 | fails web2 | hung web2 | unstoppable web2
    crash web1 at 40 | sick web1 from 40 until 90
    store gone from 40 until 50 | store wiped at 40
    proxy 2 silent from 40 until 90 | host b silent from 40 until 90
    scale 3 at 40 | auto at 60 | pause at 40 | resume at 60
    canary v2 10 at 40 | promote at 60 | abort at 60
    errors 0.01 | canary errors 0.2 | canary slower 3
    of v1                       the image of the settings; none where it is left out
    deploy v2 at 40 | rollback at 60 | image v2 stuck | image v2 ends after 3 | image v2 unknown
    close at 40 | kill scaler at 40
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from fleet.backend import Phase
from fleet.registry import Order, OrderKind
from fleet.settings import LifeSettings, PolicySettings
from scaler.course import Course, Faults, steps
from scaler.messages import Event, Tick
from scaler.simulate import simulate
from scaler.state import Policy, State
from tests.scaler.builders import APP, SPEC, happenings

if TYPE_CHECKING:
    from fleet.registry import Happening
    from scaler.turn import Step

RULE = "----"
TOLD_WITH_REASON = {Phase.FAILED, Phase.STOPPING, Phase.DRAINING, Phase.GONE}


@dataclass
class Script:
    """What the lines of a script add up to."""

    traffic: list[tuple[float, float]] = field(default_factory=list)
    course: dict[str, Any] = field(default_factory=dict)
    sizes: dict[str, Any] = field(default_factory=dict)
    life: dict[str, Any] = field(default_factory=dict)
    faults: dict[str, Any] = field(default_factory=dict)
    orders: list[tuple[float, Order]] = field(default_factory=list)
    configured: str = ""

    def read(self, line: str) -> None:
        """Take in one line. Raises ValueError where it is none of the above."""
        for pattern, handle in LINES:
            match = re.fullmatch(pattern, line)
            if match is not None:
                handle(self, *match.groups())
                return
        raise ValueError(f"not a line of a script: {line!r}")

    def set(self, name: str, value: str) -> None:
        if name in PolicySettings.model_fields:
            self.sizes[name] = value
        elif name in LifeSettings.model_fields:
            self.life[name] = value
        else:
            raise ValueError(f"not a setting of [policy] or [life]: {name!r}")

    def schedule(self, *values: str) -> None:
        self.sizes.setdefault("schedules", []).append(dict(zip(("name", "min", "start", "end"), values, strict=True)))

    def number(self, name: str, value: str) -> None:
        self.course["carries_rps" if name == "carries" else f"{name}_s"] = float(value)

    def named(self, fault: str, names: str) -> None:
        key = "unstartable" if fault == "fails" else fault
        self.faults[key] = self.faults.get(key, frozenset()) | set(names.split())

    def keyed(self, fault: str, name: str, value: float | tuple[float, float]) -> None:
        self.faults.setdefault(fault, {})[name] = value

    def listed(self, fault: str, value: Any) -> None:
        self.faults[fault] = (*self.faults.get(fault, ()), value)

    def of(self, image: str) -> None:
        self.configured = image

    def order(self, kind: OrderKind, at: str, count: str | None = None) -> None:
        number = f"{round(float(at) * 1000)}-{len(self.orders) + 1}"
        self.orders.append((float(at), Order(kind, None if count is None else int(count), number)))

    def deploy(self, image: str, at: str, share: int | None = None) -> None:
        number = f"{round(float(at) * 1000)}-{len(self.orders) + 1}"
        self.orders.append((float(at), Order(OrderKind.DEPLOY, id=number, image=image, share=share)))

    def image(self, image: str, fault: str) -> None:
        key = f"{fault}_images"
        self.faults[key] = self.faults.get(key, frozenset()) | {image}

    def play(self, trace: Trace) -> None:
        """Play it in the simulated world."""
        parts = self.traffic or [(0.0, 60.0)]
        trace.rate = steps(*parts)
        course = Course(
            rps=trace.rate,
            until_s=parts[-1][1],
            faults=Faults(**self.faults),
            orders=tuple(sorted(self.orders, key=lambda order: order[0])),
            **self.course,
        )
        sizes, life = PolicySettings(**self.sizes), LifeSettings(**self.life)
        simulate(Policy(APP, SPEC, sizes, life, image=self.configured), course, trace)
        trace.lines.append(trace.ending(course.until_s))


NUMBER = r"([0-9.]+)"
SPAN = rf"from {NUMBER} until {NUMBER}"


def _span(begin: str, end: str) -> tuple[float, float]:
    return float(begin), float(end)


LINES: tuple[tuple[str, Callable[..., None]], ...] = (
    (rf"rps {NUMBER} until {NUMBER}", lambda it, rate, until: it.traffic.append((float(rate), float(until)))),
    (rf"(boot|start|answer|carries) {NUMBER}", Script.number),
    (r"set (\w+) (\S+)", Script.set),
    (rf"schedule (\w+) min {NUMBER} start (.+) end (.+)", Script.schedule),
    (r"hosts ([\w ]+)", lambda it, names: it.course.update(hosts=tuple(names.split()))),
    (r"proxies ([0-9]+)", lambda it, count: it.course.update(proxies=int(count))),
    (r"(stuck|fails|hung|unstoppable) ([\w ]+)", Script.named),
    (rf"crash (\w+) at {NUMBER}", lambda it, name, at: it.keyed("crashes", name, float(at))),
    (rf"sick (\w+) {SPAN}", lambda it, name, begin, end: it.keyed("sick", name, _span(begin, end))),
    (rf"store gone {SPAN}", lambda it, begin, end: it.listed("store_gone", _span(begin, end))),
    (rf"store wiped at {NUMBER}", lambda it, at: it.listed("store_wiped", float(at))),
    (
        rf"proxy ([0-9]+) silent {SPAN}",
        lambda it, number, begin, end: it.listed("proxy_silent", (int(number) - 1, _span(begin, end))),
    ),
    (rf"host (\w+) silent {SPAN}", lambda it, host, begin, end: it.listed("host_silent", (host, _span(begin, end)))),
    (rf"scale ([0-9]+) at {NUMBER}", lambda it, count, at: it.order(OrderKind.SCALE, at, count)),
    (r"of (\w+)", Script.of),
    (rf"deploy (\w+) at {NUMBER}", Script.deploy),
    (rf"canary (\w+) ([0-9]+) at {NUMBER}", lambda it, image, share, at: it.deploy(image, at, int(share))),
    (rf"errors {NUMBER}", lambda it, rate: it.course.update(errors=float(rate))),
    (rf"canary errors {NUMBER}", lambda it, rate: it.course.update(canary_errors=float(rate))),
    (rf"canary slower {NUMBER}", lambda it, factor: it.course.update(canary_slower=float(factor))),
    (r"image (\w+) (stuck|unknown)", Script.image),
    (rf"image (\w+) ends after {NUMBER}", lambda it, image, s: it.keyed("exiting_images", image, float(s))),
    (rf"(auto|pause|resume|rollback|promote|abort) at {NUMBER}", lambda it, kind, at: it.order(OrderKind(kind), at)),
    (rf"close at {NUMBER}", lambda it, at: it.course.update(close_at=float(at))),
    (rf"kill scaler at {NUMBER}", lambda it, at: it.listed("killed", float(at))),
)


@dataclass
class Trace:
    """One line for each step that told something."""

    lines: list[str] = field(default_factory=list)
    rate: Callable[[float], float] = field(default=lambda _: 0.0)
    state: State = field(default_factory=State)

    def __call__(self, event: Event, taken: Step) -> None:
        self.state = taken.state
        told = "; ".join(_said(one) for one in happenings(taken))
        if told:
            self.lines.append(f"{event.now:6.1f}s {self._label(event):19} {told}")

    def ending(self, at: float) -> str:
        """What is there when the script ends."""
        told = [f"{one.name} {one.phase} on {one.host}" for one in self.state.instances.values()]
        return f"{at:6.1f}s {'end':19} {', '.join(told) or 'nothing is left'}"

    def _label(self, event: Event) -> str:
        if isinstance(event, Tick):
            return f"tick rps={self.rate(event.now):g}"
        return f"{type(event).__name__.lower()} {getattr(event, 'name', '')}".strip()


def _said(one: Happening) -> str:
    reasons = ", ".join(one.reasons)
    match one.kind:
        case "instance":
            known = one.before and one.after not in TOLD_WITH_REASON
            return f"{one.subject}: {one.after}" + ("" if known or one.after == "starting" else f" ({reasons})")
        case "decision":
            return f"desired {one.before} to {one.after} ({reasons})"
        case "state":
            return one.after
        case _:
            words = [word for word in (one.kind, one.subject, one.after) if word]
            return " ".join(words) + (f" ({reasons})" if reasons else "")


def played(text: str) -> str:
    """The scenario with what really comes out under the rule. Raises ValueError for a line that is not understood."""
    script_text = text.partition(f"\n{RULE}\n")[0].rstrip("\n")
    script, trace = Script(), Trace()
    for line in script_text.splitlines():
        words = " ".join(line.partition("#")[0].split())
        if words:
            script.read(words)
    script.play(trace)
    return "\n".join([script_text, RULE, *trace.lines, ""])
