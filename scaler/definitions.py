"""What each spec stands for, kept on this scaler's own disk: the store names releases, it never says how they run."""

from __future__ import annotations

import json
import logging
import os
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from fleet.settings import InstanceSettings
from scaler.actuators.definition import definition_hash

KEPT = 50

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Definitions:
    """Instance definitions by spec, without env values: those are always the configured ones.

    `path` None keeps nothing. What cannot be read back is as if it had never been known.
    """

    configured: InstanceSettings
    spec: str
    path: Path | None = None
    _known: dict[str, dict[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.path is not None and self.path.exists():
            try:
                self._known = dict(json.loads(self.path.read_text(encoding="utf-8")))
            except (OSError, ValueError, TypeError) as error:
                log.warning("%s: not the definitions that a scaler wrote: %s", self.path, error)
        self._remember(self.spec, self.configured)

    def find(self, spec: str, image: str) -> InstanceSettings:
        """The definition of that spec, with that image. One that this scaler never saw is the configured one.

        Raises ValueError, one line, where it is not even known of which image that would be.
        """
        if spec == self.spec:
            found = self.configured
        elif spec in self._known:
            found = self._read(spec)
        elif image:
            found = self.configured
        else:
            raise ValueError(f"what spec {spec} stands for is not known here: deploy an image")
        return found.model_copy(update={"env": self.configured.env} | ({"image": image} if image else {}))

    def _read(self, spec: str) -> InstanceSettings:
        try:
            return InstanceSettings.model_validate(self._known[spec])
        except ValidationError as error:
            raise ValueError(f"{self.path}: spec {spec} is not an instance definition") from error

    def with_image(self, image: str) -> tuple[str, InstanceSettings]:
        """The configured definition with another image ("": its own), and its spec; remembered from now on."""
        definition = self.configured.model_copy(update={"image": image}) if image else self.configured
        spec = definition_hash(definition)
        self._remember(spec, definition)
        return spec, definition

    def _remember(self, spec: str, definition: InstanceSettings) -> None:
        told = definition.model_dump(mode="json", exclude_defaults=True, exclude={"env"})
        if self._known.get(spec) == told:
            return
        self._known.pop(spec, None)
        self._known[spec] = told
        self._known = dict(list(self._known.items())[-KEPT:])
        if self.path is not None:
            self._write(self.path)

    def _write(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            json.dump(self._known, stream, indent=1)
        Path(temporary).replace(path)
