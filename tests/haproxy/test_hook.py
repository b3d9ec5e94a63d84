"""The hook as systemd, cron or a job calls it: a real HAProxy, a real store, no agent."""

from __future__ import annotations

import asyncio
import errno
import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from fleet.backend import Backend, Phase
from fleet.settings import load
from haproxy.errors import HaproxyError
from haproxy.hook import run_hook
from haproxy.render import places
from tests.addon.backends import backend
from tests.haproxy.rig import Client, Rig, on_both, rig
from tests.valkey import free_port

if TYPE_CHECKING:
    from pathlib import Path

    from fleet.embedded import EmbeddedValkey

pytestmark = [pytest.mark.live, pytest.mark.timeout(120)]


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


async def test_a_full_disk_is_named_with_the_file_and_leaves_all_as_it_was(
    valkey: EmbeddedValkey, fleet_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    async with rig(valkey, fleet_name, "system") as plane, backend("production1") as one:
        plane.stop_agent()
        worker, before = await plane.worker(), plane.file.read()
        plane.publish({"production1": one.url})
        settings, said = plane.settings, list[str]()
        with monkeypatch.context() as patched:
            patched.setattr("os.fsync", full)
            with pytest.raises(OSError, match="No space left on device") as caught:
                await run_hook(settings, said.append)
        assert str(places(settings).config) == caught.value.filename
        assert ["the last snapshot stays: No space left on device"] == [line.partition(": ")[2] for line in said]
        assert (worker, before) == (await plane.worker(), plane.file.read())
        await run_hook(settings, said.append)
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


def without_a_master_socket(plane: Rig, line: str) -> str:
    """Only this line of the settings leads to HAProxy from now on; returns the former settings."""
    text = plane.config.read_text()
    master = f'master_socket = "{plane.config.parent / "none.sock"}"'
    plane.config.write_text(text.replace("[haproxy]\n", f"[haproxy]\n{master}\n{line}\n"))
    return text


@on_both
@pytest.mark.parametrize("way", ["pid_file", "reload_command"])
async def test_without_a_master_socket_a_signal_or_a_command_of_the_user_reloads(
    valkey: EmbeddedValkey, fleet_name: str, binary: str, way: str
) -> None:
    async with rig(valkey, fleet_name, binary) as plane:
        plane.stop_agent()
        assert plane.haproxy is not None
        pid, worker = plane.config.parent / "haproxy.pid", await plane.worker()
        pid.write_text(f"{plane.haproxy.pid}\n")
        command = f'reload_command = ["/bin/kill", "-USR2", "{plane.haproxy.pid}"]'
        plane.snippet.write_text("http-response set-header X-New yes\n")
        without_a_master_socket(plane, f'pid_file = "{pid}"' if way == "pid_file" else command)
        code, _, said = await stoker(plane, "hook")
        assert (0, True) == (code, f"worker {await plane.worker()} serves" in said), said
        assert worker != await plane.worker()


async def test_a_way_to_reload_that_leads_nowhere_is_named_and_the_former_file_is_back(
    valkey: EmbeddedValkey, fleet_name: str
) -> None:
    async with rig(valkey, fleet_name, "system") as plane:
        plane.stop_agent()
        worker, before = await plane.worker(), plane.file.read()
        plane.snippet.write_text("http-response set-header X-New yes\n")
        for line, words in (
            ("", "set haproxy.master_socket, reload_command or pid_file"),
            ('pid_file = "/nowhere/haproxy.pid"', "/nowhere/haproxy.pid does not lead to a running HAProxy"),
            ('reload_command = ["/bin/false"]', "/bin/false ended with exit code 1"),
            ('reload_command = ["/nowhere/reload"]', "/nowhere/reload cannot be run: No such file or directory"),
            ('reload_command = ["/bin/true"]\nreload_timeout_s = 0.1', "no new worker served within 0.1 s"),
        ):
            text = without_a_master_socket(plane, line)
            with pytest.raises(HaproxyError, match=re.escape(words)):
                await run_hook(load(plane.config), plane.said.append)
            plane.config.write_text(text)
            assert (worker, before) == (await plane.worker(), plane.file.read())


async def test_a_worker_that_cannot_start_is_told_without_a_master_socket_too(
    valkey: EmbeddedValkey, fleet_name: str
) -> None:
    async with rig(valkey, fleet_name, "system") as plane, backend("other") as taken:
        plane.stop_agent()
        assert plane.haproxy is not None
        pid, worker = plane.config.parent / "haproxy.pid", await plane.worker()
        pid.write_text(f"{plane.haproxy.pid}\n")
        plane.snippet.write_text(f"bind 127.0.0.1:{taken.port}\n")
        without_a_master_socket(plane, f'pid_file = "{pid}"\nreload_timeout_s = 2')
        code, _, said = await stoker(plane, "hook")
        assert 1 == code, said
        assert "no new worker served within 2 s" in said
        assert f"bind 127.0.0.1:{taken.port}" not in (plane.file.read() or "")
        assert worker == await plane.worker()


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


async def test_a_stranger_at_the_stats_socket_is_named_and_nothing_is_replaced(
    valkey: EmbeddedValkey, fleet_name: str, tmp_path: Path
) -> None:
    sockets = tmp_path / "s"
    settings = load(
        None,
        **{
            "fleet": fleet_name,
            "redis_url": valkey.url,
            "state_dir": tmp_path,
            "haproxy.sockets_dir": sockets,
            "haproxy.config_file": tmp_path / "haproxy.cfg",
        },
    )
    sockets.mkdir(mode=0o700)

    async def stranger(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(b"220 mail.example.org ready\n")
        writer.close()

    async with await asyncio.start_unix_server(stranger, places(settings).stats):
        with pytest.raises(HaproxyError, match=re.escape(str(places(settings).stats))):
            await run_hook(settings, lambda _line: None)
    assert not (tmp_path / "haproxy.cfg").exists()
