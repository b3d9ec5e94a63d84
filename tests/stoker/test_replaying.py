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


def test_what_cannot_be_read_is_said_with_its_path(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=rf"^{tmp_path}: cannot be read: Is a directory$"):
        tell_replay(tmp_path, print)
    (tmp_path / "trace").write_bytes(b"\xff\xfe\n")
    with pytest.raises(CommandError, match=r"trace: must be a trace, is no text$"):
        tell_replay(tmp_path / "trace", print)
