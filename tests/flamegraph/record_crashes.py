"""Records the crashes that tests and docs draw: `python -m tests.flamegraph.record_crashes`, one client, Puma, Rails.

With the system's Ruby (stackprof 0.2.21: mode cpu) and with the one of tests/second_ruby (0.2.26: mode wall).
"""

from __future__ import annotations

import gzip
import http.client
import json
import os
import secrets
import signal
import subprocess
import tempfile
import threading
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

HERE = Path(__file__).parent
FOLDER = HERE / "crashes"
REPOSITORY = HERE.parents[1]
APP = REPOSITORY / "example/rails"
PAGES = ("invoice", "waiting", "deep", "overflow", "late", "stream")
PORT = 38_417
TRIES = 400


def second_ruby() -> Path:
    """Where the newer Ruby is."""
    found = subprocess.run(
        [REPOSITORY / "tests/second_ruby", "--folder"], check=True, capture_output=True, text=True
    ).stdout
    return Path(found.strip())


@contextmanager
def puma(command: list[str], token: str) -> Generator[None]:
    """Run the example app until it answers."""
    with tempfile.TemporaryDirectory() as folder:
        variables = {
            "STOKER_PROFILE_TOKEN": token,
            "STOKER_PROFILE_EVERY": "1",
            "STOKER_PROFILE_DIR": folder,
            "RAILS_ENV": "production",
            "PORT": str(PORT),
            "WEB_CONCURRENCY": "1",
        }
        with subprocess.Popen([*command, "-C", "puma.rb", "config.ru"], cwd=APP, env=os.environ | variables) as process:
            try:
                for _ in range(TRIES):
                    if answers():
                        break
                    threading.Event().wait(0.05)
                yield
            finally:
                process.send_signal(signal.SIGTERM)


def answers() -> bool:
    """Whether the app serves."""
    try:
        return bool(get("fine"))
    except urllib.error.URLError:
        return False


def get(path: str, headers: Mapping[str, str] | None = None) -> bytes:
    """What the app answers, whatever its status; what came of a body that breaks off."""
    request = urllib.request.Request(f"http://127.0.0.1:{PORT}/{path}", headers=dict(headers or {}))
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310  # always http, see above
            return bytes(answer.read())
    except urllib.error.HTTPError as error:
        return error.read()
    except http.client.IncompleteRead as broken:
        return broken.partial


def documents(token: str) -> dict[str, dict[str, Any]]:
    """Every page's crash; each page is asked once before, so that what loads only once is not seen."""
    for page in (*PAGES, *PAGES):
        get(page)
    listed = json.loads(get("__stoker/profiles", {"x-stoker-token": token}))["profiles"]
    found = {}
    for each in listed:
        document = json.loads(get(f"__stoker/profiles/{each['id']}", {"x-stoker-token": token}))
        found[document["request"]["path"].strip("/")] = document
    return found


def keep(name: str, document: dict[str, Any], hidden: Mapping[str, str]) -> None:
    """Write one down, without the paths of this machine."""
    text = json.dumps(document | {"host": "web1", "pid": 1}, separators=(",", ":"), ensure_ascii=False)
    for path, shown in hidden.items():
        text = text.replace(path, shown)
    (FOLDER / f"{name}.json.gz").write_bytes(gzip.compress(text.encode(), mtime=0))


def main() -> None:
    """Record with both."""
    second = second_ruby()
    hidden = {str(APP): "/srv/app", str(REPOSITORY): "/srv/stoker", str(second): ""}
    FOLDER.mkdir(exist_ok=True)
    for kind, command in (("cpu", ["puma"]), ("wall", [str(second / "ruby"), str(second / "usr/bin/puma")])):
        token = secrets.token_hex(16)
        with puma(command, token):
            for page, document in documents(token).items():
                keep(f"{kind}_{page}", document, hidden)


if __name__ == "__main__":
    main()
