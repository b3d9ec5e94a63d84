"""`stoker crashes` and what stands under it, for the command line."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

if TYPE_CHECKING:
    from fleet.crash import CrashDesk

Config = Annotated[
    Optional[Path],  # noqa: UP045  # typer reads this at run time
    typer.Option("--config", "-c", help="The settings file; without it stoker.toml, where there is one."),
]
Redis = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option(help="The store's url, without a password; one with a password goes into STOKER_REDIS_URL."),
]
Since = Annotated[str, typer.Option(metavar="SPAN", help="Only those of the last 90s, 30m, 1h or 2d.")]
Output = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option("--output", "-o", metavar="OUT", help="The SVG; - is standard output. Without it a file here."),
]

app = typer.Typer(context_settings={"help_option_names": ["-h", "--help"]})


@app.callback(
    invoke_without_command=True,
    epilog="Example: stoker crashes --since 1h, and then: stoker crashes show 3f2a91bc -o crash.svg",
)
def crashes(
    context: typer.Context,
    config: Config = None,
    redis: Redis = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="For scripts: one JSON object a line.")] = False,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what happens, until Ctrl-C.")] = False,
    since: Since = "",
    limit: Annotated[int, typer.Option(min=0, max=10_000, help="At most so many, the newest.")] = 50,
) -> None:
    """List failed requests; draw one, or all of a time, as a flame graph.

    Of each: when, which request, what was raised where, whether it was profiled, and how many listed ones are like it.
    """
    context.obj = (config, redis)
    if context.invoked_subcommand is not None:
        return
    from fleet.clock import Clock
    from stoker.crash_lines import span_s
    from stoker.crashes import Following, print_crashes, tell
    from stoker.signals import Signals

    within_s = span_s(since) if since else None
    desk = _desk(config, redis)
    with Signals() as signals:
        listing = desk.crashes(limit=limit, within_s=within_s)
        clock = Clock()
        print_crashes(listing, clock.now(), as_json=as_json, quiet=follow)
        if follow:
            following = Following(listing.crashes, as_json=as_json)
            tell(desk, following, listing.last, lambda seconds: bool(signals.wait(seconds)), clock.now)


@app.command(epilog="Example: stoker crashes show 3f2a91bc -o crash.svg")
def show(
    context: typer.Context,
    crash: Annotated[str, typer.Argument(metavar="ID", help="A crash's id, or the beginning of one.")],
    config: Config = None,
    redis: Redis = None,
    output: Output = None,
) -> None:
    """Draw one crash: its samples, and the way to its exception.

    Without -o into crash-ID.svg here.
    """
    from stoker.crash_pictures import show as draw

    draw(_desk(config or context.obj[0], redis or context.obj[1]), crash, output, typer.echo)


@app.command(epilog="Example: stoker crashes top --since 1d -o crashes.svg")
def top(
    context: typer.Context,
    config: Config = None,
    redis: Redis = None,
    since: Since = "",
    output: Output = None,
) -> None:
    """Draw all crashes of a time as one graph, each as one sample: which code fails most.

    Without -o into crashes.svg here.
    """
    from stoker.crash_lines import span_s
    from stoker.crash_pictures import top as draw

    within_s = span_s(since) if since else None
    draw(_desk(config or context.obj[0], redis or context.obj[1]), within_s, since, output, typer.echo)


def _desk(config: Path | None, redis: str | None) -> CrashDesk:
    from fleet.store.opening import open_crash_desk
    from stoker.configured import configured

    return open_crash_desk(configured(config, redis))
