"""Fixtures over real servers: one embedded Valkey a session, and a fleet of its own for every test."""

from __future__ import annotations

import asyncio
import secrets
import shutil
import socket
import subprocess
import tempfile
import uuid
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from fleet.embedded import EmbeddedValkey
from fleet.settings import Settings, load

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fleet.store.scaler_side import RedisRegistry

LETTERS = str.maketrans("0123456789", "ghijklmnop")
READY_TRIES = 6000
PORTS = range(10_000, 20_000)


@pytest.fixture(scope="session")
def valkey() -> Iterator[EmbeddedValkey]:
    """A running server; keep to keys of your own fleet."""
    with folder() as path, EmbeddedValkey(path) as server:
        yield server


@pytest.fixture
def fleet_name() -> str:
    """A name that no other test has."""
    return "t-" + uuid.uuid4().hex[:16].translate(LETTERS)


@pytest.fixture
def store_settings(valkey: EmbeddedValkey, fleet_name: str, tmp_path: Path) -> Settings:
    """Settings of this test's own fleet on the real server."""
    return load(None, fleet=fleet_name, redis_url=valkey.url, state_dir=tmp_path)


@contextmanager
def folder() -> Iterator[Path]:
    """A folder whose path is short enough for a socket, however deep the tests' own folders lie."""
    path = Path(tempfile.mkdtemp(prefix="stoker-"))
    try:
        yield path
    finally:
        shutil.rmtree(path)


async def listened_to(registry: RedisRegistry) -> None:
    """Wait until somebody hears the wakes of this fleet."""
    async with asyncio.timeout(30):
        while not registry.client.pubsub_numsub(registry.keys.wake)[0][1]:  # noqa: ASYNC110  # the server tells nobody
            await asyncio.sleep(0.01)


def installed(binary: str) -> str:
    """The path of a program, or a skip that names it."""
    found = shutil.which(binary)
    if found is None:
        pytest.skip(f"{binary} is not installed")
    return found


def free_port() -> int:
    """A port of loopback on which nobody listens, and that no other test is given: its twin of UDP stays bound.

    It lies below those that the system and the engine give out, who might give it away before it is listened on.
    """
    while True:
        port, claim = secrets.choice(PORTS), socket.socket(type=socket.SOCK_DGRAM)
        try:
            claim.bind(("127.0.0.1", port))
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", port))
        except OSError:
            claim.close()
        else:
            claim.detach()  # open until this process ends
            return port


@contextmanager
def serving(argv: list[str], port: int) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server until the end of the block; entered as soon as it listens on that port of loopback."""
    process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    try:
        for _ in range(READY_TRIES):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            try:
                process.wait(0.01)
            except subprocess.TimeoutExpired:
                continue
            raise AssertionError(f"{argv[0]} ended with {process.returncode} before it listened")
        else:
            raise AssertionError(f"{argv[0]} never listened on port {port}")
        yield process
    finally:
        process.kill()
        process.wait()
