"""`stoker doctor`: every check in a thread of its own with an end, and what came of them for people and for scripts."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from time import monotonic
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from fleet.clock import Clock
from fleet.errors import SettingsError
from stoker.configured import configured, configured_or_sample
from stoker.doctor.engine import check_engine
from stoker.doctor.finding import Finding, Grade, ok, wrong
from stoker.doctor.fleet_now import check_fleet, check_proxy
from stoker.doctor.machine import (
    check_access_log,
    check_files_limit,
    check_packages,
    check_plane,
    check_secrets,
    check_state_folder,
)
from stoker.doctor.ports import check_ports
from stoker.doctor.redis_server import check_redis

if TYPE_CHECKING:
    from pathlib import Path

    from fleet.settings import Settings

Check = Callable[[], list[Finding]]
LIMIT_S = 15.0
UNWRAPPED = 10_000
COLOURS = {Grade.OK: "green", Grade.NOTE: "yellow", Grade.WRONG: "bold red", Grade.SKIPPED: "dim"}


def run_doctor(config: Path | None, redis: str | None, *, as_json: bool) -> bool:
    """Check everything and print it; whether nothing is wrong."""
    try:
        configured(config, redis)
        settings = configured_or_sample(config)
    except SettingsError as error:
        findings = [wrong("settings", line, "docs/settings.md lists every setting") for line in str(error).splitlines()]
        findings += gathered({"python": check_packages})
    else:
        findings = [ok("settings", f"fleet {settings.fleet}, app {settings.app}"), *gathered(checks(settings))]
    print_findings(findings, as_json=as_json)
    return all(finding.grade is not Grade.WRONG for finding in findings)


def checks(settings: Settings) -> Mapping[str, Check]:
    """All of them, in the order in which they are shown."""
    return {
        "python": check_packages,
        "open files": check_files_limit,
        "state folder": lambda: check_state_folder(settings),
        "secrets": lambda: check_secrets(settings),
        "access log": lambda: check_access_log(settings),
        "redis": lambda: check_redis(settings, Clock().now),
        "engine": lambda: check_engine(settings),
        "proxy program": lambda: check_plane(settings),
        "ports": lambda: check_ports(settings),
        "fleet": lambda: check_fleet(settings),
        "proxy": lambda: check_proxy(settings),
    }


def gathered(todo: Mapping[str, Check], limit_s: float = LIMIT_S) -> list[Finding]:
    """Run all at once; one that does not end within the limit is a finding too, and is left behind."""
    running = {name: _begun(name, check) for name, check in todo.items()}
    until, findings = monotonic() + limit_s, list[Finding]()
    for name, result in running.items():
        try:
            findings += result.result(max(0.0, until - monotonic()))
        except TimeoutError:
            findings.append(wrong(name, f"no answer within {limit_s:g} s", "see whether it hangs, or is out of reach"))
        except (OSError, ValueError, RuntimeError, SettingsError) as error:
            findings.append(wrong(name, " ".join(str(error).split())[:300] or type(error).__name__, "see the message"))
    return findings


def _begun(name: str, check: Check) -> Future[list[Finding]]:
    result: Future[list[Finding]] = Future()

    def run() -> None:
        try:
            result.set_result(check())
        except Exception as error:  # noqa: BLE001  # a thread's error belongs to whoever waits for it
            result.set_exception(error)

    threading.Thread(target=run, name=f"check {name}", daemon=True).start()
    return result


def print_findings(findings: list[Finding], *, as_json: bool) -> None:
    """A table with what to do below each finding, or one object a line."""
    if as_json:
        for finding in findings:
            line = {"subject": finding.subject, "grade": finding.grade, "text": finding.text, "remedy": finding.remedy}
            sys.stdout.write(json.dumps(line) + "\n")
        return
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    for finding in findings:
        words = Text(finding.text, overflow="fold")
        if finding.remedy:
            words.append(f"\n{finding.remedy}", "cyan")
        table.add_row(Text(finding.grade, COLOURS[finding.grade]), Text(finding.subject), words)
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = UNWRAPPED  # so that grep finds each finding whole
    console.print(table)
    counts = {grade: sum(finding.grade is grade for finding in findings) for grade in (Grade.WRONG, Grade.NOTE)}
    told = ", ".join(f"{count} {grade}" for grade, count in counts.items() if count)
    console.print(told or "all is well")
