from __future__ import annotations

import io
import json
from typing import Any

import pytest
from rich.console import Console

from fleet.backend import Backend, Phase
from fleet.memory import MemoryStore
from fleet.registry import Change, Summary
from fleet.settings import Settings
from stoker.status import picture, print_status, watch_status

CONTENT: dict[str, Any] = {
    "fleet": "acme",
    "app": "shop",
    "state": "UP",
    "desired": 4,
    "serving": 4,
    "rps": 38.25,
    "in_flight": 7,
    "held": None,
    "paused": True,
    "manual": 4,
    "reasons": ["38.2 rps at target 10"],
    "canary": {
        "release": "shop:3",
        "spec": "6a7b8c",
        "wanted": 10,
        "share": 9.9,
        "sticky": True,
        "since": 50.0,
        "serving": 1,
        "deaths": 1,
        "canary": {"finished": 50, "errors": 2, "mean_ms": 51.2},
        "stable": {"finished": 450, "errors": 4, "mean_ms": 48.0},
        "errors": 0.25,
        "times": 0.0,
        "warm": False,
    },
    "releases": {
        "current": {"spec": "0a1b2c", "image": "shop:1", "pinned": ""},
        "asked": {"image": "shop:2"},
        "rollout": {
            "release": {"spec": "3d4e5f", "image": "shop:2", "pinned": f"shop@sha256:{'c' * 64}"},
            "proven": False,
            "back": False,
        },
    },
    "backends": [
        {
            "name": "shop1",
            "phase": "serving",
            "url": "http://10.0.0.5:80",
            "in_flight": 7,
            "host": "alpha",
            "since": 40.0,
            "spec": "0a1b2c",
        },
        {
            "name": "shop9",
            "spec": "3d4e5f",
            "phase": "starting",
            "url": None,
            "in_flight": None,
            "host": "beta",
            "since": 99.0,
        },
    ],
    "proxies": [{"id": "north", "silent": False, "in_flight": 7, "held": 0}, {"id": "south", "silent": True}],
    "scalers": [{"id": "one", "acting": True, "seen_s": 0.5}, {"id": "two", "acting": False, "seen_s": 1.0}],
    "faults": ["backend shop3: not JSON: 'x'"],
}


def drawn(content: dict[str, Any]) -> str:
    console = Console(file=io.StringIO(), width=110, color_system=None)
    with console.capture() as capture:
        console.print(picture(content, now=100.0))
    return capture.get()


@pytest.mark.parametrize(
    "words",
    [
        "acme / shop  UP  paused  held at 4 by order",
        "desired 4   serving 4   rps 38.25   in flight 7   held -",
        "38.2 rps at target 10",
        "release shop:1 spec 0a1b2c",
        "deploy shop:2: the image is being resolved",
        "deploy on trial: shop:2 (cccccccccccc) spec 3d4e5f",
        "proxy north: 7 in flight, 0 held",
        "proxy south: silent, nothing is scaled down by choice; if it is gone for good: stoker forget south",
        "scaler one: acts, seen 0.5 s ago",
        "scaler two: waits, seen 1 s ago",
        "canary shop:3: 9.9 % of the traffic on 1 serving, ordered 10 %, clients keep to their set",
        "canary: 50 requests, 2 failed (4.0%), 51 ms",
        "stable: 450 requests, 4 failed (0.9%), 48 ms",
        "evidence against it on the way to a cut: errors 25%, times not yet",
        "fault: backend shop3: not JSON: 'x'",
    ],
)
def test_the_picture_says(words: str) -> None:
    assert words in drawn(CONTENT)


def test_each_instance_is_a_row_and_what_is_unknown_a_dash() -> None:
    rows = [line.split() for line in drawn(CONTENT).splitlines()]
    assert ["shop1", "serving", "60", "s", "7", "0a1b2c", "alpha", "http://10.0.0.5:80"] in rows
    assert ["shop9", "starting", "1", "s", "-", "3d4e5f", "beta", "-"] in rows


def test_an_empty_store_says_that_nothing_was_decided_yet() -> None:
    empty = CONTENT | {"state": None, "paused": False, "manual": None}
    assert "acme / shop  no scaler has decided anything yet\n" in drawn(empty).replace(" \n", "\n")


def test_as_json_it_is_one_line_a_look(capsys: pytest.CaptureFixture[str]) -> None:
    looks = iter([False, False, True])
    watch_status(Settings(), MemoryStore(lambda: 1.0), as_json=True, pause=lambda: next(looks))
    assert ["stoker"] * 3 == [json.loads(line)["fleet"] for line in capsys.readouterr().out.splitlines()]


def test_where_no_terminal_is_nothing_is_cut_or_wrapped(capsys: pytest.CaptureFixture[str]) -> None:
    long = "http://a-host-with-a-long-name.somewhere.in.a.private.zone.example.org:32768"
    backend = Backend("production1", Phase.SERVING, long, host="a-host-with-a-long-name", spec="0a1b2c3d4e5f")
    store = MemoryStore(lambda: 1.0)
    reason = "a reason that is longer than a line of eighty columns " * 3
    summary = Summary("UP", 1, reasons=(reason.strip(),))
    lease = store.acquire("one")
    assert lease is not None
    store.publish(lease, Change({backend.name: backend}, 1, summary, ()))
    print_status(Settings(), store, as_json=False)
    lines = capsys.readouterr().out.splitlines()
    [row] = [line for line in lines if line.startswith("production1")]
    assert long == row.split()[-1]
    assert f"  {reason.strip()}" in lines
    assert all(len(line) < 300 for line in lines)


def test_once_it_is_printed_once(capsys: pytest.CaptureFixture[str]) -> None:
    print_status(Settings(), MemoryStore(lambda: 1.0), as_json=False)
    assert "stoker / production" in capsys.readouterr().out
