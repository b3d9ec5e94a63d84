"""The releases inside Redis' key `definition`: written as text, and read with suspicion."""

from __future__ import annotations

from dataclasses import fields
from functools import cache
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter, ValidationError

from fleet.release import IMAGE_TEXT, MAX_SHARE, Release, Releases
from fleet.store.fields import text

if TYPE_CHECKING:
    from collections.abc import Mapping

NAMES = tuple(item.name for item in fields(Releases))
MAX_SPEC = 64


@cache
def _adapter() -> TypeAdapter[Releases]:
    return TypeAdapter(Releases)


def release_fields(releases: Releases | None) -> list[str]:
    """Field and value by turns, a JSON text each; what is None is left out."""
    if releases is None:
        return []
    told: dict[str, Any] = _adapter().dump_python(releases, mode="json")
    return [part for name in NAMES if told[name] is not None for part in (name, _json(told[name]))]


def _json(value: object) -> str:
    return TypeAdapter(object).dump_json(value).decode()


def read_releases(key: str, values: Mapping[bytes, bytes]) -> tuple[Releases | None, tuple[str, ...]]:
    """What is stored, or None and why it cannot be believed. Nothing stored is None without a fault."""
    if not values:
        return None, ()
    told = b",".join(b'"%b":%b' % (name.encode(), values[name.encode()]) for name in NAMES if name.encode() in values)
    try:
        releases = _adapter().validate_json(b"{%b}" % told)
    except (ValidationError, ValueError) as error:
        return None, (f"{key}: must be what a scaler wrote: {str(error).splitlines()[0]}",)
    wrong = next((one for one in _all(releases) if not _sound(one)), None)
    if wrong is not None:
        return None, (f"{key}: must name images, was {text(wrong.image.encode())[:80]!r}",)
    if releases.canary is not None and not 0 < releases.canary.share <= MAX_SHARE:
        return None, (f"{key}: a canary's share must be 1 to {MAX_SHARE} per cent, was {releases.canary.share}",)
    return releases, ()


def _all(releases: Releases) -> tuple[Release, ...]:
    rollout = (releases.rollout.release, releases.rollout.former) if releases.rollout else ()
    asked = (Release("asked", releases.asked.image),) if releases.asked else ()
    canary = (releases.canary.release,) if releases.canary else ()
    return (
        releases.current,
        *rollout,
        *asked,
        *canary,
        *(one for one in (releases.previous, releases.configured) if one),
    )


def _sound(release: Release) -> bool:
    images = (release.image, release.pinned)
    return 0 < len(release.spec) <= MAX_SPEC and all(not one or IMAGE_TEXT.fullmatch(one) for one in images)
