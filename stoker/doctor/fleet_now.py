"""Whether a fleet that should be running does: who acts, which proxies report, and whether they are in step."""

from __future__ import annotations

import http.client
from contextlib import closing
from typing import TYPE_CHECKING

from fleet.embedded import running_url
from fleet.errors import SettingsError, StoreUnavailableError
from fleet.store.opening import open_desk
from stoker.doctor.finding import Finding, note, ok, skipped, wrong
from stoker.doctor.ports import is_up

if TYPE_CHECKING:
    from fleet.registry import Status
    from fleet.settings import Settings

ANSWER_S = 3.0


def check_fleet(settings: Settings) -> list[Finding]:
    """What the store says of scalers and proxies."""
    if settings.redis_url is None and running_url(settings.state_path) is None:
        return [skipped("fleet", "it is not up")]
    try:
        with closing(open_desk(settings)) as desk:
            status = desk.status()
    except (StoreUnavailableError, SettingsError):
        return [skipped("fleet", "the store cannot be asked")]  # which another finding says
    return judged(status)


def judged(status: Status) -> list[Finding]:
    """Who acts, and which proxies are there and in step."""
    if status.snapshot is None and not status.scalers and not status.sighting.readings:
        return [skipped("fleet", "nothing of it has run yet")]
    findings = [
        ok("scaler", f"{status.acting} acts")
        if status.acting
        else wrong("scaler", "none acts: nothing scales, and nothing dead is replaced", "stoker up, or stoker scaler")
    ]
    sighting, newest = status.sighting, status.snapshot.generation if status.snapshot else 0
    if not sighting.readings:
        findings.append(wrong("proxies", "none reports", "start one: stoker up, mitmdump or the HAProxy agent"))
    for reading in sighting.readings:
        if reading.generation < newest:
            text = f"{reading.id} has applied generation {reading.generation} of {newest}"
            findings.append(note("proxies", text, "look again; where it stays behind, its log says why"))
        else:
            findings.append(ok("proxies", f"{reading.id} reports and is in step"))
    for proxy in sighting.silent:
        remedy = f"start it again; if it is gone for good: stoker forget {proxy}"
        findings.append(wrong("proxies", f"{proxy} is silent: nothing is scaled down by choice", remedy))
    faults = (*(status.snapshot.faults if status.snapshot else ()), *sighting.faults, *status.extra.values())
    findings += [
        wrong("registry", fault, "something else writes there; give the fleet a name of its own") for fault in faults
    ]
    return findings


def check_proxy(settings: Settings) -> list[Finding]:
    """Whether the proxy answers. It is asked for a path that it keeps for itself, so that no instance is."""
    address, port = settings.proxy.listen_address, settings.proxy.listen_port
    tls = settings.proxy.kind == "haproxy" and settings.haproxy.certificate is not None
    if not is_up(settings):
        return [skipped("proxy", "no `stoker up` of this fleet runs on this machine")]
    if tls:
        return [skipped("proxy", f"{address}:{port} speaks TLS; ask it by its name")]
    connection = http.client.HTTPConnection(address, port, timeout=ANSWER_S)
    try:
        connection.request("GET", "/__stoker/doctor")
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        said = " ".join(str(error).split())[:120] or type(error).__name__
        log = settings.state_path / "logs" / "proxy.log"
        return [wrong("proxy", f"{address}:{port} does not answer: {said}", f"its log says why: {log}")]
    finally:
        connection.close()
    if status != http.client.NOT_FOUND:
        remedy = "set proxy.listen_port to another port"
        return [wrong("proxy", f"{address}:{port} answers {status} where Stoker's answers 404: it is another", remedy)]
    return [ok("proxy", f"answers on {address}:{port}")]
