"""haproxy.cfg from the settings and the slots. Nothing that a stranger wrote reaches the template unchecked."""

from __future__ import annotations

import hashlib
import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from fleet.canary_cookie import set_cookie
from fleet.errors import SettingsError
from fleet.reserved import FORWARDING, HINTS, HOP, PATTERN
from haproxy.access_format import access_format
from haproxy.canary import DRAWN
from haproxy.failure_log import LOG_FORMAT
from haproxy.model import BACKEND, FRONTEND, NOWHERE, PLACEHOLDER, PLACES, Slot
from haproxy.sections import marks_of, marks_text, server_lines

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fleet.settings import Settings

TEMPLATES = Path(__file__).resolve().parent / "templates"
SAFE_PATH = re.compile(r"[A-Za-z0-9_./@+=:,~-]{1,255}")
# HAProxy binds a socket under a longer name first, which must fit too.
SOCKET_PATH_BYTES = 90
LONGEST_SNIPPET = 64_000
KEYWORDS = frozenset(
    {
        *("global", "defaults", "frontend", "backend", "listen", "peers", "resolvers", "mailers", "program", "ring"),
        *("server", "server-template", "unique-id-format", "unique-id-header"),
        *("userlist", "cache", "http-errors", "log-forward", "fcgi-app", "crt-store", "traces"),
        *(".if", ".elif", ".else", ".endif", ".notice", ".alert", ".diag"),
    }
)
FEWEST_RETRIES = 3
# HAProxy waits so long, or the connect timeout if that is less, before it tries the only server again.
RETRY_S = 1.0
# With how many errors in a row put an instance out: each connection to a dead one is a try that a request has no more.
OBSERVED = {"connections": ("layer4", 3), "answers": ("layer7", 10)}
BALANCE = {"round_robin": "roundrobin", "least_in_flight": "leastconn"}

_environment = Environment(  # noqa: S701  # HAProxy's configuration is no HTML; every value is checked instead
    loader=FileSystemLoader(TEMPLATES),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
)


@dataclass(frozen=True, slots=True)
class Places:
    """Where the configuration and the sockets lie."""

    config: Path
    stats: Path
    master: Path

    @property
    def failures(self) -> Path:
        """Where the agent hears of requests that failed."""
        return self.stats.with_name("failed.sock")

    @property
    def canary(self) -> Path:
        """The map that gives a canary its share; HAProxy reads it at its start."""
        return self.config.with_name(f"{self.config.name}.canary")

    @property
    def lock(self) -> Path:
        """Held by whoever changes this HAProxy."""
        return self.stats.with_name("change.lock")


@dataclass(frozen=True, slots=True)
class Frame:
    """Everything of a configuration but its slots; made from the settings and the files that they name."""

    values: Mapping[str, Any]
    marks: Mapping[str, str]

    def text(self, slots: Sequence[Slot]) -> str:
        """The whole file."""
        return _render(self.values, marks_text(self.marks), slots)


def places(settings: Settings) -> Places:
    """Raises SettingsError for a socket path that is longer than the system takes."""
    own, folder = settings.haproxy, settings.state_path / "haproxy"
    sockets = (own.sockets_dir or folder).expanduser().absolute()
    found = Places(
        (own.config_file or folder / "haproxy.cfg").expanduser().absolute(),
        sockets / "stats.sock",
        own.master_socket.expanduser().absolute() if own.master_socket else sockets / "master.sock",
    )
    for path in (found.stats, found.master):
        if len(os.fsencode(path)) > SOCKET_PATH_BYTES:
            raise SettingsError(
                f"haproxy.sockets_dir: a socket has {SOCKET_PATH_BYTES} bytes at most, {path} is longer; set another"
            )
    return found


def frame(settings: Settings) -> Frame:
    """Raises SettingsError, in one line, for a setting or a file that must not go into a configuration."""
    if settings.haproxy.client_timeout_s <= settings.proxy.hold_s:
        raise SettingsError(
            f"haproxy.client_timeout_s: must exceed proxy.hold_s ({settings.proxy.hold_s:g}), "
            f"was {settings.haproxy.client_timeout_s:g}"
        )
    values = _values(settings)
    return Frame(values, marks_of(_render(values, "", ())))


def _render(values: Mapping[str, Any], marks: str, slots: Sequence[Slot]) -> str:
    return _environment.get_template("haproxy.cfg.j2").render(**values, marks=marks, slots=server_lines(slots))


