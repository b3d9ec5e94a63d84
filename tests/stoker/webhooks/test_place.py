from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fleet.delivery import Place
from stoker.webhooks.place import PlaceFile

if TYPE_CHECKING:
    from pathlib import Path


def test_what_was_written_is_read_back(tmp_path: Path) -> None:
    file = PlaceFile(tmp_path / "new" / "web.webhooks.json")
    assert Place() == file.read()
    file.write(Place("5-0", "6-1"))
    assert (Place("5-0", "6-1"), ["web.webhooks.json"]) == (
        file.read(),
        [one.name for one in file.path.parent.iterdir()],
    )


@pytest.mark.parametrize("content", ["", "nonsense", "[]", '{"events": 5}', '{"events": "5", "crashes": "6-"}', "null"])
def test_a_file_that_is_not_ours_says_nothing(tmp_path: Path, content: str) -> None:
    path = tmp_path / "place.json"
    path.write_text(content)
    assert Place() == PlaceFile(path).read()
