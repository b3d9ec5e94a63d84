"""A container engine for tests: the one that answers, else a dockerd of our own, shared by all workers and runs.

Whoever finds no engine starts one, whoever is the last to use it stops it; a lock and a file for each user tell. The
image is built from scratch around a static busybox, so that no registry is asked for anything.
"""

from __future__ import annotations

import fcntl
import hashlib
import io
import os
import shutil
import signal
import socket
import tarfile
import tempfile
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import docker
import pytest
from docker import DockerClient
from docker.errors import DockerException, NotFound

from fleet.process import await_end, start_mark

if TYPE_CHECKING:
    from collections.abc import Iterator


START_S = 40
STOP_S = 20.0
FOLDER = Path(tempfile.gettempdir()) / f"stoker-test-engine-{os.getuid()}"
SOCKET = FOLDER / "docker.sock"
OWN = f"unix://{SOCKET}"

DOCKERFILE = """\
FROM scratch
COPY . /
ENV PATH=/bin BOOT_S=0
CMD ["/bin/serve"]
"""
# The shell is process 1 and passes SIGTERM on, for process 1 ignores a signal that it does not handle.
SERVE = """\
#!/bin/busybox sh
trap 'kill $child; exit 0' TERM
busybox sleep $BOOT_S & child=$!; wait $child
busybox httpd -f -p ${1:-3000} -h /www & child=$!; wait $child
"""
SILENT = """\
#!/bin/busybox sh
trap 'exit 0' TERM
busybox sleep 3600 & wait $!
"""
EXITS = """\
#!/bin/busybox sh
echo "cannot start: the password is $PASSWORD"
exit 3
"""
BAD = """\
#!/bin/busybox sh
trap 'kill $child; exit 0' TERM
busybox nc -ll -p 3000 -e /bin/error & child=$!; wait $child
"""
ERROR = """\
#!/bin/busybox sh
while read -r line && [ ${#line} -gt 1 ]; do :; done
printf 'HTTP/1.1 500 Broken\\r\\nContent-Length: 0\\r\\nConnection: close\\r\\n\\r\\n'
"""
SLOW = """\
#!/bin/busybox sh
busybox sleep ${QUERY_STRING:-3}
printf 'Content-Type: text/plain\\r\\n\\r\\nslow\\n'
"""
CRASH = """\
#!/bin/busybox sh
busybox kill -9 -1
"""
FILES = {
    "bin/serve": SERVE,
    "bin/silent": SILENT,
    "bin/exits": EXITS,
    "bin/bad": BAD,
    "bin/error": ERROR,
    "www/cgi-bin/slow": SLOW,
    "www/cgi-bin/crash": CRASH,
    "www/up": "up\n",
    "www/index.html": "hello\n",
}


@dataclass(frozen=True, slots=True)
class Engine:
    """An engine that answers at `address`, with `image` in it.

    Its commands: /bin/serve [port] (the default: /up, /cgi-bin/slow?SECONDS, /cgi-bin/crash; boots for BOOT_S),
    /bin/bad (500 to everything), /bin/silent (listens nowhere), /bin/exits (code 3, and says PASSWORD).
    """

    address: str
    image: str
    client: DockerClient

    def remove_fleet(self, fleet: str) -> None:
        """Remove every container with that fleet's label."""
        for container in self.client.containers.list(all=True, filters={"label": f"stoker.fleet={fleet}"}):
            container.remove(force=True, v=True)


@pytest.fixture(scope="session")
def engine() -> Iterator[Engine]:
    """A running engine with the test image, or a skip that says what is missing."""
    with using_engine() as found:
        yield found


@contextmanager
def using_engine() -> Iterator[Engine]:
    """What the fixture does, for benchmarks too."""
    busybox = _static_busybox()
    with _locked():
        address = _found() or _started()
        user = FOLDER / f"user.{os.getpid()}"
        user.write_text(start_mark(os.getpid()) or "", encoding="ascii")
        client = docker.DockerClient(base_url=address, version="auto")
        image = _built(client, busybox)
    try:
        yield Engine(address, image, client)
    finally:
        with _locked():
            user.unlink()
            if not _users():
                _remove_image(client, image)
                _stop_own()
        client.close()


