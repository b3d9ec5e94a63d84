"""HAProxy and its agent, as parts of `stoker up`."""

from __future__ import annotations

import asyncio
import signal
import sys
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fleet.errors import SettingsError, StoreUnavailableError
from fleet.settings import Settings
from fleet.store.opening import open_desk
from haproxy.binary import find_binary
from haproxy.errors import HaproxyError
from haproxy.hook import run_hook
from haproxy.render import places
from haproxy.running import proxy_id
from stoker.parts import LEAVE_WITHIN_S, Ending, last_words, listens, log_path, variables
from stoker.processes import Process, end, launch

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(slots=True)
class HaproxyPart:
    """HAProxy itself, with the configuration for the fleet as it is at the start."""

    settings: Settings
    name: str = "proxy"

    def start(self, noted: Callable[[Process], None]) -> Process:
        """Raises OSError, one line, where HAProxy cannot be run or refuses the configuration."""
        log, where = log_path(self.settings, self.name), places(self.settings)
        said: list[str] = []
        try:
            binary = find_binary(self.settings)
            asyncio.run(run_hook(self.settings, said.append))
        except (HaproxyError, SettingsError) as error:
            raise OSError(str(error)) from error
        argv = [binary.path, "-W", "-S", f"{where.master},mode,600", "-f", str(where.config)]
        return launch(argv, variables(self.settings), log, noted)

    def ready(self, process: Process) -> str | None:
        """Once it takes connections."""
        del process
        proxy = self.settings.proxy
        if not listens(proxy.listen_address, proxy.listen_port):
            return None
        scheme = "https" if self.settings.haproxy.certificate else "http"
        return f"haproxy listens on {scheme}://{proxy.listen_address}:{proxy.listen_port}"

    def last_words(self, process: Process) -> str:
        """The end of its log."""
        return last_words(process, log_path(self.settings, self.name))

    def end(self, process: Process, ending: Ending, pause: Callable[[float], bool]) -> bool:
        """It lets the requests in flight finish."""
        del ending
        return end(process, signal.SIGUSR1, self.settings.proxy.drain_s + 5, pause)


@dataclass(slots=True)
class AgentPart:
    """`stoker haproxy agent`; it ends after HAProxy, whose last requests it counts."""

    settings: Settings
    config: Path | None = None
    name: str = "agent"

    def start(self, noted: Callable[[Process], None]) -> Process:
        """Its settings come from the same file and environment as ours."""
        config = ("--config", str(self.config)) if self.config else ()
        argv = [sys.executable, "-P", "-m", "stoker", "haproxy", "agent", *config]
        return launch(argv, variables(self.settings), log_path(self.settings, self.name), noted)

    def ready(self, process: Process) -> str | None:
        """Once HAProxy has applied what the registry says, or there is nothing yet to apply."""
        del process
        try:
            with closing(open_desk(self.settings)) as desk:
                status = desk.status()
        except StoreUnavailableError:
            return None
        applied = {reading.id: reading.generation for reading in status.sighting.readings}.get(proxy_id(self.settings))
        if applied is None or (status.snapshot is not None and not applied):
            return None
        return "keeps HAProxy in step with the fleet"

    def last_words(self, process: Process) -> str:
        """The end of its log."""
        return last_words(process, log_path(self.settings, self.name))

    def end(self, process: Process, ending: Ending, pause: Callable[[float], bool]) -> bool:
        """At once."""
        del ending
        return end(process, signal.SIGTERM, LEAVE_WITHIN_S, pause)
