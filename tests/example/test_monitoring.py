"""The dashboard, the alert rules and the page on metrics name what real parts tell."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml  # type: ignore[import-untyped]  # comes with Ansible

from fleet.exposition import exposition
from fleet.settings import load
from stoker.configured import sample_command
from tests.addon.rig import proxy
from tests.fleet.test_exposition import read
from tests.haproxy.rig import rig, until
from tests.scaler.test_canary_metrics import running
from tests.scrape import Scrape, ask
from tests.valkey import LETTERS, free_port, installed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fleet.embedded import EmbeddedValkey
    from fleet.settings import Settings

pytestmark = [pytest.mark.live, pytest.mark.timeout(60), pytest.mark.xdist_group("monitoring")]

ROOT = Path(__file__).resolve().parents[2]
DASHBOARD = ROOT / "example" / "grafana-dashboard.json"
ALERTS = ROOT / "example" / "prometheus-alerts.yml"
RULE_TESTS = Path(__file__).with_name("alerts.test.yml")
PAGE = ROOT / "docs" / "metrics.md"
SCHEDULE = '[[policy.schedules]]\nname = "noon"\nmin = 1\nstart = "0 12 * * *"\nduration_s = 60\n'
NAME = re.compile(r"\b(?:stoker|process)_[a-z0-9_]+")
OF_A_HISTOGRAM = re.compile(r"_(bucket|sum|count)$")


@pytest.fixture(scope="module")
def told(valkey: EmbeddedValkey, tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """Every name of a scrape of a scaler that acts and is given a canary, of a mitmdump and of a HAProxy's agent."""
    path = tmp_path_factory.mktemp("monitoring")
    fleet = "told-" + path.name.translate(LETTERS)
    ports = {part: free_port() for part in ("scaler", "mitmproxy", "haproxy")}
    with pytest.MonkeyPatch.context() as patch:
        for part, port in ports.items():
            patch.setenv(f"STOKER_METRICS__{part.upper()}_PORT", str(port))
        names = asyncio.run(_of_haproxy(valkey, fleet + "-h", ports["haproxy"]))
        settings = load(None, fleet=fleet, redis_url=valkey.url, state_dir=path)
        with proxy(settings, path), scaler(settings):
            names |= _of_the_rest(ports["scaler"]) | Scrape(ports["mitmproxy"]).names
    return names | set(read(exposition(running().metrics.collect(), {})))


@contextmanager
def scaler(settings: Settings) -> Iterator[None]:
    """A scaler process with one real instance; both are gone at the end of the block."""
    config = settings.state_dir / "stoker.toml"
    config.write_text(
        f'fleet = "{settings.fleet}"\nstate_dir = "{settings.state_dir}"\n[policy]\ntarget_in_flight = 5\n'
        f"{SCHEDULE}"
        f'[actuator]\nkind = "process"\n[instance]\ncommand = {json.dumps(sample_command())}\n'
    )
    url = settings.redis_url.get_secret_value() if settings.redis_url else ""
    argv = [sys.executable, "-m", "stoker", "scaler", "--config", str(config)]
    process = subprocess.Popen(argv, cwd=ROOT, env=os.environ | {"STOKER_REDIS_URL": url})
    try:
        yield
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(20)


def _of_the_rest(port: int) -> set[str]:
    """Of the scaler, once an instance serves and a rate could be told."""

    async def wait() -> set[str]:
        async with asyncio.timeout(40):
            while True:
                try:
                    scraped = await asyncio.to_thread(Scrape, port)
                except ConnectionRefusedError:
                    scraped = None
                rated = scraped is not None and "stoker_load_requests_per_second" in scraped.names
                if scraped is not None and rated and scraped.value("stoker_instances_serving") == 1:
                    return scraped.names
                await asyncio.sleep(0.1)

    return asyncio.run(wait())


async def _of_haproxy(valkey: EmbeddedValkey, fleet: str, port: int) -> set[str]:
    async with rig(valkey, fleet, "wheel") as plane:
        await plane.applied(plane.publish({"production1": "http://127.0.0.1:9"}))
        return (await asyncio.to_thread(Scrape, port)).names


async def test_haproxys_own_exporter_is_switched_on_by_the_page_s_lines(
    valkey: EmbeddedValkey, fleet_name: str
) -> None:
    lines = PAGE.read_text().partition("```haproxy\n")[2].partition("```")[0]
    named = re.findall(r"haproxy_[a-z_]+_seconds", PAGE.read_text())
    async with rig(valkey, fleet_name, "wheel") as plane:
        await plane.applied(plane.publish({"production1": "http://127.0.0.1:9"}))
        plane.snippet.write_text(lines)
        assert plane.agent is not None
        plane.agent.send_signal(signal.SIGHUP)
        await until(lambda: '"reloaded"' in plane.log(), "reloaded")
        status, told = await asyncio.to_thread(ask, plane.port, "/haproxy-metrics")
    assert (200, []) == (status, [name for name in named if f"\n{name}{{" not in told])
    assert "\nhaproxy_server_max_total_time_seconds{" in told


def without_suffix(names: set[str]) -> set[str]:
    return {OF_A_HISTOGRAM.sub("", name) for name in names}


def queries() -> list[str]:
    """Every query of the dashboard."""
    board = json.loads(DASHBOARD.read_text())
    return [target["expr"] for panel in board["panels"] for target in panel["targets"]]


def rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load(ALERTS.read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def test_the_page_lists_exactly_what_is_told(told: set[str]) -> None:
    rows = [line.split("|")[1] for line in PAGE.read_text().splitlines() if line.startswith("| `")]
    documented = set(NAME.findall(" ".join(rows)))
    # No fault has come about here.
    assert documented == without_suffix(told) | {"stoker_faults_total"}


def test_the_dashboard_asks_for_what_is_told(told: set[str]) -> None:
    asked = {name for query in queries() for name in NAME.findall(query)}
    assert set() == asked - told


def test_the_alerts_ask_for_what_is_told(told: set[str]) -> None:
    asked = {name for rule in rules() for name in NAME.findall(rule["expr"])}
    assert set() == asked - told


def test_names_follow_the_conventions(told: set[str]) -> None:
    ours = {name for name in without_suffix(told) if name.startswith("stoker_")}
    assert set() == {name for name in ours if re.search(r"_(ms|milliseconds|percent|minutes|kb|mb)(_|$)", name)}


def test_every_query_of_the_dashboard_is_one(tmp_path: Path) -> None:
    queried = [
        {"record": f"stoker:query:{number}", "expr": query.replace("$__rate_interval", "5m")}
        for number, query in enumerate(queries())
    ]
    file = tmp_path / "queries.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": queried}]}))
    ran = subprocess.run([installed("promtool"), "check", "rules", file], capture_output=True, text=True, check=False)
    assert (0, "") == (ran.returncode, ran.stderr)


def test_the_alerts_fire_and_stay_silent_as_they_should() -> None:
    ran = subprocess.run(
        [installed("promtool"), "test", "rules", RULE_TESTS.name],
        cwd=RULE_TESTS.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_every_alert_is_tried() -> None:
    tried = {
        test["alertname"]
        for group in yaml.safe_load(RULE_TESTS.read_text())["tests"]
        for test in group["alert_rule_test"]
        if test.get("exp_alerts")
    }
    assert {rule["alert"] for rule in rules()} == tried