@contextmanager
def _locked() -> Iterator[None]:
    FOLDER.mkdir(mode=0o700, exist_ok=True)
    if FOLDER.stat().st_uid != os.getuid():
        pytest.skip(f"{FOLDER} belongs to another user")
    with (FOLDER / "lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _users() -> list[Path]:
    """Those who still use the engine; the files of killed ones are dropped."""
    found = list(FOLDER.glob("user.*"))
    for path in found:
        if start_mark(int(path.suffix[1:])) != path.read_text(encoding="ascii"):
            path.unlink()
    return [path for path in found if path.exists()]


def _static_busybox() -> Path:
    found = shutil.which("busybox")
    if found is None or b"/ld-" in Path(found).read_bytes()[:4096]:
        pytest.skip("a static busybox is not installed (Debian package busybox-static)")
    return Path(found)


def _answers(address: str) -> bool:
    path = address.removeprefix("unix://")
    try:
        if path != address:  # first by hand, for the SDK leaves a socket open that it cannot connect
            with socket.socket(socket.AF_UNIX) as knock:
                knock.connect(path)
        client = docker.DockerClient(base_url=address, version="auto", timeout=START_S)
    except (OSError, DockerException):
        return False
    client.close()
    return True


def _found() -> str | None:
    given = os.environ.get("DOCKER_HOST") or "unix:///var/run/docker.sock"
    return next((address for address in (given, OWN) if _answers(address)), None)


def _started() -> str:
    program = shutil.which("dockerd", path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    if program is None or os.getuid() != 0:
        pytest.skip("no container engine answers, and none can be started (Debian package docker.io, as root)")
    words = [program, "--host", OWN, "--pidfile", str(FOLDER / "docker.pid")]
    words += ["--data-root", str(FOLDER / "data"), "--exec-root", str(FOLDER / "exec")]
    words += ["--iptables=false", "--ip6tables=false"]  # the loopback needs no rules, and the machine keeps its own
    log = os.open(FOLDER / "log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    pid = os.posix_spawn(
        program,
        words,
        {"PATH": os.environ.get("PATH", "") + ":/usr/sbin:/sbin", "HOME": str(FOLDER)},
        file_actions=[(os.POSIX_SPAWN_DUP2, log, 1), (os.POSIX_SPAWN_DUP2, log, 2)],
        setsid=True,
    )
    os.close(log)
    deadline, never = time.monotonic() + START_S, threading.Event()
    while time.monotonic() < deadline and start_mark(pid) is not None:
        if SOCKET.exists() and _answers(OWN):
            return OWN
        never.wait(0.05)
    _stop_own()
    words_said = (FOLDER / "log").read_text(encoding="utf-8", errors="replace").splitlines()[-1:]
    pytest.skip(f"dockerd could not be started: {words_said}")


def _stop_own() -> None:
    pidfile = FOLDER / "docker.pid"
    if not pidfile.exists():
        return
    pid = int(pidfile.read_text(encoding="ascii"))
    mark = start_mark(pid)
    if mark is not None:
        os.kill(pid, signal.SIGTERM)
        assert await_end(pid, mark, STOP_S), f"dockerd {pid} did not end within {STOP_S:g} s"
        with suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)
    for path in FOLDER.iterdir():
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        elif path.name != "lock":
            path.unlink()


def _built(client: DockerClient, busybox: Path) -> str:
    files = {**{path: text.encode() for path, text in FILES.items()}, "bin/busybox": busybox.read_bytes()}
    digest = hashlib.sha256(DOCKERFILE.encode() + b"".join(files[path] for path in sorted(files))).hexdigest()[:12]
    image = f"stoker-test:{digest}"
    try:
        client.images.get(image)
    except NotFound:
        client.images.build(fileobj=_context(files), custom_context=True, tag=image, rm=True)
    return image


def _context(files: dict[str, bytes]) -> io.BytesIO:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for path, content in {"Dockerfile": DOCKERFILE.encode(), **files}.items():
            entry = tarfile.TarInfo(path)
            entry.size, entry.mode = len(content), 0o755
            archive.addfile(entry, io.BytesIO(content))
    stream.seek(0)
    return stream


def _remove_image(client: DockerClient, image: str) -> None:
    try:
        client.images.remove(image, force=True)
    except NotFound:
        return
