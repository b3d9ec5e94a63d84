"""From the registry's keys to a Snapshot, with a fault for everything that cannot be believed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from fleet.backend import Backend, Network, instance_number, parse_backend
from fleet.registry import Snapshot
from fleet.store.connection import wrong_type
from fleet.store.fields import STORED_LIMIT, number, text
from fleet.store.keys import Keys

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(slots=True)
class SnapshotReader:
    """Reads snapshots one after the other; an entry that did not change is not parsed again."""

    keys: Keys
    networks: Sequence[Network]
    _parsed: dict[bytes, tuple[bytes, Backend]] = field(default_factory=dict)

    @property
    def wanted(self) -> tuple[tuple[str, str], ...]:
        """The commands whose replies `read` takes, to be run in one transaction."""
        return ("GET", self.keys.generation), ("GET", self.keys.instances), ("HGETALL", self.keys.backends)

    def read(self, generation: object, instances: object, backends: object) -> Snapshot | None:
        """The snapshot in those replies, or None where the store holds no data.

        A set that cannot be read as a whole gives a snapshot without backends that has a fault.
        """
        current = None if wrong_type(generation) else number(generation, STORED_LIMIT)
        if current is None:
            return None
        if wrong_type(backends):
            return Snapshot(current, {}, (f"{self.keys.backends}: must be a hash, is of another type",))
        entries: Mapping[bytes, bytes] = backends if isinstance(backends, dict) else {}
        serving = None if wrong_type(instances) else number(instances)
        if not entries and serving:
            return Snapshot(current, {}, (f"{self.keys.backends}: must hold {serving} serving ones, is absent",))
        return self._snapshot(current, entries)

    def fault(self, generation: object) -> tuple[str, ...]:
        """Why `read` took that reply for no data, where it is not simply absent."""
        if generation is None or (not wrong_type(generation) and number(generation, STORED_LIMIT) is not None):
            return ()
        shown = "of another type" if wrong_type(generation) else repr(text(generation)[:80])
        return (f"{self.keys.generation}: must be a whole number below {STORED_LIMIT:.0e}, was {shown}",)

    def _snapshot(self, generation: int, entries: Mapping[bytes, bytes]) -> Snapshot:
        parsed: dict[bytes, tuple[bytes, Backend]] = {}
        faults: list[str] = []
        for name, entry in entries.items():
            known = self._parsed.get(name)
            if known is not None and known[0] == entry:
                parsed[name] = known
                continue
            try:
                parsed[name] = entry, parse_backend(self.keys.app, text(name), entry, self.networks)
            except ValueError as error:
                faults.append(str(error))
        self._parsed = parsed
        ordered = sorted((backend for _, backend in parsed.values()), key=self._number)
        return Snapshot(generation, {backend.name: backend for backend in ordered}, tuple(sorted(faults)))

    def _number(self, backend: Backend) -> int:
        return instance_number(self.keys.app, backend.name) or 0
