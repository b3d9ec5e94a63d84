"""The supervisor behind `stoker up`: starts the parts, keeps them running, ends them in order."""

from __future__ import annotations

import fcntl
import os
import signal
from collections.abc import Callable
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from fleet.clock import Clock
from fleet.errors import StoreUnavailableError
from fleet.settings import Settings
from fleet.store.desk import RedisDesk
from fleet.store.opening import open_desk
from stoker.errors import CommandError
from stoker.lines import happening_line
from stoker.parts import Ending, Part, WebhooksPart, WebPart, all_parts, ending_parts, listens
from stoker.processes import Note, Process, read_note, this_process
from stoker.signals import Signals

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from fleet.registry import Happening

LOOK_S = 0.25
FIRST_BACKOFF_S = 0.5
LONGEST_BACKOFF_S = 30.0
STEADY_S = 60.0
# Parts end in the opposite order of their start: no request meets a fleet that is already leaving.
ORDER_OF_END = ("web", "proxy", "agent", "scaler", "webhooks", "valkey")
# The fleet works without these: one that cannot begin is no reason to give up.
DISPENSABLE = frozenset({"web", "webhooks"})


@dataclass(slots=True)
class Kept:
    """A part with its present process. `due_at` is when a dead one is started again."""

    part: Part
    process: Process | None = None
    started_at: float = 0.0
    due_at: float = 0.0
    deaths: int = 0
    is_ready: bool = False
    has_been_ready: bool = False

    def back_off(self, now: float) -> float:
        """Count a death; returns the seconds until the next start, doubling unless it had been steady."""
        self.deaths = 1 if now - self.started_at > STEADY_S else self.deaths + 1
        wait_s: float = min(FIRST_BACKOFF_S * 2 ** (self.deaths - 1), LONGEST_BACKOFF_S)
        self.process, self.is_ready, self.due_at = None, False, now + wait_s
        return wait_s


@dataclass(slots=True)
class Supervisor:
    """One `stoker up`. `say` prints a line for the person who started it."""

    settings: Settings
    say: Callable[[str], None]
    signals: Signals
    kept: list[Kept]
    now: Callable[[], float] = field(default_factory=lambda: Clock().now)
    _note: Note = field(default_factory=lambda: Note(this_process()))
    _seen: str = ""
    _desk: RedisDesk | None = None

    def run(self) -> None:
        """Until a signal says how to end. Raises CommandError where a part cannot even begin."""
        path, ending = note_path(self.settings), Ending.LEAVE
        try:
            self._note.write(path)
            ending = self._begin() or self._watch()
            self.say(f"ending: {ending.value}; a second signal hurries")
        finally:
            self._end(ending)
            path.unlink(missing_ok=True)
        self.say(f"fleet {self.settings.fleet} is down")

    def _begin(self) -> Ending | None:
        """Start every part; one that dies before it was ever ready is no accident but a reason to give up."""
        for kept in self.kept:
            if kept.part.name == "scaler":
                self._history()  # what was before is not told again
            self._start(kept)
        needed = [kept for kept in self.kept if kept.part.name not in DISPENSABLE]
        while not all(kept.has_been_ready for kept in needed):
            for kept in self.kept:
                if kept.has_been_ready or kept not in needed:
                    self._keep(kept)
                elif kept.process is not None and not kept.process.alive:
                    raise CommandError(f"{kept.part.name}: {kept.part.last_words(kept.process)}")
                self._greet(kept)
            self._tell_history()
            if ending := self._asked():
                return ending
        return None

    def _watch(self) -> Ending:
        while True:
            for kept in self.kept:
                self._keep(kept)
                self._greet(kept)
            self._tell_history()
            if ending := self._asked():
                return ending

    def _keep(self, kept: Kept) -> None:
        now, name = self.now(), kept.part.name
        if kept.process is None:
            if now >= kept.due_at:
                self._start_again(kept)
        elif not kept.process.alive:
            why = kept.part.last_words(kept.process)
            self.say(f"{name:<8} {why}; starts again in {kept.back_off(now):g} s")

    def _start_again(self, kept: Kept) -> None:
        try:
            self._start(kept)
        except (OSError, StoreUnavailableError) as error:
            wait_s = kept.back_off(self.now())
            self.say(f"{kept.part.name:<8} {error}; starts again in {wait_s:g} s")

    def _start(self, kept: Kept) -> None:
        kept.started_at = self.now()
        kept.process = kept.part.start(lambda process: self._write(kept.part.name, process))

    def _write(self, name: str, process: Process) -> None:
        self._note = self._note.having(name, process)
        self._note.write(note_path(self.settings))

    def _greet(self, kept: Kept) -> None:
        if kept.process is not None and not kept.is_ready and (line := kept.part.ready(kept.process)):
            kept.is_ready = kept.has_been_ready = True
            self.say(f"{kept.part.name:<8} {line}")

    def _tell_history(self) -> None:
        for happening in self._history():
            self.say(happening_line(happening))

    def _history(self) -> list[Happening]:
        """What is new; nothing while the store cannot be reached, which the parts say themselves."""
        try:
            self._desk = self._desk or open_desk(self.settings)
            new = self._desk.history(self._seen, wait_s=0)
        except StoreUnavailableError:
            return []
        self._seen = new[-1][0] if new else self._seen
        return [happening for _, happening in new]

    def _asked(self) -> Ending | None:
        for number in self.signals.wait(LOOK_S):
            return Ending.STOP_ALL if number == signal.SIGINT else Ending.LEAVE
        return None

    def _end(self, ending: Ending) -> None:
        children = {kept.part.name: kept.process for kept in self.kept if kept.process}
        end_parts([kept.part for kept in self.kept], children, ending, self.say, lambda s: bool(self.signals.wait(s)))