def _values(settings: Settings) -> dict[str, Any]:
    own, proxy = settings.haproxy, settings.proxy
    return {
        "frontend": FRONTEND,
        "backend": BACKEND,
        "threads": own.threads or _cores(),
        "max_connections": own.max_connections,
        "user": own.user,
        "group": own.group,
        "stats_socket": _path("haproxy.sockets_dir", places(settings).stats),
        "hold_lua": _path("the folder of this package", TEMPLATES / "hold.lua"),
        "access_log": own.access_log,
        "failures_socket": _path("haproxy.sockets_dir", places(settings).failures),
        "log_format": access_format(query=settings.access_log.query) if own.access_log else LOG_FORMAT,
        "bind": _bind(proxy.listen_address, proxy.listen_port),
        "certificate": _path("haproxy.certificate", own.certificate) if own.certificate else None,
        "certificate_mark": _certificate_mark(own.certificate) if own.certificate else None,
        "scheme": "https" if own.certificate else "http",
        "reserved": PATTERN,
        "reserved_hints": HINTS,
        "hop": HOP,
        "forwarding": FORWARDING,
        "profile_share": round(1_000_000 * settings.crashes.profile_share),
        "trusted": proxy.trusted_proxies,
        "hold_max": proxy.hold_max,
        "hold_s": f"{proxy.hold_s:g}",
        "hold_release": proxy.hold_release,
        "retries": _retries(settings),
        "placeholder": PLACEHOLDER,
        "nowhere": "{}:{}".format(*NOWHERE),
        "places": PLACES,
        "standing_in": PLACES // 2,
        "balance": BALANCE[proxy.balance],
        "http_check": _checked_uri(settings.life.probe_path) if own.check == "http" else None,
        "sticky_cookie": own.sticky_cookie,
        "canary_map": _path("haproxy.config_file", places(settings).canary),
        "drawn": DRAWN,
        "set_cookie": set_cookie("%s", secure=own.certificate is not None),
        "cookie_key": f"{settings.fleet}-{settings.app}",
        "server_options": _server_options(settings),
        "frontend_lines": _snippet("haproxy.frontend_snippet", own.frontend_snippet),
        "backend_lines": _snippet("haproxy.backend_snippet", own.backend_snippet),
        **{
            name.removesuffix("_s"): _duration(getattr(own, name))
            for name in type(own).model_fields
            if name.endswith("_s")
        },
    }


def _retries(settings: Settings) -> int:
    """So many that a request which nobody accepts is tried for as long as one is held."""
    return max(FEWEST_RETRIES, math.ceil(settings.proxy.hold_s / min(RETRY_S, settings.haproxy.connect_timeout_s)))


def _server_options(settings: Settings) -> str:
    own = settings.haproxy
    words = ["weight 100"]
    if own.max_in_flight:
        words.append(f"maxconn {own.max_in_flight}")
    if own.check != "none":
        every = _duration(own.check_s)
        # The first failed check is followed by quick ones, so that a dead instance is out in about a second.
        words.append(f"check inter {every} fastinter {_duration(own.check_s / 4)} rise 1 fall {own.check_failures}")
        if own.slow_start_s:
            words.append(f"slowstart {_duration(own.slow_start_s)}")
        if own.observe != "none":
            layer, errors = OBSERVED[own.observe]
            words.append(f"observe {layer} error-limit {own.observe_errors or errors} on-error mark-down")
    return " ".join(words)


def _duration(seconds: float) -> str:
    return f"{max(1, round(1000 * seconds)) if seconds else 0}ms"


def _bind(address: str, port: int) -> str:
    if not re.fullmatch(r"[0-9A-Fa-f.:]{1,45}|\*|localhost", address):
        raise SettingsError(f"proxy.listen_address: must be an IP address, was {address!r}")
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def _path(setting: str, path: Path) -> str:
    text = str(path.expanduser().absolute())
    if not SAFE_PATH.fullmatch(text):
        raise SettingsError(
            f"{setting}: a path in HAProxy's configuration is of letters, digits and _./@+=:,~-, was {text!r}"
        )
    return text


def _checked_uri(uri: str) -> str:
    if not re.fullmatch(r"/[A-Za-z0-9_./?=&-]{0,200}", uri):
        raise SettingsError(f"life.probe_path: with haproxy.check http of letters, digits and _./?=&-, was {uri!r}")
    return uri


def _certificate_mark(path: Path) -> str:
    """Changes with the content, so that a renewed certificate is a reason to reload."""
    mark = hashlib.sha256()
    try:
        for file in sorted(path.iterdir()) if path.is_dir() else [path]:
            mark.update(file.name.encode() + b"\0" + file.read_bytes())
    except OSError as error:
        raise SettingsError(f"haproxy.certificate: {path} cannot be read: {error.strerror}") from error
    return mark.hexdigest()[:16]


def _snippet(setting: str, path: Path | None) -> list[str]:
    if path is None:
        return []
    try:
        text = path.expanduser().read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8"
        raise SettingsError(f"{setting}: {path} cannot be read: {reason}") from error
    if len(text) > LONGEST_SNIPPET or "\0" in text:
        raise SettingsError(f"{setting}: {path} must be text of at most {LONGEST_SNIPPET} characters")
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    for line in lines:
        # HAProxy reads "backend" and back\end as backend.
        word = re.sub(r"[\"'\\]", "", line.split()[0])
        if word in KEYWORDS:
            raise SettingsError(f"{setting}: {path} may not hold a line that begins with {word!r}")
    return lines


def _cores() -> int:
    """What this process may use; HAProxy itself does not see a container's share."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text(encoding="ascii").split()
    except (OSError, ValueError):
        return min(cores, 64)
    return min(cores, 64) if quota == "max" else max(1, min(cores, math.ceil(int(quota) / int(period))))
