"""The labels by which an instance is known as ours: adopting, stopping and removing check all of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fleet.backend import instance_number

if TYPE_CHECKING:
    from collections.abc import Mapping

FLEET = "stoker.fleet"
APP = "stoker.app"
NAME = "stoker.name"
SPEC = "stoker.spec"
PORT = "stoker.port"


@dataclass(frozen=True, slots=True)
class Owner:
    """The fleet and app on whose behalf a hand acts."""

    fleet: str
    app: str

    def labels(self, name: str, spec: str, port: int | None = None) -> dict[str, str]:
        """All labels of one instance; `port` is the one on which the app listens inside its container."""
        marks = {FLEET: self.fleet, APP: self.app, NAME: name, SPEC: spec}
        return marks if port is None else marks | {PORT: str(port)}

    def owned_name(self, labels: Mapping[str, str]) -> str | None:
        """The instance's name by its labels, or None where any label is missing or another's."""
        name = labels.get(NAME, "")
        mine = labels.get(FLEET) == self.fleet and labels.get(APP) == self.app and bool(labels.get(SPEC))
        return name if mine and instance_number(self.app, name) is not None else None

    def check(self, name: str) -> None:
        """Raise ValueError unless `name` is the app's name and a number."""
        if instance_number(self.app, name) is None:
            raise ValueError(f"an instance's name must be {self.app!r} and a number, was {name[:80]!r}")
