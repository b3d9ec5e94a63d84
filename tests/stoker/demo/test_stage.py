from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from stoker.demo.stage import _content

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(("actuator", "app"), [("process", "shop"), ("docker", "shop-efgh"), ("ansible", "shop-efgh")])
def test_names_on_an_engine_are_of_this_demo_alone(actuator: str, app: str, tmp_path: Path) -> None:
    assert app == _content(actuator, "demo-abcdefgh", tmp_path, {})["app"]
