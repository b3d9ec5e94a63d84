"""Whether the ports that Stoker listens on are free, or its own."""

from __future__ import annotations

from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from fleet.embedded import running_url
from fleet.errors import SettingsError, StoreUnavailableError
from fleet.store.opening import open_desk
from stoker.doctor.finding import Finding, note, ok, wrong
from stoker.errors import CommandError
from stoker.parts import listens
from stoker.processes import read_note
from stoker.up import note_path

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fleet.settings import Settings

NET_BIND = 10  # the bit of CAP_NET_BIND_SERVICE, capabilities(7)


def is_up(settings: Settings) -> bool:
    """Whether a `stoker up` of this fleet runs here."""
    with suppress(CommandError, OSError):  # a folder that cannot be read is a finding of its own
        found = read_note(note_path(settings))
        return found is not None and found.supervisor.alive
    return False


def check_ports(settings: Settings) -> list[Finding]:
    """Whether the ports that `stoker up` needs are free; while it runs they are its own."""
    if is_up(settings):
        return [ok("ports", "`stoker up` runs and holds them")]
    barred = [_barred(name, port) for name, _, port in _ports(settings) if not may_listen(port, *_rights())]
    taken = [place for place in _ports(settings) if listens(*place[1:])]
    if not taken and not barred:
        return [ok("ports", ", ".join(str(port) for _, _, port in _ports(settings)) + " are free")]
    # Parts that run as services of their own leave no note here, but they do in the store.
    grade, unless = (note, "where it is no part of this fleet: ") if _reports(settings) else (wrong, "")
    return barred + [
        grade(
            "ports",
            f"{name}: somebody listens on {address}:{port} already",
            f"{unless}end it (ss -ltnp 'sport = :{port}' names it), or set another port",
        )
        for name, address, port in taken
    ]


def may_listen(port: int, first: int, rights: int) -> bool:
    """Whether a process with these capabilities may listen on `port`; those from `first` on are everybody's."""
    return port >= first or bool(rights >> NET_BIND & 1)


def _rights() -> tuple[int, int]:
    """The first port that is everybody's, and the capabilities of this process, where the system knows such."""
    try:
        status = Path("/proc/self/status").read_text(encoding="utf-8")
        first = Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text(encoding="ascii")
    except OSError:
        return 0, 0
    rights = next((line.split()[1] for line in status.splitlines() if line.startswith("CapEff:")), "0")
    return int(first), int(rights, 16)


def _barred(name: str, port: int) -> Finding:
    remedy = "run it as root or with CAP_NET_BIND_SERVICE (AmbientCapabilities= of a service), or set another port"
    return wrong("ports", f"{name}: this user may not listen on port {port}", remedy)


def _reports(settings: Settings) -> bool:
    if settings.redis_url is None and running_url(settings.state_path) is None:
        return False
    with suppress(StoreUnavailableError, SettingsError), closing(open_desk(settings)) as desk:
        status = desk.status()
        return bool(status.acting or status.sighting.readings)
    return False


def _ports(settings: Settings) -> Iterator[tuple[str, str, int]]:
    local = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}

    def at(address: str) -> str:
        return local.get(address, address)

    yield "proxy.listen_port", at(settings.proxy.listen_address), settings.proxy.listen_port
    if settings.web.enabled:
        yield "web.listen_port", at(settings.web.listen_address), settings.web.listen_port
    metrics = settings.metrics
    plane = metrics.haproxy_port if settings.proxy.kind == "haproxy" else metrics.mitmproxy_port
    for name, port in (("scaler_port", metrics.scaler_port), (f"{settings.proxy.kind}_port", plane)):
        if port is not None:
            yield f"metrics.{name}", at(metrics.listen_address), port
    alerts = settings.alerts
    if alerts.token is not None or alerts.token_file is not None:
        yield "alerts.port", at(alerts.listen_address), alerts.port
