from __future__ import annotations

import pytest

from scaler.actuators.container import pinned_image

DIGEST = f"sha256:{'0a' * 32}"
ID = f"sha256:{'1b' * 32}"


@pytest.mark.parametrize(
    ("image", "digests", "expected"),
    [
        ("shop:2", [f"shop@{DIGEST}"], f"shop@{DIGEST}"),
        ("shop", [f"other@{ID}", f"shop@{DIGEST}"], f"shop@{DIGEST}"),
        ("reg:5000/shop:2", [f"reg:5000/shop@{DIGEST}"], f"reg:5000/shop@{DIGEST}"),
        ("reg:5000/shop", [f"reg:5000/shop@{DIGEST}"], f"reg:5000/shop@{DIGEST}"),
        ("shop:2", [f"other@{DIGEST}"], ID),
        ("shop:2", [], ID),
        (f"shop@{DIGEST}", [f"shop@{ID}"], f"shop@{DIGEST}"),
        (DIGEST, [], DIGEST),
    ],
)
def test_an_image_is_pinned_by_its_registrys_digest_else_by_its_id(
    image: str, digests: list[str], expected: str
) -> None:
    assert expected == pinned_image(image, ID, digests)
