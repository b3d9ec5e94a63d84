"""Everything runs, with a password, a token and an app's own secrets; nobody finds them where others may look."""

from __future__ import annotations

import secrets
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import redis

from tests.addon.rig import client
from tests.stoker.fleets import Fleet, fleet
from tests.valkey import folder, free_port, installed, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.live, pytest.mark.timeout(180)]

READERS = {"string": "get", "hash": "hgetall", "set": "smembers", "stream": "xrange"}


def planted() -> dict[str, str]:
    """Secrets that occur nowhere else."""
    names = ("redis password", "another password", "profile token", "env", "env_file")
    return {name: f"planted{secrets.token_hex(12)}" for name in names}


def found_in(where: dict[str, bytes], planted: dict[str, str]) -> list[str]:
    return [
        f"{name} in {place}"
        for place, text in where.items()
        for name, value in planted.items()
        if value.encode() in text
    ]


def command_lines() -> dict[str, bytes]:
    """What `ps` shows to everybody."""
    found = {}
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found[str(entry)] = entry.read_bytes()
        except OSError:
            continue  # it has ended
    return found


def files_under(path: Path) -> dict[str, bytes]:
    """Logs, traces, snapshots, notes: everything but what the user wrote."""
    written, found = {"stoker.toml", "app.env"}, {}
    for each in path.rglob("*"):
        if each.is_file() and each.name not in written:
            # What is written beside a file, to take its place, is gone the next moment.
            with suppress(FileNotFoundError):
                found[str(each)] = each.read_bytes()
    return found


def stored(server: redis.Redis) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for key in map(_text, server.keys("*")):
        kind = _text(server.type(key))
        content = getattr(server, READERS[kind])(key) if kind in READERS else server.zrange(key, 0, -1)
        found[f"key {key}"] = f"{key}{content!r}".encode()
    return found


def _text(reply: object) -> str:
    return reply.decode() if isinstance(reply, bytes) else str(reply)


@pytest.fixture
def hidden() -> dict[str, str]:
    return planted()


@pytest.fixture
def server(hidden: dict[str, str]) -> Iterator[redis.Redis]:
    """A Redis with a password, which stands in no command line."""
    port = free_port()
    with folder() as path:
        (path / "redis.conf").write_text(
            f'port {port}\nbind 127.0.0.1\nsave ""\nrequirepass {hidden["redis password"]}\n'
        )
        with (
            serving([installed("redis-server"), str(path / "redis.conf"), "--dir", str(path)], port),
            closing(redis.Redis(port=port, password=hidden["redis password"])) as found,
        ):
            yield found


@pytest.fixture(params=["mitmproxy", pytest.param("haproxy", marks=pytest.mark.long)])
def shop(
    request: pytest.FixtureRequest,
    fleet_name: str,
    server: redis.Redis,
    hidden: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Fleet]:
    port = server.connection_pool.connection_kwargs["port"]
    monkeypatch.setenv("STOKER_REDIS_URL", f"redis://:{hidden['redis password']}@127.0.0.1:{port}/0")
    monkeypatch.setenv("STOKER_PROFILE_TOKEN", hidden["profile token"])
    monkeypatch.setenv("STOKER_PROXY__KIND", request.param)
    with folder() as path, fleet(fleet_name, path, free_port()) as found:
        settings = path / "stoker.toml"
        (path / "app.env").write_text(f"FILE_SECRET={hidden['env_file']}\n")
        told = f'env = {{APP_SECRET = "{hidden["env"]}"}}\nenv_file = "{path / "app.env"}"\n[life]'
        settings.write_text(settings.read_text().replace("[life]", told) + "[crashes]\nprofile_share = 1.0\n")
        yield found


async def test_no_secret_is_found_in_command_lines_logs_traces_redis_or_what_commands_print(
    shop: Fleet, server: redis.Redis, hidden: dict[str, str]
) -> None:
    shop.start()
    assert 0 == shop.run("scale", "2").returncode
    shop.until(lambda: shop.status()["serving"] == 2)
    async with client(shop.port) as connection:
        for target in ("/", "/?token=1", "/__stoker/profiles", "/nothing"):
            await connection.ask(target, f"X-Stoker-Profile: {hidden['profile token']}-wrong")
    # Every part is turned away and says so; then all goes on.
    server.config_set("requirepass", hidden["another password"])
    for each in server.client_list():
        if each["id"] != str(server.client_id()):
            server.client_kill_filter(_id=each["id"])
    logs = shop.folder / shop.name / "logs"
    shop.until(lambda: all("wrong user or password" in (logs / f"{name}.log").read_text() for name in parts(shop)))
    printed = {"status": shop.run("status"), "doctor": shop.run("doctor")}
    server.config_set("requirepass", hidden["redis password"])
    shop.until(lambda: shop.status()["state"] in {"IDLE", "UP"})
    lines = command_lines()
    assert len(shop.note.children) <= sum(b"stoker" in line for line in lines.values())
    for words in ("status",), ("status", "--json"), ("events", "--json"), ("crashes", "--json"), ("doctor",):
        printed[" ".join(words)] = shop.run(*words)
    told = {f"stoker {words}": f"{one.stdout}{one.stderr}".encode() for words, one in printed.items()}
    assert [] == found_in(lines | files_under(shop.folder) | stored(server) | told, hidden)
    # Others cannot even look.
    assert 0 == (shop.folder / shop.name).stat().st_mode & 0o077


def parts(shop: Fleet) -> list[str]:
    """Those that speak with Redis: HAProxy itself does not."""
    plane = "agent" if "agent" in shop.note.children else "proxy"
    return ["scaler", plane]
