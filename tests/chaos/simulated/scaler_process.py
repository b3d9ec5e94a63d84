"""One scaler as a process of the world: the real loop, machine and live world; killed, paused and begun again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fleet.errors import StoreUnavailableError
from scaler.driver import drive
from scaler.live import Live
from scaler.messages import Adopted, Publish, Published, Report, Start, Stop, Survey
from scaler.state import State
from tests.chaos.simulated.hands import Process, SimulatedHands, SimulatedInbox, SimulatedProber, WaitingError
from tests.chaos.simulated.server import EPOCH_S, Door

if TYPE_CHECKING:
    from collections.abc import Callable

    from fleet.registry import Sighting
    from scaler.inbox import Ending
    from scaler.messages import Effect, Event
    from scaler.state import Policy
    from scaler.turn import Step
    from tests.chaos.simulated.engine import Engine
    from tests.chaos.simulated.server import Server
    from tests.chaos.simulated.timeline import Timeline

RESTART_S = 2.0
NEVER = float("inf")
BEFORE = {"publish": Publish, "start": Start, "stop": Stop, "report": Report, "survey": Survey}
AFTER = {"published": Publish, "answer": Start}


class ScalerProcess:
    """Also the World that `drive` sees: it passes on to Live, and stops passing on where the process stands still.

    `watch` is told every step. `machine_clock` is what a process that begins now reads as the wall's time.
    """

    def __init__(
        self,
        name: str,
        policy: Policy,
        server: Server,
        engine: Engine,
        timeline: Timeline,
        watch: Callable[[ScalerProcess, State, Event, Step], None],
    ) -> None:
        self.name = name
        self.policy = policy
        self.machine_clock_s = EPOCH_S
        self.state = State()
        self.life = 0  # how often it was begun
        self.alive = False
        self.paused = False
        self._server = server
        self._engine = engine
        self._timeline = timeline
        self._watch = watch
        self._trap: tuple[str, Callable[[], None]] | None = None

    def begin(self) -> None:
        """Start the process."""
        self.life += 1
        self.alive, self.paused = True, False
        self.state = State()
        self._clock_s, self._lag_s, self._busy_until = self.machine_clock_s, 0.0, 0.0
        self._wake_at = NEVER
        self._held: list[Effect] = []
        self._answers: list[Callable[[], Event]] = []
        self._inside = False
        life = self.life
        process = Process(
            f"{self.name}-{life}", self._timeline, self.now, lambda: self._awake(life), self._teller(life), self.pump
        )
        self._inbox = SimulatedInbox(self.now)
        self._hands = SimulatedHands(process, self._engine, self.policy.life.parallel_starts)
        self._prober = SimulatedProber(process, self._engine, self._inbox)
        self._door = door = Door(self.name, self._server, self._took)
        self._live = Live(
            f"{self.name}-{life}",
            door,
            self._hands,  # type: ignore[arg-type]  # as the real ones, on simulated time
            self._prober,
            self._inbox,
            self.now,
            self.policy.life.tick_s,
        )
        self.pump()

    def now(self) -> float:
        """The time of its own clock, which no step of the machine's clock moves."""
        return self._clock_s + self._timeline.now + self._lag_s

    def true_time(self, at: float) -> float:
        """One of its own times as the true one."""
        return at - self._clock_s

    def looked_at(self, sighting: Sighting | None) -> float:
        """The true time of that look at the proxies' reports; of the last one where it is none."""
        looks = self._door.looks
        return next((at for at, seen in looks if seen is sighting), looks[-1][0] if looks else 0.0)

    def _took(self, seconds: float) -> None:
        self._lag_s += seconds

    def _awake(self, life: int) -> bool:
        return self.alive and not self.paused and self.life == life

    def _teller(self, life: int) -> Callable[[Callable[[], Event]], None]:
        def tell(answer: Callable[[], Event]) -> None:
            if self.life != life or not self.alive:
                return
            if self.paused:
                self._answers.append(answer)
            else:
                self._inbox.answer(answer())
                self.pump()

        return tell

    @property
    def id(self) -> str:
        """By which the store and the engine know this life of it."""
        return f"{self.name}-{self.life}"

    # What happens to it -----------------------------------------------------------------------------------------

    def trap(self, moment: str, happen: Callable[[], None]) -> None:
        """Let it happen at the next such moment in the loop, `now` at once."""
        if moment == "now" or not self.alive:
            happen()
        else:
            self._trap = moment, happen

    def spring(self) -> None:
        """Let what waits for its moment happen at once."""
        if self._trap is not None:
            (_, happen), self._trap = self._trap, None
            happen()

    def kill(self) -> None:
        """SIGKILL."""
        self.alive = False

    def end(self, ending: Ending) -> None:
        """SIGTERM or SIGINT, which a paused process sees when it goes on."""
        if self.alive:
            self._inbox.end(ending)
            self.pump()

    def _over(self) -> None:
        """The run has ended in order: the lease is given back."""
        self._live.close()
        self.alive = False

    def pause(self) -> None:
        """SIGSTOP."""
        self.paused = True

    def resume(self) -> None:
        """SIGCONT: what was under way goes on where it stood."""
        if not self.alive or not self.paused:
            return
        self.paused = False
        held, self._held = self._held, []
        for effect in held:
            self.perform(effect)
        answers, self._answers = self._answers, []
        for answer in answers:
            self._inbox.answer(answer())
        self._hands.resume()
        self._prober.resume()
        self.pump()

    def wake(self) -> None:
        """A proxy or a person asks for a look."""
        if self.alive:
            self._inbox.wake()
            self.pump()

    # The loop ---------------------------------------------------------------------------------------------------

    def pump(self) -> None:
        """Run the loop until it would wait."""
        if not self.alive or self.paused or self._inside:
            return
        if self._timeline.now < self._busy_until:
            self._wake(self._busy_until)
            return
        self._inside = True
        try:
            self.state = drive(self.policy, self.state, self, self._trace)
        except StoreUnavailableError:  # at its first call: the process ends, and is begun again
            self.alive = False
            self._timeline.after(RESTART_S, self._begin_again)
        finally:
            self._inside = False
        if self._lag_s:
            self._busy_until, self._lag_s = self._timeline.now + self._lag_s, 0.0

    def _begin_again(self) -> None:
        if not self.alive:
            self.begin()

    def _wake(self, at: float) -> None:
        if self._wake_at <= at:
            return
        self._wake_at, life = at, self.life

        def happen() -> None:
            if self.life == life and self._wake_at == at:
                self._wake_at = NEVER
                self.pump()

        self._timeline.at(at, happen)

    def next_event(self) -> Event | None:
        if not self.alive or self.paused:
            return None
        if self._lag_s:  # what it did took time, which has to pass first
            self._wake(self._timeline.now + self._lag_s)
            return None
        try:
            event = self._live.next_event()
        except WaitingError as waiting:
            self._wake(self._timeline.now + max(0.0, waiting.wait_s) + self._lag_s)
            return None
        if event is None:
            self._over()
        elif isinstance(event, Published | Adopted):
            self._moment("answer")
        return event if self._awake_still() else None

    def _awake_still(self) -> bool:
        return self.alive  # a trap may have ended it

    def perform(self, effect: Effect) -> None:
        if self._trap is not None and isinstance(effect, BEFORE.get(self._trap[0], ())):
            self.spring()
        if not self.alive:
            return
        if self.paused:
            self._held.append(effect)
            return
        self._live.perform(effect)
        if self._trap is not None and isinstance(effect, AFTER.get(self._trap[0], ())):
            self.spring()

    def _moment(self, moment: str) -> None:
        if self._trap is not None and self._trap[0] == moment:
            self.spring()

    def _trace(self, event: Event, taken: Step) -> None:
        before, self.state = self.state, taken.state
        self._watch(self, before, event, taken)
