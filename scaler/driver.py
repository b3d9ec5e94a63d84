"""The one loop: event, step, trace, effects; production, shadow, simulation and tests all run it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from scaler.machine import step

if TYPE_CHECKING:
    from scaler.messages import Effect, Event
    from scaler.state import Policy, State
    from scaler.turn import Step


class World(Protocol):
    """Where events come from and effects go."""

    def next_event(self) -> Event | None:
        """Wait for the next event; None ends the run."""

    def perform(self, effect: Effect) -> None:
        """Begin the effect; what comes of it is an event of its own, later."""


class Trace(Protocol):
    """Who writes down what happened."""

    def __call__(self, event: Event, taken: Step) -> None:
        """Note one event and the step that it led to, before its effects are performed."""


def drive(policy: Policy, state: State, world: World, trace: Trace) -> State:
    """Run until the world has no more events; returns the last state."""
    while (event := world.next_event()) is not None:
        taken = step(policy, state, event)
        trace(event, taken)
        state = taken.state
        for effect in taken.effects:
            world.perform(effect)
    return state


def untraced(event: Event, taken: Step) -> None:
    """A trace for runs that nobody reads back."""
    del event, taken
