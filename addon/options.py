"""What the user gives, through mitmproxy's own options, over the environment and stoker.toml."""

from __future__ import annotations

import logging
import re
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Optional
from urllib.parse import urlsplit

from mitmproxy import ctx, exceptions, optmanager
from mitmproxy.proxy import mode_specs

from addon.plane import Plane
from fleet.errors import SettingsError
from fleet.settings import Settings, load

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mitmproxy.addonmanager import Loader

log = logging.getLogger(__name__)

# Each option, the setting over which it stands, and its sentence.
OPTIONS = (
    ("stoker_config", "", "The path of stoker.toml; default: stoker.toml in the current folder, where there is one."),
    ("stoker_redis", "redis_url", "The url of the Redis. One with a password belongs into STOKER_REDIS_URL."),
    ("stoker_fleet", "fleet", "One installation of Stoker."),
    ("stoker_app", "app", "The app to whose backends requests go."),
    ("stoker_id", "proxy.id", "This proxy's id; default: mitmproxy-host-port."),
    ("stoker_balance", "proxy.balance", "Who gets the next request: round_robin or least_in_flight."),
    ("stoker_hold", "proxy.hold_s", "Seconds that a request waits for a backend."),
    ("stoker_hold_max", "proxy.hold_max", "So many requests wait at once."),
    ("stoker_profile_share", "crashes.profile_share", "The app is asked to profile this share of requests."),
    ("stoker_replay", "crashes.replay", "true: send a failed GET or HEAD once more, for rack-mini-profiler's graph."),
    ("stoker_drain", "proxy.drain_s", "Seconds that requests in flight may take at the end."),
)
# What a reverse proxy needs. A value that the user set stays.
NEEDED: dict[str, Any] = {
    "keep_host_header": True,
    "connection_strategy": "lazy",
    "block_global": False,
    "onboarding": False,
    "flow_detail": 0,
}


class Configuration:
    """Reads the options once, at the start; the other addons find the plane here."""

    def __init__(self) -> None:
        self.settings = Settings.model_construct()
        self.plane = Plane(self.settings, "not-configured")
        self.plane.hold.close()
        self.ready = False

    def load(self, loader: Loader) -> None:
        """Tell mitmproxy of the options."""
        for name, _, sentence in OPTIONS:
            loader.add_option(name, Optional[str], None, sentence)  # type: ignore[arg-type]  # noqa: UP045

    def configure(self, updated: Iterable[str]) -> None:
        """Take the options over, or log in one line what is wrong, which ends mitmdump with exit code 1."""
        if self.ready:
            changed = sorted(set(updated) & ({name for name, *_ in OPTIONS} | {"mode"}))
            if changed:
                raise exceptions.OptionsError(f"stoker: {changed[0]} cannot be changed while the proxy runs")
            return
        if "mode" not in updated:
            return
        try:
            self.plane = self._begin()
        except (SettingsError, ValueError) as error:
            log.error("stoker: %s", "; ".join(str(error).splitlines()))  # noqa: TRY400  # one line is wanted
            # Nothing listens in the moment before mitmdump has noticed.
            ctx.options.update(server=False)
        else:
            self.ready = True
            _complete_options()

    def _begin(self) -> Plane:
        port = _listen_port()
        given = {setting: getattr(ctx.options, name) for name, setting, _ in OPTIONS}
        path = given.pop("")
        _refuse_password_in_arguments(given["redis_url"])
        overrides = {setting: value for setting, value in given.items() if value is not None}
        self.settings = load(Path(path) if path else None, **overrides)
        host = re.sub(r"[^A-Za-z0-9._-]", "-", socket.gethostname())[:100]
        return Plane(self.settings, self.settings.proxy.id or f"mitmproxy-{host}-{port}")


def _listen_port() -> int:
    """The port of the reverse proxy; raises ValueError in any mode that would be an open proxy."""
    for text in ctx.options.mode:
        mode = mode_specs.ProxyMode.parse(text)
        if not isinstance(mode, mode_specs.ReverseMode) or mode.scheme != "http":
            raise ValueError(
                f"mode must be reverse:http://stoker, was {text!r}; Stoker is a reverse proxy and never an open one"
            )
        port = mode.listen_port(ctx.options.listen_port)
        if port is not None:
            return port
    raise ValueError("mode must be reverse:http://stoker, was empty")


def _refuse_password_in_arguments(url: str | None) -> None:
    if url is None or not any("stoker_redis" in argument for argument in sys.argv):
        return
    parts = urlsplit(url)
    if "@" in parts.netloc or "password=" in parts.query:
        raise ValueError("stoker_redis must not hold a password on the command line; set STOKER_REDIS_URL instead")


def _complete_options() -> None:
    options = dict(ctx.options.items())
    unset = {name: value for name, value in NEEDED.items() if options[name].value is optmanager.unset}
    ctx.options.update(**unset)
