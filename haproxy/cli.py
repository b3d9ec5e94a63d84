"""`stoker haproxy render | hook | agent`."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn, Optional

import typer

if TYPE_CHECKING:
    from fleet.settings import Settings

FAILED = 1
Config = Annotated[
    Optional[Path],  # noqa: UP045  # typer reads this at run time
    typer.Option("--config", "-c", help="The settings file; without it stoker.toml, where there is one."),
]
Output = Annotated[
    Optional[Path],  # noqa: UP045
    typer.Option("--output", "-o", help="Replace this file once HAProxy has accepted the new one."),
]

app = typer.Typer(
    help="HAProxy as the data plane: its configuration, its reload hook, its agent.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.command(epilog="Example: stoker haproxy render --output /etc/haproxy/haproxy.cfg")
def render(config: Config = None, output: Output = None) -> None:
    """Write haproxy.cfg for the fleet as it is now.

    From Redis, or from the last snapshot where Redis cannot be reached or is empty.
    """
    from haproxy.config_file import ConfigFile
    from haproxy.hook import render_to, rendered

    with _Failing():
        settings = _settings(config)
        text = asyncio.run(rendered(settings, _say))
        if output is None:
            sys.stdout.write(text)
        else:
            changed = render_to(settings, text, ConfigFile(output.absolute()))
            _say(f"{output}: {'replaced' if changed else 'as it should be'}")


@app.command(epilog="Example, in haproxy.service: ExecReload=/usr/local/bin/stoker haproxy hook")
def hook(
    config: Config = None,
    *,
    force: Annotated[bool, typer.Option("--force", help="Load the file even if nothing differs.")] = False,
) -> None:
    """Render, check, replace, reload, and wait until the new worker serves.

    For systemd, cron and jobs. On any failure the old file and the old worker stay, and the exit code is not 0.
    """
    from haproxy.hook import run_hook

    with _Failing():
        asyncio.run(run_hook(_settings(config), _say, force=force))


@app.command(epilog="Example: stoker haproxy agent --config /etc/stoker.toml")
def agent(config: Config = None) -> None:
    """Bring HAProxy what the registry says, and the registry what HAProxy counts.

    It scales by the Runtime API and reloads only with a reason. HAProxy goes on without it.
    """
    from fleet.log import configure
    from haproxy.running import run_agent

    with _Failing():
        settings = _settings(config)
        configure()
        run_agent(settings)


class _Failing:
    """Turns what goes wrong with HAProxy into one line and an exit code."""

    def __enter__(self) -> None:
        """Nothing to begin."""

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        from haproxy.errors import HaproxyError

        if isinstance(error, HaproxyError):
            _fail(str(error))


def _settings(config: Path | None) -> Settings:
    from fleet.settings import load

    return load(config)


def _fail(words: str) -> NoReturn:
    _say(words)
    raise SystemExit(FAILED)


def _say(line: str) -> None:
    sys.stderr.write(f"stoker haproxy: {line}\n")
