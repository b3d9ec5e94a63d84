"""What the user gives at the start, and what is refused in one line."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from fleet.backend import Backend as Entry
from fleet.backend import Phase
from fleet.registry import Snapshot
from fleet.settings import load
from fleet.snapshot_file import snapshot_file
from tests.addon.backends import backend
from tests.addon.rig import Fleet, client, command, proxy
from tests.valkey import free_port

if TYPE_CHECKING:
    from pathlib import Path

    from fleet.settings import Settings

pytestmark = pytest.mark.live


@pytest.mark.parametrize("mode", ["regular", "upstream:http://other", "socks5", "reverse:https://stoker"])
def test_any_mode_but_a_plain_reverse_proxy_is_refused_in_one_line(mode: str, tmp_path: Path) -> None:
    ended = _run(tmp_path, mode=mode)
    assert ended.returncode == 1
    line = next(line for line in ended.stdout.splitlines() if "stoker" in line and "Loading" not in line)
    assert "stoker: mode must be reverse:http://stoker, was" in line
    assert mode in line
    assert "Traceback" not in ended.stdout + ended.stderr


def test_a_password_on_the_command_line_is_refused_and_not_shown(tmp_path: Path) -> None:
    ended = _run(tmp_path, "stoker_redis=redis://:hunter2@127.0.0.1:1/0")
    assert ended.returncode == 1
    assert "stoker_redis must not hold a password on the command line; set STOKER_REDIS_URL instead" in ended.stdout
    assert "hunter2" not in ended.stdout + ended.stderr


def test_a_value_against_its_rule_is_refused_with_key_rule_and_value(tmp_path: Path) -> None:
    ended = _run(tmp_path, "stoker_hold=-5")
    assert ended.returncode == 1
    assert "stoker: proxy.hold_s: input should be greater than or equal to 0, was '-5'" in ended.stdout


async def test_options_win_over_the_environment_and_that_over_the_file(
    store_settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "stoker.toml").write_text('app = "filed"\n[proxy]\nid = "filed"\nhold_max = 7\n')
    monkeypatch.setenv("STOKER_APP", "shop")
    with proxy(store_settings, tmp_path, name="given") as running:
        running.fleet = Fleet(load(None, fleet=store_settings.fleet, app="shop", redis_url=store_settings.redis_url))
        assert (await running.until(lambda _: True)).id == "given"


async def test_a_proxy_starts_from_its_file_while_redis_is_away(tmp_path: Path) -> None:
    settings = load(None, fleet="away", redis_url=f"redis://127.0.0.1:{free_port()}/0", state_dir=tmp_path)
    async with backend("production1") as one:
        entry = Entry("production1", Phase.SERVING, one.url)
        snapshot_file(settings, "proxy").write(Snapshot(7, {"production1": entry}))
        with proxy(settings, tmp_path) as running:
            async with client(running.port) as connection:
                assert (await connection.ask("/")).body == b"production1"
            assert running.process.poll() is None
            assert "starting with generation 7 from" in running.log()


def _run(folder: Path, *options: str, mode: str = "reverse:http://stoker") -> subprocess.CompletedProcess[str]:
    argv = command(free_port(), folder, *options, mode=mode)
    return subprocess.run(argv, capture_output=True, text=True, timeout=60, cwd=folder, check=False)
