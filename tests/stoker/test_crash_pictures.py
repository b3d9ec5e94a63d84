from __future__ import annotations

import asyncio
import gzip
from typing import TYPE_CHECKING

import pytest

from fleet.crash import Capture, Uncaptured
from fleet.memory_crashes import MemoryCrashes
from stoker.crash_pictures import find, show, top
from stoker.errors import CommandError
from tests.contracts.crashes import document, failure

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def store() -> MemoryCrashes:
    return MemoryCrashes(lambda: 100.0)


def keep(store: MemoryCrashes, *ids: str, content: bytes | None = None) -> None:
    async def kept() -> None:
        for each in ids:
            await store.failed([failure(each)])
            packed = gzip.compress(document(each) if content is None else content)
            await store.captured(Capture(each, "ZeroDivisionError"), packed)

    asyncio.run(kept())


def test_the_beginning_of_an_id_is_enough(store: MemoryCrashes) -> None:
    keep(store, "abc1", "abd2")

    assert "abd2" == find(store, "abd")[0]
    assert "abc1" == find(store, "abc1")[0]


@pytest.mark.parametrize(
    ("wish", "said"),
    [
        ("zzz", "no crash has an id that begins with 'zzz'; `stoker crashes` lists them"),
        ("", "no crash has an id that begins with ''; `stoker crashes` lists them"),
        ("\x1b", "no crash has an id that begins with '\\x1b'; `stoker crashes` lists them"),
        ("ab", "2 crashes have ids that begin with 'ab': abc1, abd2"),
    ],
)
def test_a_wish_that_means_no_crash_or_several_is_refused(store: MemoryCrashes, wish: str, said: str) -> None:
    keep(store, "abc1", "abd2")

    with pytest.raises(CommandError) as refused:
        find(store, wish)

    assert said == str(refused.value)


def test_why_there_is_nothing_to_draw_is_said(store: MemoryCrashes) -> None:
    asyncio.run(store.failed([failure("open"), failure("lost"), failure("old")]))
    asyncio.run(store.uncaptured([Uncaptured("lost", "the app has no token")]))
    keep(store, "old")
    store._documents.clear()

    for crash_id, said in (
        ("open", "crash open: nothing was captured of it (yet): docs/crashes.md says what the app and the proxy need"),
        ("lost", "crash lost: nothing was captured of it: the app has no token"),
        ("old", "crash old: its document has expired: only the newest are kept"),
    ):
        with pytest.raises(CommandError) as refused:
            find(store, crash_id)
        assert said == str(refused.value)


def test_a_crash_is_drawn_into_a_file_of_its_name(
    store: MemoryCrashes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    keep(store, "abc1")
    said: list[str] = []

    show(store, "abc", None, said.append)

    assert [f"drawn: {tmp_path / 'crash-abc1.svg'}"] == said
    assert "ZeroDivisionError in GET /orders/1" in (tmp_path / "crash-abc1.svg").read_text(encoding="utf-8")


def test_a_picture_goes_to_standard_output_alone(
    store: MemoryCrashes, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    keep(store, "abc1")
    said: list[str] = []

    show(store, "abc1", "-", said.append)

    assert capfdbinary.readouterr().out.startswith(b"<svg ")
    assert [] == said


def test_a_document_that_is_none_is_one_line(store: MemoryCrashes, tmp_path: Path) -> None:
    keep(store, "abc1", content=b'{"stoker_crash": 2}')

    with pytest.raises(CommandError, match="crash abc1: a crash document must be of version 1, was 2"):
        show(store, "abc1", str(tmp_path / "out.svg"), print)


def test_all_crashes_are_one_graph(store: MemoryCrashes, tmp_path: Path) -> None:
    keep(store, "one", "two")
    asyncio.run(store.failed([failure("three")]))
    out = tmp_path / "top.svg"

    top(store, None, "", str(out), print)

    svg = out.read_text(encoding="utf-8")
    assert "<title>ZeroDivisionError (2 crashes, 100.00%)</title>" in svg
    assert "recorded without a document that is kept: 1" in svg


def test_without_any_backtrace_there_is_no_graph(store: MemoryCrashes) -> None:
    asyncio.run(store.failed([failure("three")]))

    with pytest.raises(CommandError, match="no crash in the last 1h has a backtrace to draw; 1 were recorded"):
        top(store, 3600, "1h", "-", print)
