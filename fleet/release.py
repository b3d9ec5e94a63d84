"""What new instances are started with, and how a fleet gets from one release to the next."""

from __future__ import annotations

import re
from dataclasses import dataclass

_COMPONENT = r"[a-z0-9]+(?:(?:\.|_{1,2}|-+)[a-z0-9]+)*"
_HOST = r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?(?::[0-9]{1,5})?/)?"
_DIGEST = r"sha256:[0-9a-f]{64}"
# distribution/reference's grammar without its rarer digests; an image's id alone is one too.
IMAGE_REFERENCE = re.compile(
    rf"(?=.{{1,255}}\Z)(?:{_DIGEST}|{_HOST}{_COMPONENT}(?:/{_COMPONENT})*(?::[A-Za-z0-9_][A-Za-z0-9_.-]{{0,127}})?(?:@{_DIGEST})?)"
)
# Looser, as the settings take it.
IMAGE_TEXT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/:@-]{0,254}")
MAX_SHARE = 50


@dataclass(frozen=True, slots=True)
class Release:
    """An instance definition with its image. `spec` is its hash and the label of its instances.

    `image` is as a person named it, `pinned` what it stood for when it was deployed; "" where it was never asked.
    What else the definition says is no part of this: it stays on the disks of the scalers.
    """

    spec: str
    image: str = ""
    pinned: str = ""

    @property
    def name(self) -> str:
        """How people call it."""
        return self.image or self.spec


@dataclass(frozen=True, slots=True)
class Asked:
    """A deploy whose image is being resolved. `order` is the id of the order, "" where the settings changed.

    `share` is the canary's share of the traffic in per cent, None for a whole deploy.
    """

    image: str
    order: str = ""
    share: int | None = None
    sticky: bool = False


@dataclass(frozen=True, slots=True)
class Rollout:
    """The way from `former` to `release`.

    `proven`: an instance of `release` has served long enough, or it served before; until then the load is carried by
    `former`. `back`: a failed one is undone. `since` is for display only.
    """

    release: Release
    former: Release
    order: str = ""
    since: float = 0.0
    proven: bool = False
    back: bool = False


@dataclass(frozen=True, slots=True)
class Canary:
    """A release on trial beside the one in force, with a share of the traffic in per cent.

    `deaths` are its instances that failed so far; `since` is for display only.
    """

    release: Release
    share: int
    order: str = ""
    sticky: bool = False
    since: float = 0.0
    deaths: int = 0


@dataclass(frozen=True, slots=True)
class Releases:
    """All releases that a fleet remembers.

    `current` is what new instances are started with, `previous` what a rollback goes back to; `configured` is the
    settings' own (without a pin) as it was when the fleet last took it over, so that a start notices a change.
    """

    current: Release
    previous: Release | None = None
    configured: Release | None = None
    rollout: Rollout | None = None
    asked: Asked | None = None
    canary: Canary | None = None

    @property
    def target(self) -> Release:
        """What all instances are to become."""
        return self.rollout.release if self.rollout else self.current

    def find(self, spec: str) -> Release | None:
        """The release of that spec, None where it is not remembered."""
        rollout = (self.rollout.release, self.rollout.former) if self.rollout else ()
        canary = (self.canary.release,) if self.canary else ()
        known = (self.current, *rollout, *canary, *(one for one in (self.previous, self.configured) if one))
        return next((one for one in known if one.spec == spec), None)
