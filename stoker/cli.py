"""The `stoker` command: what a person may ask of a fleet. Commands import what they need, so that all start fast."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, NoReturn, Optional

import typer

from fleet.errors import RefusedError, SettingsError, StoreUnavailableError
from haproxy.cli import app as haproxy
from stoker.crash_commands import app as crashes
from stoker.errors import CommandError

Config = Annotated[
    Optional[Path],  # noqa: UP045  # typer reads this at run time
    typer.Option("--config", "-c", help="The settings file; without it stoker.toml, where there is one."),
]
Redis = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option(help="The store's url, without a password; one with a password goes into STOKER_REDIS_URL."),
]
Json = Annotated[bool, typer.Option("--json", help="For scripts: one JSON object a line.")]
Proxy = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option(help="The data plane: mitmproxy or haproxy; without it what proxy.kind says."),
]
FAILED, WRONG = 1, 2

app = typer.Typer(
    help="Just enough instances of a web app for the requests that arrive right now.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


app.add_typer(haproxy, name="haproxy")
app.add_typer(crashes, name="crashes")


def main() -> NoReturn:
    """Run the command; whatever goes wrong is one line and an exit code: 1 it failed, 2 it was asked wrongly."""
    try:
        app(prog_name="stoker")
    except SettingsError as error:
        _fail(error, WRONG)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # whoever read has seen enough
    except (StoreUnavailableError, RefusedError, CommandError, OSError) as error:
        _fail(error, FAILED)
    sys.exit(0)


def _fail(error: Exception, code: int) -> NoReturn:
    words = f"{error.filename}: {error.strerror}" if isinstance(error, OSError) and error.filename else str(error)
    sys.stderr.write("".join(f"stoker: {line}\n" for line in words.splitlines() or [type(error).__name__]))
    sys.exit(code)


@app.command(epilog="Example: stoker up --config stoker.toml")
def up(config: Config = None, proxy: Proxy = None) -> None:
    """Run the fleet, in the foreground.

    That is a Valkey of its own where no Redis is configured, the proxy and the scaler; what dies is started again.
    Ctrl-C and `stoker down` stop everything in order; SIGTERM leaves the instances for the next start to adopt.
    With no settings at all it runs a sample app behind http://127.0.0.1:8080.
    """
    from stoker.configured import choose_proxy, configured_or_sample
    from stoker.up import run_up

    if proxy is not None:
        choose_proxy(proxy)
    settings = configured_or_sample(config)
    _say(f"fleet {settings.fleet}, app {settings.app}")
    run_up(settings, config, _say)


@app.command(epilog="Example: stoker down")
def down(config: Config = None) -> None:
    """Stop the fleet and its instances.

    In order: the proxy finishes its requests, the instances stop, then the rest.
    """
    from stoker.configured import configured_or_sample
    from stoker.down import run_down

    run_down(configured_or_sample(config), config, _say)


@app.command(epilog="Example: stoker scaler --shadow --config stoker.toml")
def scaler(
    config: Config = None,
    redis: Redis = None,
    *,
    shadow: Annotated[bool, typer.Option("--shadow", help="Decide on the real load, but touch nothing.")] = False,
) -> None:
    """Run the control loop alone.

    SIGINT stops every instance before it ends, SIGTERM leaves them for the next start to adopt.
    """
    from fleet.log import configure
    from scaler.running import run_scaler
    from stoker.configured import configured

    configure()
    run_scaler(configured(config, redis), shadow=shadow)


@app.command(epilog="Example: stoker status --json | jq .serving")
def status(
    config: Config = None,
    redis: Redis = None,
    *,
    as_json: Json = False,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Again each second, until Ctrl-C.")] = False,
) -> None:
    """Show the fleet at a glance.

    Its state, what is desired and why, every instance, proxy and scaler. A number that nobody reported is a dash.
    """
    from fleet.store.opening import open_desk
    from stoker.configured import configured
    from stoker.signals import Signals
    from stoker.status import print_status, watch_status

    settings = configured(config, redis)
    desk = open_desk(settings)
    if not watch:
        print_status(settings, desk, as_json=as_json)
        return
    with Signals() as signals:
        watch_status(settings, desk, as_json=as_json, pause=lambda: bool(signals.wait(1.0)))


@app.command(epilog="Example: stoker events --follow")
def events(
    config: Config = None,
    redis: Redis = None,
    *,
    as_json: Json = False,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what happens, until Ctrl-C.")] = False,
    last: Annotated[int, typer.Option(min=0, help="Begin with so many of the past.")] = 50,
) -> None:
    """Show what happened and why.

    Every decision that changed something, every transition and every fault, with its reasons.
    """
    from fleet.store.opening import open_desk
    from stoker.configured import configured
    from stoker.events import print_events
    from stoker.signals import Signals

    desk = open_desk(configured(config, redis))
    with Signals() as signals:
        print_events(desk, as_json=as_json, follow=follow, last=last, pause=lambda s: bool(signals.wait(s)))


@app.command(epilog="Example: stoker web --port 8091")
def web(
    config: Config = None,
    redis: Redis = None,
    address: Annotated[Optional[str], typer.Option(help="Instead of web.listen_address.")] = None,  # noqa: UP045
    port: Annotated[Optional[int], typer.Option(min=1, max=65535, help="Instead of web.listen_port.")] = None,  # noqa: UP045
) -> None:
    """Serve the web page alone.

    The fleet live in a browser: whether all is well, its load, instances, decisions and crashes. Read-only.
    """
    from fleet.log import configure
    from stoker.configured import configured
    from stoker.web.running import listening_on, run_web

    configure()
    run_web(listening_on(configured(config, redis), address, port), _say)


@app.command(epilog="Example: stoker webhooks --config stoker.toml")
def webhooks(config: Config = None, redis: Redis = None) -> None:
    """Send messages to the receiver of webhooks.url, alone.

    Failed starts, at the maximum, no data, deploys, crashes: signed, tried again until they are taken, never twice by
    two of them at a time.
    """
    from fleet.log import configure
    from stoker.configured import configured
    from stoker.webhooks.running import run_webhooks

    configure()
    run_webhooks(configured(config, redis), _say)


@app.command(epilog="Example: stoker doctor --json | jq 'select(.grade == \"wrong\")'")
def doctor(config: Config = None, redis: Redis = None, *, as_json: Json = False) -> None:
    """Say what is wrong and what to do about it.

    Checks settings, Python, folders, secrets, Redis, the engine and the image, ports, scaler and proxies. It changes
    nothing, and takes 15 s at most. Exit code 1 where anything is wrong.
    """
    from stoker.doctor.running import run_doctor

    if not run_doctor(config, redis, as_json=as_json):
        raise typer.Exit(FAILED)


@app.command(epilog="Example: stoker scale 4, and later: stoker scale auto")
def scale(
    count: Annotated[str, typer.Argument(metavar="N|auto", help="So many instances, or as many as the load needs.")],
    config: Config = None,
    redis: Redis = None,
) -> None:
    """Hold the fleet at N instances.

    From min to max, until `stoker scale auto` lets the load decide again. Survives restarts.
    """
    from stoker.configured import configured
    from stoker.orders import place, scale_order

    settings = configured(config, redis)
    place(settings, scale_order(count, settings.policy), _say)


@app.command(epilog="Example: stoker deploy shop:2, and back: stoker deploy --rollback")
def deploy(  # noqa: PLR0913  # one for each option
    image: Annotated[Optional[str], typer.Argument(metavar="IMAGE", help="Without it: what is configured.")] = None,  # noqa: UP045
    config: Config = None,
    redis: Redis = None,
    *,
    rollback: Annotated[bool, typer.Option("--rollback", help="Back to what was in force before.")] = False,
    canary: Annotated[
        Optional[str],  # noqa: UP045  # typer reads this at run time
        typer.Option("--canary", metavar="SHARE", help="Try it on this share of the traffic, such as 10%, first."),
    ] = None,
    sticky: Annotated[bool, typer.Option("--sticky", help="With --canary: clients keep to their set.")] = False,
    promote: Annotated[bool, typer.Option("--promote", help="Deploy the canary's image everywhere.")] = False,
    abort: Annotated[bool, typer.Option("--abort", help="Cut the canary off.")] = False,
    as_json: Json = False,
) -> None:
    """Replace the instances by those of another image.

    New ones start, get ready and serve before old ones drain, one by one; one that fails ends the deploy and the old
    set stays. With --canary some run beside the old ones until --promote or --abort, or until they are found to be
    worse. Follows it to its end; Ctrl-C only stops following. Exit code 1 if it failed, 3 if no scaler acts.
    """
    from contextlib import closing

    from fleet.store.opening import open_desk
    from stoker.configured import configured
    from stoker.deploy import run_deploy
    from stoker.orders import release_order
    from stoker.signals import Signals

    settings = configured(config, redis)
    order = release_order(
        image, settings, rollback=rollback, canary=canary, sticky=sticky, promote=promote, abort=abort
    )
    with closing(open_desk(settings)) as desk, Signals() as signals:
        plays = settings.actuator.kind == "ansible"
        code = run_deploy(desk, order, as_json=as_json, pause=lambda seconds: bool(signals.wait(seconds)), plays=plays)
    raise typer.Exit(code)


@app.command(epilog="Example: stoker pause")
def pause(config: Config = None, redis: Redis = None) -> None:
    """Freeze how many instances are desired.

    Dead ones are still replaced and drains still finish. Survives restarts.
    """
    from fleet.registry import Order, OrderKind
    from stoker.configured import configured
    from stoker.orders import place

    place(configured(config, redis), Order(OrderKind.PAUSE), _say)


@app.command(epilog="Example: stoker forget haproxy-web1-80")
def forget(
    proxy: Annotated[str, typer.Argument(metavar="PROXY", help="Its id, as `stoker status` shows it.")],
    config: Config = None,
    redis: Redis = None,
) -> None:
    """Wait no longer for a missing proxy.

    Nothing is scaled down by choice while a proxy is missing. HAProxy goes on without its agent, so its id is never
    forgotten by itself: order it only where that HAProxy has ended.
    """
    from fleet.store.opening import open_desk
    from stoker.configured import configured
    from stoker.orders import forget_order, place

    settings = configured(config, redis)
    place(settings, forget_order(proxy, open_desk(settings).status().sighting.silent), _say)


@app.command(epilog="Example: stoker resume")
def resume(config: Config = None, redis: Redis = None) -> None:
    """End a pause."""
    from fleet.registry import Order, OrderKind
    from stoker.configured import configured
    from stoker.orders import place

    place(configured(config, redis), Order(OrderKind.RESUME), _say)


@app.command(epilog="Example: stoker replay ~/.local/state/stoker/stoker/production.scaler.trace")
def replay(trace: Annotated[Path, typer.Argument(help="A trace file that a scaler wrote.")]) -> None:
    """Decide a recorded trace again and compare.

    Prints where this version decides otherwise than the one that recorded it; exit code 1 where it does.
    """
    from stoker.replaying import tell_replay

    if not tell_replay(trace, _say):
        raise typer.Exit(FAILED)


@app.command(epilog="Example: stoker demo --seconds 40")
def demo(
    actuator: Annotated[str, typer.Option(help="How instances are run: process, docker or ansible.")] = "process",
    seconds: Annotated[float, typer.Option(min=40, max=3600, help="How long the load lasts.")] = 45,
    proxy: Annotated[str, typer.Option(help="The data plane: mitmproxy or haproxy.")] = "mitmproxy",
) -> None:
    """Watch a fleet follow a load for a minute.

    Real proxy, real store, real instances, on this machine; the load climbs and falls. Nothing is left behind.
    Exit code 1 if any request failed or the fleet did not follow.
    """
    from stoker.configured import check_proxy
    from stoker.demo.run import run_demo

    check_proxy(proxy)
    raise typer.Exit(run_demo(actuator, seconds, proxy))


def _say(line: str) -> None:
    from rich.console import Console

    Console(highlight=False, soft_wrap=True).print(line, markup=False)
