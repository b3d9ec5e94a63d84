"""Settings as the commands read them: a file, the environment, and the sample app where nothing is configured."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import get_args
from urllib.parse import urlsplit

from fleet.errors import SettingsError
from fleet.settings import DEFAULT_FILE, ProxySettings, Settings, load

PROXIES = get_args(ProxySettings.model_fields["kind"].annotation)
APP = Path(__file__).resolve().parent / "demo" / "app.py"


def configured(config: Path | None, redis: str | None = None) -> Settings:
    """What the file and the environment say. Raises SettingsError, one line a fault."""
    if redis is not None:
        _refuse_password(redis)
        os.environ["STOKER_REDIS_URL"] = redis  # so that children read the same
    return load(config)


def configured_or_sample(config: Path | None) -> Settings:
    """The same; with no file and no word about instances, the sample app as local processes.

    The sample's settings go into the environment, because the scaler's process reads them there.
    """
    settings = load(config)
    nothing = not settings.instance.image and not settings.instance.command
    if config is None and not DEFAULT_FILE.exists() and nothing:
        os.environ.update(sample_variables())
        settings = load(config)
    return settings


def sample_command() -> list[str]:
    """The sample app's command; `-I -S` because it needs the standard library alone and starts faster so."""
    return [sys.executable, "-I", "-S", str(APP), "--port", "{port}", "--name", "{name}"]


def sample_variables() -> dict[str, str]:
    """The environment that makes an unconfigured fleet run the sample app."""
    return {"STOKER_ACTUATOR__KIND": "process", "STOKER_INSTANCE__COMMAND": json.dumps(sample_command())}


def choose_proxy(kind: str) -> None:
    """Take this data plane instead of what is configured, here and in children. Raises SettingsError."""
    check_proxy(kind)
    os.environ["STOKER_PROXY__KIND"] = kind


def check_proxy(kind: str) -> None:
    """Raises SettingsError where there is no such data plane."""
    if kind not in PROXIES:
        raise SettingsError(f"--proxy: must be {' or '.join(PROXIES)}, was {kind!r}")


def _refuse_password(url: str) -> None:
    try:
        parts = urlsplit(url)
    except ValueError:
        # Without the cause, whose text may hold parts of the url.
        raise SettingsError("--redis: must be a url such as redis://host:6379/0") from None
    if "@" in parts.netloc or "password=" in parts.query:
        raise SettingsError(
            "--redis: must not hold a user or password, which everybody on this host could read; set STOKER_REDIS_URL"
        )
