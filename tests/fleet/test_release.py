from __future__ import annotations

import pytest

from fleet.release import IMAGE_REFERENCE, Release, Releases, Rollout

DIGEST = f"sha256:{'0a' * 32}"


@pytest.mark.parametrize(
    "text",
    [
        "shop",
        "shop:2",
        "team/shop_web:2.1-rc.1",
        "localhost:5000/team/shop",
        "registry.example.org/shop:1",
        f"shop@{DIGEST}",
        f"shop:2@{DIGEST}",
        DIGEST,
    ],
)
def test_an_image_is_named_as_engines_name_it(text: str) -> None:
    assert IMAGE_REFERENCE.fullmatch(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "-v",
        "--privileged",
        "Shop",
        "shop 2",
        "shop;reboot",
        "shop:",
        "shop:2\n",
        "$(id)",
        "a" * 256,
        "shop@sha256:0a",
    ],
)
def test_anything_else_is_no_image(text: str) -> None:
    assert not IMAGE_REFERENCE.fullmatch(text)


def test_a_release_is_found_by_its_spec_wherever_it_is_remembered() -> None:
    one, two, three = Release("1"), Release("2", "shop:2"), Release("3", "shop:3")
    releases = Releases(one, previous=two, rollout=Rollout(three, one))
    assert (one, two, three, None) == tuple(releases.find(spec) for spec in ("1", "2", "3", "4"))


def test_the_target_is_what_a_rollout_leads_to() -> None:
    one, two = Release("1"), Release("2")
    assert (one, two) == (Releases(one).target, Releases(one, rollout=Rollout(two, one)).target)


def test_a_release_without_an_image_is_called_by_its_spec() -> None:
    assert ("0a1b", "shop:2") == (Release("0a1b").name, Release("0a1b", "shop:2").name)
