from __future__ import annotations

import pytest

from fleet.release import Asked, Release, Releases, Rollout
from fleet.store.definitions import read_releases, release_fields

PINNED = f"shop@sha256:{'0a' * 32}"
RELEASES = Releases(
    Release("1", "shop:1"),
    Release("0"),
    Release("1", "shop:1"),
    Rollout(Release("2", "shop:2", PINNED), Release("1", "shop:1"), "7-1", 12.5, proven=True),
    Asked("shop:3", "8-1", 10, sticky=True),
)


def stored(releases: Releases, **changes: str) -> dict[bytes, bytes]:
    told = release_fields(releases)
    values = dict(zip(told[::2], told[1::2], strict=True)) | changes
    return {name.encode(): value.encode() for name, value in values.items()}


@pytest.mark.parametrize("releases", [RELEASES, Releases(Release("1"))])
def test_what_is_written_is_read_back(releases: Releases) -> None:
    assert (releases, ()) == read_releases("k", stored(releases))


def test_nothing_stored_is_no_fault() -> None:
    assert (None, ()) == read_releases("k", {})


@pytest.mark.parametrize(
    "changes",
    [
        {"current": "{"},
        {"current": "[]"},
        {"current": '{"spec": "1", "image": "shop;reboot"}'},
        {"current": '{"spec": ""}'},
        {"previous": '{"spec": "1", "pinned": "--privileged"}'},
        {"rollout": '{"release": 3}'},
        {"asked": '{"image": "a b"}'},
    ],
)
def test_what_no_scaler_wrote_is_not_believed(changes: dict[str, str]) -> None:
    releases, faults = read_releases("k", stored(Releases(Release("1")), **changes))
    assert releases is None
    assert [True] == [fault.startswith("k: must ") for fault in faults]
