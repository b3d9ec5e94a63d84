"""Registry snapshots for tests, in few words."""

from __future__ import annotations

from fleet.backend import Backend, Phase
from fleet.registry import Snapshot


def snapshot(generation: int = 1, **ports: int | None) -> Snapshot:
    """Serving backends of these names and ports; one without a port has no address yet."""
    return Snapshot(
        generation,
        {
            name: Backend(name, Phase.SERVING if port else Phase.STARTING, f"http://127.0.0.1:{port}" if port else None)
            for name, port in ports.items()
        },
    )


def with_phase(given: Snapshot, name: str, phase: Phase) -> Snapshot:
    """The next generation, in which one backend is in another phase."""
    entry = given.backends[name]
    changed = Backend(entry.name, phase, entry.url, entry.weight)
    return Snapshot(given.generation + 1, {**given.backends, name: changed})
