"""What each spec stands for, kept on this scaler's own disk: the store names releases, it never says how they run."""

from __future__ import annotations

import json
import os
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import structlog
from pydantic import ValidationError

from fleet.settings import InstanceSettings
from scaler.actuators.definition import definition_hash

KEPT = 50

log = structlog.get_logger()


@dataclass(slots=True)
class Definitions:
    """Instance definitions by spec, without env values: those are always the configured ones.

    `path` None keeps nothing. What cannot be read back is as if it had never been known; what cannot be written, on a
    full disk, is written as soon as it can be.
    """

    configured: InstanceSettings
    spec: str
    path: Path | None = None
    _known: dict[str, dict[str, Any]] = field(default_factory=dict)
    _kept: dict[str, dict[str, Any]] | None = None
    _trouble: str = ""

    def __post_init__(self) -> None:
        try:
            if self.path is not None and self.path.exists():
                self._kept = self._known = dict(json.loads(self.path.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError) as error:
            log.warning("not the definitions that a scaler wrote", path=str(self.path), reason=str(error))
        self._remember(self.spec, self.configured)

    def find(self, spec: str, image: str) -> InstanceSettings:
        """The definition of that spec, with that image. One that this scaler never saw is the configured one.

        Raises ValueError, one line, where it is not even known of which image that would be.
        """
        self._keep()
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
        if self._known.get(spec) != told:
            others = [(name, one) for name, one in self._known.items() if name != spec]
            self._known = dict([*others, (spec, told)][-KEPT:])  # another one, which is not kept yet
        self._keep()

    def _keep(self) -> None:
        """Write down what is known, unless it is written."""
        known = self._known
        if self.path is None or self._kept is known:
            return
        try:
            _write(self.path, json.dumps(known, indent=1))
        except OSError as error:
            trouble = error.strerror or str(error)
            if self._trouble != trouble:
                log.warning("definitions not written, tried again at each start", path=str(self.path), reason=trouble)
            self._trouble = trouble
        else:
            self._kept, self._trouble = known, ""


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(text)
        Path(temporary).replace(path)
    except OSError:
        Path(temporary).unlink(missing_ok=True)
        raise
