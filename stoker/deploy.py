"""`stoker deploy`: place the order, then follow its events until it is done or has failed."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from fleet.backend import Phase
from fleet.errors import StoreUnavailableError
from stoker.lines import happening_json, happening_line

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from fleet.registry import Desk, Happening, Order, Status

FAILED, NOBODY, INTERRUPTED = 1, 3, 130
LOOK_S = 0.2
# So long after a deploy failed the last words of the instance that failed are waited for; a play brings them later.
LAST_WORDS_S, PLAYED_LAST_WORDS_S = 3.0, 12.0
LAST_WORDS = "last log lines: "


@dataclass(slots=True)
class Following:
    """What is known of one order from the events so far: `code` once it has ended, `why` it failed."""

    order: str
    begun: bool = False
    code: int | None = None
    why: list[str] = field(default_factory=list)
    culprit: str = ""
    names: set[str] = field(default_factory=set)

    def hear(self, happening: Happening) -> bool:
        """Take in one event; whether it is worth telling."""
        if happening.kind == "canary":
            return self._hear_canary(happening)
        match happening.kind, happening.after:
            case "deploy", "asked" | "refused" if happening.reasons[:1] == (f"order {self.order}",):
                self.begun = happening.after == "asked"
                if not self.begun:
                    self._fail(happening.reasons[1:])
                return True
            case "deploy", "done" if self.begun:
                self.code = 0
                return True
            case "deploy", "failed" if self.begun and self.code is None:
                self._fail(happening.reasons)
                self.culprit = self._speechless(happening.reasons[0])
                return True
            case "instance", Phase.GONE if self.code and happening.subject == self.culprit:
                self.culprit = ""
                self.why += [reason for reason in happening.reasons if ";" in reason]
                return True
        if happening.kind == "instance":
            self.names.add(happening.subject)
        return self.begun and self.code is None and happening.kind in {"deploy", "instance"}

    def _hear_canary(self, happening: Happening) -> bool:
        """A canary's order has ended when it serves; that to promote it, when the deploy that follows is done."""
        ours = happening.reasons[:1] == (f"order {self.order}",)
        match happening.after:
            case "promoted" if ours:
                self.begun = True
            case "cut" if ours:
                self.begun, self.code = True, 0
            case "serving" if self.begun:
                self.code = 0
            case "cut" | "refused" if self.begun and self.code is None:
                self._fail(happening.reasons)
        return self.begun

    def _speechless(self, reason: str) -> str:
        """The instance that failed, where its last words are still to come."""
        named = (name for name in self.names if reason.startswith(f"{name}: "))
        return next(named, "") if LAST_WORDS not in reason else ""

    def _fail(self, reasons: tuple[str, ...]) -> None:
        self.code = FAILED
        self.why += reasons


class Teller(Protocol):
    """Who shows a deploy."""

    def __enter__(self) -> Self:
        """Begin."""

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """End."""

    def event(self, happening: Happening) -> None:
        """Tell an event."""

    def seen(self, status: Status) -> None:
        """Show how far it is."""


def run_deploy(desk: Desk, order: Order, *, as_json: bool, pause: Callable[[float], bool], plays: bool = False) -> int:
    """Place the order and follow it; the exit code. `pause` waits and says whether a person wants to leave.

    `plays` says that instances are removed by plays.

    Raises StoreUnavailableError when the store cannot be reached at the start; later on it is waited for.
    """
    if desk.status().acting is None:
        sys.stderr.write("stoker: nothing was ordered: no scaler acts now; `stoker status` shows who waits\n")
        return NOBODY
    past = desk.history("", wait_s=0)
    following = Following(desk.place(order))
    with Lines(as_json=as_json) if as_json or not sys.stdout.isatty() else Bar(order) as teller:
        seen, last_words_s = past[-1][0] if past else "", PLAYED_LAST_WORDS_S if plays else LAST_WORDS_S
        code = _follow(desk, seen, following, teller, pause, last_words_s)
    words = "; ".join(following.why)
    if as_json:
        sys.stdout.write(json.dumps({"order": following.order, "exit_code": code, "reasons": following.why}) + "\n")
    elif code == FAILED:
        sys.stderr.write(f"stoker: the deploy failed: {words}\n")
    elif code == INTERRUPTED:
        sys.stderr.write(
            "stoker: no longer followed; the deploy goes on: `stoker status` and `stoker events` show it\n"
        )
    return code


def _follow(
    desk: Desk, seen: str, following: Following, teller: Teller, pause: Callable[[float], bool], last_words_s: float
) -> int:
    waited_s, lost = 0.0, ""
    while True:
        try:
            seen = _hear(desk, seen, following, teller)
            lost = ""
        except StoreUnavailableError as error:
            if not lost:
                sys.stderr.write(f"stoker: {error}; waiting\n")
            lost = str(error)
        if following.code is not None:
            if not following.culprit or waited_s >= last_words_s:
                return following.code
            waited_s += LOOK_S
        if pause(LOOK_S):
            return INTERRUPTED


def _hear(desk: Desk, seen: str, following: Following, teller: Teller) -> str:
    """Take in what happened since; the id of the newest of it."""
    for entry, happening in desk.history(seen, wait_s=0):
        seen = entry
        if following.hear(happening):
            teller.event(happening)
    teller.seen(desk.status())
    return seen


@dataclass(slots=True)
class Lines:
    """A line an event, for scripts and logs."""

    as_json: bool

    def __enter__(self) -> Self:
        """Nothing to begin."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Nothing to end."""

    def event(self, happening: Happening) -> None:
        """Print it."""
        line = json.dumps(happening_json(happening)) if self.as_json else happening_line(happening)
        sys.stdout.write(line + "\n")
        sys.stdout.flush()

    def seen(self, status: Status) -> None:
        """The events say it all."""


class Bar:
    """The events, and under them how many serve the new release of those that are desired."""

    def __init__(self, order: Order) -> None:
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TextColumn("{task.completed:.0f} of {task.total:.0f} serve it"),
            TimeElapsedColumn(),
            console=Console(highlight=False),
            transient=True,
        )
        self._task = self._progress.add_task(f"{order.kind} {order.image}".rstrip(), total=1)

    def __enter__(self) -> Self:
        """Draw it."""
        self._progress.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Wipe the bar; the events stay."""
        self._progress.stop()

    def event(self, happening: Happening) -> None:
        """Print it above the bar."""
        self._progress.console.print(happening_line(happening), markup=False, soft_wrap=True)

    def seen(self, status: Status) -> None:
        """Move the bar."""
        if status.releases is None or status.snapshot is None:
            return
        target = status.releases.target.spec
        serving = sum(one.phase is Phase.SERVING and one.spec == target for one in status.snapshot.backends.values())
        desired = status.summary.desired if status.summary else 0
        self._progress.update(self._task, completed=serving, total=max(1, desired, serving))
