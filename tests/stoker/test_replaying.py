from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from stoker.errors import CommandError
from stoker.replaying import tell_replay

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("text", ["", "{}\n", "not JSON\n", '{"trace": 99, "policy": {}, "state": {}}\n'])
def test_what_is_no_trace_is_refused_with_file_and_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "trace"
    path.write_text(text)
    with pytest.raises(CommandError, match=r"trace:1: "):
        tell_replay(path, print)