def end_parts(
    parts: list[Part],
    children: dict[str, Process],
    ending: Ending,
    say: Callable[[str], None],
    pause: Callable[[float], bool],
) -> None:
    """End those of `children` that live, in order. `pause` waits, and says when to hurry."""
    for part in sorted(parts, key=lambda part: ORDER_OF_END.index(part.name)):
        process = children.get(part.name)
        if process is None or not process.alive:
            continue
        ended = part.end(process, ending, pause)
        say(f"{part.name:<8} {'ended' if ended else 'had to be killed'}")


def run_up(settings: Settings, config: Path | None, say: Callable[[str], None]) -> None:
    """Run the fleet until a signal. Raises CommandError, one line, where it cannot start."""
    with the_only_one(settings), Signals() as signals:
        end_killed(settings, ending_parts(settings, config), say, lambda seconds: bool(signals.wait(seconds)))
        proxy = settings.proxy
        if listens(proxy.listen_address, proxy.listen_port):
            raise CommandError(f"proxy.listen_port: {proxy.listen_address}:{proxy.listen_port} is in use; set another")
        if settings.redis_url:
            with closing(open_desk(settings)) as desk:
                desk.status()  # says at once why it cannot be reached
        parts = all_parts(settings, config)
        if settings.web.enabled:
            parts += web_parts(settings, config, say)
        if settings.webhooks.url:
            settings.webhooks.key()  # says at once what is wrong with the secret
            parts.append(WebhooksPart(settings, config))
        Supervisor(settings, say, signals, [Kept(part) for part in parts]).run()


def web_parts(settings: Settings, config: Path | None, say: Callable[[str], None]) -> list[Part]:
    """The page; none, which is said, where its port is in use: a fleet is worth more than its page."""
    web = settings.web
    if listens(web.listen_address, web.listen_port):
        say(f"web      web.listen_port: {web.listen_address}:{web.listen_port} is in use; no page, set another")
        return []
    return [WebPart(settings, config)]


def end_killed(
    settings: Settings, parts: list[Part], say: Callable[[str], None], pause: Callable[[float], bool]
) -> None:
    """End what a killed `stoker up` left alive; its instances stay, for the next scaler to adopt."""
    note = read_note(note_path(settings))
    if note:
        end_parts(parts, dict(note.children), Ending.LEAVE, lambda line: say(f"{line} (of a killed run)"), pause)


@contextmanager
def the_only_one(settings: Settings) -> Iterator[None]:
    """Hold the fleet's lock; raises CommandError where another `stoker up` holds it."""
    settings.state_path.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (settings.state_path / "up.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise CommandError(f"fleet {settings.fleet} is already up; `stoker down` ends it") from error
        os.set_inheritable(lock.fileno(), False)
        yield


def note_path(settings: Settings) -> Path:
    """Where the supervisor and its children are named."""
    return settings.state_path / "up.json"
