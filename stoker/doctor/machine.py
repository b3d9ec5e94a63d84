"""Whether this machine is ready: Python and what Stoker needs of it, folders, sockets, secrets."""

from __future__ import annotations

import importlib.metadata
import os
import resource
import shutil
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.requirements import InvalidRequirement, Requirement

from fleet.errors import SettingsError
from stoker.doctor.engine import secret_file
from stoker.doctor.finding import Finding, Grade, note, ok, wrong

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from fleet.settings import Settings

FREE_BYTES = 500_000_000
FILES = 4096


def check_packages() -> list[Finding]:
    """Whether what the installed Stoker requires is there, in the right version."""
    python = f"Python {sys.version.split()[0]}"
    try:
        required = importlib.metadata.requires("stoker") or []
    except importlib.metadata.PackageNotFoundError:
        return [note("python", f"{python}; Stoker is run without being installed", "pip install . in its folder")]
    faults = sorted(_faults(required))
    if faults:
        return [wrong("python", f"{python}; {'; '.join(faults)}", "pip install --upgrade stoker in this environment")]
    return [ok("python", f"{python} with {len(required)} packages as required")]


def _faults(required: list[str]) -> Iterator[str]:
    for text in required:
        with suppress(InvalidRequirement):
            requirement = Requirement(text)
            if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
                continue
            try:
                version = importlib.metadata.version(requirement.name)
            except importlib.metadata.PackageNotFoundError:
                yield f"{requirement.name} is missing"
                continue
            if not requirement.specifier.contains(version, prereleases=True):
                yield f"{requirement.name} {version} is not {requirement.specifier}"


def check_state_folder(settings: Settings) -> list[Finding]:
    """Whether this user can write there, and nobody else."""
    path, subject = settings.state_path, "state folder"
    there = next(parent for parent in (path, *path.parents) if parent.exists())
    if not there.is_dir():
        return [wrong(subject, f"{there} is no folder", "set state_dir to a folder")]
    if not os.access(there, os.W_OK | os.X_OK):
        return [wrong(subject, f"{there} may not be written by this user", "set state_dir, or chown the folder")]
    if shutil.disk_usage(there).free < FREE_BYTES:
        free = shutil.disk_usage(there).free / 1e6
        return [wrong(subject, f"{free:.0f} MB are free in {there}", "free some space: logs and traces need it")]
    if there == path and path.stat().st_mode & 0o022:
        return [note(subject, f"{path} may be written by others", f"chmod go-w {path}")]
    return [ok(subject, f"{path} can be written")]


def check_files_limit() -> list[Finding]:
    """Each request of a proxy is two open files."""
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit < FILES:
        remedy = "ulimit -n 65536, or LimitNOFILE=65536 in the service"
        return [note("open files", f"{limit} at most: a proxy has two a request", remedy)]
    return [ok("open files", f"{limit} at most")]


def check_plane(settings: Settings) -> list[Finding]:
    """Whether the proxy's program is there, and its sockets can be."""
    if settings.proxy.kind == "mitmproxy":
        beside = Path(sys.executable).with_name("mitmdump")
        found = str(beside) if beside.exists() else shutil.which("mitmdump")
        if found is None:
            return [wrong("mitmdump", "is neither beside this Python nor on PATH", "pip install mitmproxy")]
        return [ok("mitmdump", found)]
    from haproxy.binary import find_binary
    from haproxy.errors import HaproxyError
    from haproxy.render import places

    try:
        binary, where = find_binary(settings), places(settings)
    except (HaproxyError, SettingsError) as error:
        return [wrong("haproxy", str(error), "install HAProxy 2.6 or newer, or correct the setting")]
    folder = next(parent for parent in where.stats.parents if parent.exists())
    if not os.access(folder, os.W_OK | os.X_OK):
        return [
            wrong("haproxy", f"its sockets cannot be made in {folder}", "set haproxy.sockets_dir, or chown the folder")
        ]
    return [ok("haproxy", f"{binary.path} {'.'.join(map(str, binary.version))}, sockets in {where.stats.parent}")]


def check_secrets(settings: Settings) -> list[Finding]:
    """Whether the files that hold secrets can be read, and by nobody else."""
    files = {
        "instance.env_file": settings.instance.env_file,
        "redis_password_file": settings.redis_password_file,
        "profile_token_file": settings.profile_token_file,
        "webhooks.secret_file": settings.webhooks.secret_file,
        "alerts.token_file": settings.alerts.token_file,
    }
    findings = [secret_file(name, path) for name, path in files.items() if path is not None]
    unread = {finding.subject for finding in findings if finding.grade is Grade.WRONG}
    readers: dict[str, Callable[[], object]] = {
        "profile_token_file": settings.token,
        "webhooks.secret_file": lambda: settings.webhooks.url and settings.webhooks.key(),
        "alerts.token_file": settings.alerts.read_token,
    }
    for name, read in readers.items():
        try:
            if name not in unread:
                read()
        except SettingsError as error:
            findings.append(wrong("secrets", str(error), "correct the file"))
    return findings


def check_access_log(settings: Settings) -> list[Finding]:
    """Whether mitmproxy's access log can be written where the settings want it."""
    name = settings.access_log.file
    if settings.proxy.kind != "mitmproxy" or name is None or name == "-":
        return []
    path = Path(name).expanduser()
    there = next(place for place in (path, *path.absolute().parents) if place.exists())
    if path.is_dir() or (there != path and not there.is_dir()) or not os.access(there, os.W_OK):
        return [wrong("access log", f"{path} cannot be written", f"set access_log.file, or see to {there}")]
    return [ok("access log", f"{path} can be written")]
