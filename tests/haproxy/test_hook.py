"""The hook as systemd, cron or a job calls it: a real HAProxy, a real store, no agent."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from fleet.backend import Backend, Phase
from tests.addon.backends import backend
from tests.haproxy.rig import Client, Rig, on_both, rig
from tests.valkey import free_port

if TYPE_CHECKING:
    from fleet.embedded import EmbeddedValkey

pytestmark = [pytest.mark.live, pytest.mark.timeout(60)]


async def stoker(plane: Rig, *words: str) -> tuple[int, str, str]:
    argv = [sys.executable, "-m", "stoker", "haproxy", *words, "--config", str(plane.config)]
    ran = await asyncio.to_thread(subprocess.run, argv, capture_output=True, text=True, check=False)
    return ran.returncode, ran.stdout, ran.stderr


@on_both
async def test_the_hook_loads_what_changed_and_waits_until_it_serves(
    valkey: EmbeddedValkey, fleet_name: str, binary: str
) -> None:
    async with rig(valkey, fleet_name, binary) as plane, backend("production1") as one:
        plane.stop_agent()
        worker = await plane.worker()
        assert (0, "") == (await stoker(plane, "hook"))[:2]
        assert worker == await plane.worker()
        plane.publish({"production1": one.url})
        code, _, said = await stoker(plane, "hook")
        assert (0, True) == (code, "serves" in said)
        assert worker != await plane.worker()
        assert (200, b"production1") == await Client(plane.port, fresh=True).get()
        assert "nothing to load" in (await stoker(plane, "hook"))[2]
        worker = await plane.worker()
        assert 0 == (await stoker(plane, "hook", "--force"))[0]
        assert worker != await plane.worker()


@on_both
async def test_a_hook_that_fails_says_why_and_leaves_all_as_it_was(
    valkey: EmbeddedValkey, fleet_name: str, binary: str
) -> None:
    async with rig(valkey, fleet_name, binary) as plane, backend("production1") as one:
        await plane.applied(plane.publish({"production1": one.url}))
        plane.stop_agent()
        worker, before = await plane.worker(), plane.file.read()
        plane.snippet.write_text("http-request nonsense\n")
        code, _, said = await stoker(plane, "hook")
        assert 1 == code
        assert "HAProxy refuses the configuration" in said
        assert "'http-request nonsense'" in said
        assert (worker, before) == (await plane.worker(), plane.file.read())
        assert (200, b"production1") == await Client(plane.port, fresh=True).get()


@on_both
async def test_a_worker_that_cannot_start_leaves_the_old_one_and_the_old_file(
    valkey: EmbeddedValkey, fleet_name: str, binary: str
) -> None:
    async with rig(valkey, fleet_name, binary) as plane, backend("production1") as one, backend("other") as taken:
        await plane.applied(plane.publish({"production1": one.url}))
        plane.stop_agent()
        worker = await plane.worker()
        plane.snippet.write_text(f"bind 127.0.0.1:{taken.port}\n")
        code, _, said = await stoker(plane, "hook")
        assert 1 == code, said
        assert "did not take the new file" in said
        assert "the former one is back" in said
        assert f"bind 127.0.0.1:{taken.port}" not in (plane.file.read() or "")
        assert worker == await plane.worker()
        assert (200, b"production1") == await Client(plane.port, fresh=True).get()


async def test_render_prints_the_fleet_and_writes_only_what_haproxy_accepts(
    valkey: EmbeddedValkey, fleet_name: str
) -> None:
    async with rig(valkey, fleet_name, "system") as plane:
        plane.publish({"production1": Backend("production1", Phase.SERVING, f"http://127.0.0.1:{free_port()}")})
        code, printed, _ = await stoker(plane, "render")
        assert (0, 1) == (code, printed.count("# production1\n"))
        target = plane.config.parent / "out.cfg"
        assert 0 == (await stoker(plane, "render", "--output", str(target)))[0]
        assert 1 == target.read_text().count("# production1\n")
        plane.snippet.write_text("nonsense here\n")
        assert 1 == (await stoker(plane, "render", "--output", str(target)))[0]
        assert "nonsense" not in target.read_text()


async def test_a_haproxy_that_is_too_old_or_none_is_named(valkey: EmbeddedValkey, fleet_name: str) -> None:
    async with rig(valkey, fleet_name, "system") as plane:
        plane.stop_agent()
        fake = plane.config.parent / "haproxy-old"
        fake.write_text("#!/bin/sh\necho 'HAProxy version 2.4.22 2023'\n")
        fake.chmod(0o755)
        for binary, words in ((fake, "must be 2.6 or newer, is 2.4"), ("/nowhere", "cannot be run")):
            plane.snippet.write_text(f"# {binary}\n")
            text = plane.config.read_text()
            plane.config.write_text(text.replace(text.partition('binary = "')[2].partition('"')[0], str(binary)))
            code, _, said = await stoker(plane, "hook")
            assert 1 == code
            assert words in said
