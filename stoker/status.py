"""`stoker status`: the fleet at a glance, once or again and again."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from fleet.clock import Clock
from fleet.errors import StoreUnavailableError
from stoker.lines import age, canary_lines, shown, status_json

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import RenderableType

    from fleet.registry import Desk
    from fleet.settings import Settings

STATE_COLOURS = {"BUSY": "yellow", "READY": "cyan", "IDLE": "blue", "UP": "green"}
# For a file or a pipe: rich takes it for 80 columns wide, and cuts what scripts and people look for there.
WIDEST = 100_000
SILENT = "silent, nothing is scaled down by choice; if it is gone for good: stoker forget {id}"
PHASE_COLOURS = {"serving": "green", "starting": "yellow", "warming": "yellow", "failed": "red"}


def print_status(settings: Settings, desk: Desk, *, as_json: bool) -> None:
    """Print it once. Raises StoreUnavailableError."""
    content = status_json(settings, desk.status())
    if as_json:
        sys.stdout.write(json.dumps(content) + "\n")
        sys.stdout.flush()
    else:
        width = None if sys.stdout.isatty() else WIDEST
        Console(width=width).print(picture(content, Clock().now()))


def watch_status(settings: Settings, desk: Desk, *, as_json: bool, pause: Callable[[], bool]) -> None:
    """Print it again and again until `pause` says to end: a live picture on a terminal, one after another elsewhere."""
    if as_json or not sys.stdout.isatty():
        while True:
            print_status(settings, desk, as_json=as_json)
            if pause():
                return
    with Live(auto_refresh=False, screen=True) as live:
        while True:
            live.update(_picture_now(settings, desk), refresh=True)
            if pause():
                return


def _picture_now(settings: Settings, desk: Desk) -> RenderableType:
    try:
        return picture(status_json(settings, desk.status()), Clock().now())
    except StoreUnavailableError as error:
        return Text(str(error), "red")


def picture(content: dict[str, Any], now: float) -> RenderableType:
    """What `status_json` gave, for people."""
    state = content["state"] or "no scaler has decided anything yet"
    head = Text.assemble(
        (f"{content['fleet']} / {content['app']}  ", "bold"),
        (state, STATE_COLOURS.get(state, "red")),
        ("  paused" if content["paused"] else "", "magenta"),
        (f"  held at {content['manual']} by order" if content["manual"] is not None else "", "magenta"),
    )
    numbers = Text(
        f"desired {shown(content['desired'])}   serving {shown(content['serving'])}   rps {shown(content['rps'])}   "
        f"in flight {shown(content['in_flight'])}   held {shown(content['held'])}"
    )
    reasons = [Text(f"  {reason}", "dim") for reason in content["reasons"]]
    canary = [Text(line, "cyan") for line in canary_lines(content["canary"])] if content["canary"] else []
    faults = [Text(f"fault: {fault}", "red") for fault in content["faults"]]
    return Group(
        head, numbers, *_releases(content), *reasons, *canary, _backends(content, now), _others(content), *faults
    )


def _releases(content: dict[str, Any]) -> list[Text]:
    """What is in force; during a deploy also what is to come."""
    releases = content["releases"]
    if releases is None:
        return []
    lines = [Text(f"release {_release(releases['current'])}")]
    if asked := releases["asked"]:
        lines.append(Text(f"deploy {asked['image']}: the image is being resolved", "cyan"))
    if rollout := releases["rollout"]:
        how = "going back to" if rollout["back"] else "proven, replacing" if rollout["proven"] else "on trial:"
        lines.append(Text(f"deploy {how} {_release(rollout['release'])}", "cyan"))
    return lines


def _release(release: dict[str, Any]) -> str:
    pinned = release["pinned"].rpartition("@")[2].removeprefix("sha256:")[:12]
    return " ".join(
        word for word in (release["image"], f"({pinned})" if pinned else "", f"spec {release['spec']}") if word
    )


def _backends(content: dict[str, Any], now: float) -> RenderableType:
    table = Table(box=None, header_style="dim", padding=(0, 2, 0, 0))
    for column in ("instance", "phase", "for", "in flight", "spec", "host", "url"):
        table.add_column(column, justify="right" if column in {"for", "in flight"} else "left")
    for backend in content["backends"]:
        phase = backend["phase"]
        table.add_row(
            backend["name"],
            Text(phase, PHASE_COLOURS.get(phase, "")),
            age(now - backend["since"]),
            shown(backend["in_flight"]),
            backend["spec"],
            backend["host"],
            backend["url"] or "-",
        )
    return table


def _others(content: dict[str, Any]) -> RenderableType:
    lines = [
        f"proxy {proxy['id']}: "
        + (SILENT.format(**proxy) if proxy["silent"] else f"{proxy['in_flight']} in flight, {proxy['held']} held")
        for proxy in content["proxies"]
    ] + [
        f"scaler {scaler['id']}: {'acts' if scaler['acting'] else 'waits'}, seen {scaler['seen_s']:g} s ago"
        for scaler in content["scalers"]
    ]
    return Text("\n".join(lines), "dim")
