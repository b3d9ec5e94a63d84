"""The example Rails app on a real Puma, and what a proxy asks of it."""

from __future__ import annotations

import http.client
import json
import os
import secrets
import subprocess
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.flamegraph.rails.rubies import REPOSITORY, Ruby
from tests.valkey import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TOKEN = "a-token-of-the-tests"
PROFILES = "/__stoker/profiles"
BOOT_TRIES = 600
BOOT_STEP_S = 0.1
ENDING_S = 45  # Puma gives its workers 30

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Shop:
    port: int
    pid: int

    def get(self, path: str, *, method: str = "GET", **headers: str) -> Answer:
        """Ask on a connection of its own, so that any worker may answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
            answer = connection.getresponse()
            try:
                return Answer(answer.status, answer.read())
            except http.client.IncompleteRead as broken:
                return Answer(answer.status, broken.partial)
        finally:
            connection.close()

    def visit(self, path: str, **headers: str) -> tuple[Answer, Answer]:
        """A page, and what is there of it right after."""
        name = secrets.token_hex(16)
        page = self.get(path, x_stoker_request=name, **headers)
        return page, self.profile(name)

    def crash(self, path: str) -> Document:
        """The document of a page that fails."""
        _, found = self.visit(path)
        assert found.status == 200
        document: Document = json.loads(found.body)
        assert self.profile(document["id"], method="DELETE").status == 204
        return document

    def profile(self, name: str, *, method: str = "GET", token: str = TOKEN) -> Answer:
        return self.get(f"{PROFILES}/{name}", method=method, x_stoker_token=token)

    def waiting(self) -> list[Document]:
        listed: list[Document] = json.loads(self.get(PROFILES, x_stoker_token=TOKEN).body)["profiles"]
        return listed


@contextmanager
def shop(ruby: Ruby, folder: Path, rackup: Path | None = None, **environment: str) -> Iterator[Shop]:
    """Run the example, or what a file of Rack's says, until the block ends."""
    port = free_port()
    settings = {
        "PORT": str(port),
        "RAILS_ENV": "production",
        "STOKER_PROFILE_TOKEN": TOKEN,
        "STOKER_PROFILE_DIR": str(folder / "profiles"),
        "STOKER_PROFILE_EVERY": "1",
    }
    example = REPOSITORY / "example/rails"
    said = folder / "said.txt"
    with said.open("wb") as words:
        process = subprocess.Popen(
            [ruby.command, ruby.puma, "--config", example / "puma.rb", rackup or example / "config.ru"],
            env={**os.environ, **settings, **environment},
            cwd=example,
            stdout=words,
            stderr=words,
        )
    try:
        running = Shop(port, process.pid)
        _answers(running, process, said)
        yield running
    finally:
        process.terminate()
        process.wait(ENDING_S)


def _answers(running: Shop, process: subprocess.Popen[bytes], said: Path) -> None:
    never = threading.Event()
    for _ in range(BOOT_TRIES):
        assert process.poll() is None, said.read_text(encoding="utf-8")
        try:
            if running.get("/fine").status == 200:
                return
        except OSError:
            never.wait(BOOT_STEP_S)
    raise AssertionError(said.read_text(encoding="utf-8"))
