"""A real server with the users of `example/redis.acl`, and settings for each of them."""

from __future__ import annotations

import re
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from fleet.embedded import server_binary
from fleet.settings import Settings, load
from tests.valkey import folder, free_port, installed, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

EXAMPLE = Path(__file__).resolve().parents[2] / "example" / "redis.acl"
ROLES = ("scaler", "proxy", "operator", "reader", "webhooks")


def debian_server() -> str:
    """A redis-server of 7.0 or newer on PATH; older ones know no rights on single keys."""
    binary = installed("redis-server")
    said = subprocess.run([binary, "--version"], capture_output=True, text=True, check=True).stdout
    found = re.search(r"v=(\d+)", said)
    if found is None or int(found[1]) < 7:
        pytest.skip(f"redis-server is older than 7.0: {said.strip()}")
    return binary


SERVERS = {"redis": debian_server, "valkey": server_binary}


@contextmanager
def guarded(server: str) -> Iterator[dict[str, Settings]]:
    """Settings by role, `admin` among them, for a server that runs until the end of the block."""
    with folder() as path:
        users, port = path / "users.acl", free_port()
        users.write_text(f"{EXAMPLE.read_text()}user admin on >change-me-admin ~* &* +@all\n", encoding="utf-8")
        argv = [SERVERS[server](), "--port", str(port), "--bind", "127.0.0.1", "--dir", str(path), "--save", ""]
        with serving([*argv, "--aclfile", str(users), "--logfile", str(path / "log")], port):
            yield {
                role: load(None, redis_url=_url(role, port), state_dir=path, **{"crashes.keep_documents": 1})
                for role in (*ROLES, "admin")
            }


def _url(role: str, port: int) -> str:
    user = role if role == "admin" else f"stoker-{role}"
    return f"redis://{user}:change-me-{role}@127.0.0.1:{port}/0"
