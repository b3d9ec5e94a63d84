"""A real mitmdump that writes its access log."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.addon.backends import backend
from tests.addon.rig import client, proxy

if TYPE_CHECKING:
    from pathlib import Path

    from fleet.settings import Settings

pytestmark = [pytest.mark.live, pytest.mark.timeout(120)]


def lines(file: Path) -> list[dict[str, Any]]:
    """What is written so far."""
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


async def written(file: Path, count: int) -> list[dict[str, Any]]:
    """The lines, once there are so many."""
    async with asyncio.timeout(30):
        while len(found := lines(file)) < count:  # noqa: ASYNC110  # written by another process
            await asyncio.sleep(0.02)
        return found


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "access.log"
    monkeypatch.setenv("STOKER_ACCESS_LOG__FILE", str(path))
    monkeypatch.setenv("STOKER_METRICS__MITMPROXY_PORT", "none")
    return path


async def test_each_request_is_a_line(store_settings: Settings, tmp_path: Path, file: Path) -> None:
    with proxy(store_settings, tmp_path) as plane:
        async with backend("production1") as one, client(plane.port) as connection:
            await plane.serve(one)
            await connection.ask("/?secret=1", "X-Stoker-Request: mine")
            await connection.ask("/bad", method="POST", body=b"x" * 70_000)
            await connection.ask("/__stoker/no")
            async with client(plane.port) as leaving:
                leaving.send("/wait")
                await plane.until(lambda reading: reading.in_flight == 1)
                leaving.abort()
                first, second, third, fourth = await written(file, 4)
    assert ("GET", "/", 200, "production1") == tuple(first[key] for key in ("method", "path", "status", "backend"))
    assert (0, len(b"production1")) == (first["bytes_in"], first["bytes_out"])
    assert first["address"] == one.url.removeprefix("http://")
    assert 32 == len(first["id"])
    assert "127.0.0.1" == first["client"]
    assert 0 == first["held_ms"]
    assert 0 < first["connect_ms"] <= first["total_ms"] < 5000
    assert ("POST", "/bad", 500, 70_000) == tuple(second[key] for key in ("method", "path", "status", "bytes_in"))
    assert 0 == second["connect_ms"]
    assert (404, None, -1) == (third["status"], third["backend"], third["held_ms"])
    assert ("/wait", -1, "production1") == (fourth["path"], fourth["status"], fourth["backend"])


async def test_a_held_request_says_how_long(store_settings: Settings, tmp_path: Path, file: Path) -> None:
    with proxy(store_settings, tmp_path) as plane:
        async with backend("production1") as one, client(plane.port) as connection:
            await plane.serve()
            connection.send("/")
            await plane.until(lambda reading: reading.held == 1)
            await asyncio.sleep(0.2)
            await plane.serve(one)
            await connection.answer()
        [held] = await written(file, 1)
    assert 200 <= held["held_ms"] <= held["total_ms"]


@pytest.mark.parametrize(
    ("target", "path"),
    [
        ('/q"uo\\te', '/q"uo\\te'),
        ("/caf\xc3\xa9", "/café"),
        ("/\xff\xfe", "/\ufffd\ufffd"),
        ("/" + "x" * 60_000, "/" + "x" * 1999),
    ],
)
async def test_hostile_paths_stay_inside_their_quotes(
    store_settings: Settings, tmp_path: Path, file: Path, target: str, path: str
) -> None:
    with proxy(store_settings, tmp_path) as plane:
        async with backend("production1") as one, client(plane.port) as connection:
            await plane.serve(one)
            await connection.ask(target)
            [told] = await written(file, 1)
    assert path == told["path"]


async def test_the_end_of_the_proxy_loses_no_line(store_settings: Settings, tmp_path: Path, file: Path) -> None:
    with proxy(store_settings, tmp_path) as plane:
        async with backend("production1") as one, client(plane.port) as connection:
            await plane.serve(one)
            for _ in range(20):
                await connection.ask("/")
            plane.end()
            await plane.ended()
    assert 20 == len(lines(file))
