"""The demo's container image, made here FROM scratch of a static busybox, because a demo must not need a registry."""

from __future__ import annotations

import io
import shutil
import subprocess
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING

from stoker.errors import CommandError

if TYPE_CHECKING:
    from docker import APIClient

PORT = 8080
# A pipe hands out a turn each 50 ms, and a request waits for its turn: 20 a second, like the sample app.
SERVE = f"""#!/bin/sh
usleep $BOOT_US
mkfifo /tmp/turn
(trap '' PIPE; while :; do echo > /tmp/turn; usleep 50000; done) &
httpd -f -p {PORT} -h /www &
trap 'exit 0' TERM
wait
"""
PAGE = """#!/bin/sh
until read -r turn < /tmp/turn; do :; done
printf 'Content-Type: text/plain\\r\\nX-Instance: %s\\r\\n\\r\\n%s answered\\n' "$HOSTNAME" "$HOSTNAME"
"""
COMMANDS = ("sh", "mkfifo", "usleep", "httpd")


def build(client: APIClient, repository: str) -> str:
    """Make the image under `repository:demo`; returns that name. Raises CommandError where busybox is not static."""
    layers = io.BytesIO()
    with tarfile.open(fileobj=layers, mode="w") as tar:
        for folder in ("bin", "tmp", "www", "www/cgi-bin"):
            _add(tar, folder, None)
        _add(tar, "bin/busybox", _busybox().read_bytes())
        for command in COMMANDS:
            _link(tar, f"bin/{command}")
        _add(tar, "bin/serve", SERVE.encode())
        _add(tar, "www/up", b"ok\n", mode=0o644)
        _add(tar, "www/cgi-bin/index.cgi", PAGE.encode())
    changes = ['CMD ["/bin/serve"]', "ENV PATH=/bin BOOT_US=0"]
    client.import_image_from_data(layers.getvalue(), repository=repository, tag="demo", changes=changes)
    return f"{repository}:demo"


def _busybox() -> Path:
    found = shutil.which("busybox")
    if found is None:
        raise CommandError("demo: busybox is not installed; its image is made of it: apt-get install busybox-static")
    # The dynamic linker's own answer: it refuses what is not dynamic.
    if subprocess.run(["ldd", found], capture_output=True, check=False).returncode == 0:
        raise CommandError(f"demo: {found} is not static; its image is made of it: apt-get install busybox-static")
    return Path(found)


def _add(tar: tarfile.TarFile, name: str, content: bytes | None, mode: int = 0o755) -> None:
    entry = tarfile.TarInfo(name)
    entry.mode = mode
    if content is None:
        entry.type = tarfile.DIRTYPE
        tar.addfile(entry)
        return
    entry.size = len(content)
    tar.addfile(entry, io.BytesIO(content))


def _link(tar: tarfile.TarFile, name: str) -> None:
    entry = tarfile.TarInfo(name)
    entry.type, entry.linkname = tarfile.SYMTYPE, "busybox"
    tar.addfile(entry)
