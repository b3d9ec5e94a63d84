"""What the demo shows: a picture while it runs, plain lines without a terminal, one screen at the end. All pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.box import ROUNDED
from rich.console import Group
from rich.padding import Padding
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from stoker.demo.chart import area, columns
from stoker.lines import happening_line, shown
from stoker.status import PHASE_COLOURS, STATE_COLOURS

if TYPE_CHECKING:
    from rich.console import RenderableType

    from stoker.demo.record import Record, Sample, Verdict

LOAD_ROWS, FLEET_ROWS = 4, 4
HISTORY = 5
QUIET = frozenset({"starting", "warming", "stopping", "gone"})
MARKS = {"serving": "●", "starting": "◌", "warming": "◐", "draining": "○", "stopping": "·", "failed": "✗"}


def picture(record: Record, title: str, most: int, width: int) -> RenderableType:
    """The whole screen while it runs. `most` is the largest number of instances."""
    sample = record.samples[-1]
    clock = f"{sample.at_s:.0f} of {record.shape.seconds:.0f} s"
    body = Group(
        _numbers(sample),
        Text(),
        charts(record, most, width - 14),
        Text(),
        _instances(sample),
        Text(),
        *_history(record, width - 6),
    )
    return Panel(
        body,
        title=Text.assemble(("stoker demo ", "bold"), (title, "dim")),
        subtitle=Text(clock, "dim"),
        title_align="left",
        subtitle_align="right",
        box=ROUNDED,
        border_style="blue",
        padding=(1, 2),
        width=width,
    )


def _numbers(sample: Sample) -> RenderableType:
    content = sample.content
    table = Table(box=None, padding=(0, 3, 0, 0), header_style="dim")
    for name in ("state", "load", "rps", "desired", "serving", "in flight", "p95", "sent", "failed"):
        table.add_column(name, justify="left" if name == "state" else "right", min_width=5)
    state = content["state"] or "-"
    table.add_row(
        Text(f"{state:<5}", f"bold {STATE_COLOURS.get(state, 'red')}"),
        f"{sample.load_rps:.0f}/s",
        shown(content["rps"], 3),
        Text(shown(content["desired"]), "bold"),
        Text(shown(content["serving"]), "bold green"),
        shown(content["in_flight"]),
        Text(_ms(sample.p95_s), _speed(sample.p95_s)),
        f"{sample.sent}",
        Text(f"{sample.failed}", "bold red" if sample.failed else "green"),
    )
    return table


def charts(record: Record, most: int, width: int) -> RenderableType:
    """The load, and under it the instances that serve, over the whole time."""
    peak = record.shape.peak_rps
    load = area(columns(record.load, record.shape.seconds, width), peak, LOAD_ROWS)
    fleet = area(columns(record.serving, record.shape.seconds, width), most, FLEET_ROWS)
    lines: list[Text] = []
    for rows, label, top, colour in ((load, "rps", f"{peak:.0f}", "blue"), (fleet, "serving", f"{most}", "green")):
        lines += [Text()] if lines else []
        for index, row in enumerate(rows):
            word = top if index == 0 else label if index == len(rows) - 1 else ""
            lines.append(Text.assemble((f"{word:>7} ", "dim"), (row, colour)))
    return Group(*lines)


def _instances(sample: Sample) -> Text:
    text = Text()
    for backend in sample.content["backends"]:
        phase = str(backend["phase"])
        colour = PHASE_COLOURS.get(phase, "dim")
        text.append(f"{MARKS.get(phase, '?')} {backend['name']}", colour)
        text.append(f" {backend['in_flight']}   " if phase == "serving" else f" {phase}   ", "dim")
    return text


def _history(record: Record, width: int) -> list[Text]:
    told = [one for one in record.happenings if one.kind != "state" and one.after not in QUIET]
    lines = [happening_line(one) for one in told[-HISTORY:]]
    return [Text(line[:width], "dim", no_wrap=True) for line in lines + [""] * (HISTORY - len(lines))]


def line(sample: Sample) -> str:
    """One plain line of the run."""
    content = sample.content
    return "  ".join(
        (
            f"{sample.at_s:5.1f} s",
            f"{content['state'] or '-':<5}",
            f"load {sample.load_rps:3.0f}/s",
            f"rps {shown(content['rps'], 3):>4}",
            f"desired {shown(content['desired']):>2}",
            f"serving {shown(content['serving']):>2}",
            f"in flight {shown(content['in_flight']):>3}",
            f"p95 {_ms(sample.p95_s):>7}",
            f"sent {sample.sent:>5}",
            f"failed {sample.failed}",
        )
    )


def last_screen(record: Record, verdict: Verdict, most: int, width: int) -> RenderableType:
    """What came of it."""
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(style="dim")
    table.add_column()
    failed = sum(verdict.faults.values())
    table.add_row(
        "requests",
        Text.assemble(
            f"{verdict.sent} sent, ",
            (f"{failed} failed", "bold red" if failed else "bold green"),
            f", 95 of 100 answered within {_ms(verdict.p95_s)}",
        ),
    )
    table.add_row("instances", f"{verdict.at_rest} at rest, {verdict.peak} at the peak, {verdict.at_end} at the end")
    table.add_row(
        f"step {record.shape.low_rps:.3g} to {record.shape.step_rps:.3g} rps",
        f"decided after {_s(verdict.decided_s)}, first answer of a new instance after {_s(verdict.answered_s)}",
    )
    for fault, count in verdict.faults.items():
        table.add_row("failure", Text(f"{count} x {fault}", "red"))
    followed = ("The fleet followed the load.", "bold green")
    if not verdict.followed:
        followed = ("The fleet did not follow the load.", "bold red")
    return Padding(Group(Text(*followed), Text(), charts(record, most, width - 10), Text(), table), (1, 1))


def _ms(seconds: float | None) -> str:
    return "-" if seconds is None else f"{1000 * seconds:.0f} ms"


def _s(seconds: float | None) -> str:
    return "never" if seconds is None else f"{seconds:.1f} s"


def _speed(seconds: float | None) -> str:
    if seconds is None or seconds < 0.3:
        return "green"
    return "yellow" if seconds < 1 else "red"
