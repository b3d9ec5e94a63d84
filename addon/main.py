"""The entry for `mitmdump -s addon/main.py`: builds the addons and lists them, nothing else."""

from __future__ import annotations

import sys
from pathlib import Path

# So that a plain checkout works, and never with the modules of another installation.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from addon.capture import Capture
from addon.failover import Failover
from addon.lean import Lean
from addon.lifecycle import Lifecycle
from addon.options import Configuration
from addon.router import Router
from addon.status import StatusCommand

configuration = Configuration()
capture = Capture(configuration)
addons = [
    configuration,
    Router(configuration, capture),
    Failover(configuration),
    StatusCommand(configuration),
    Lifecycle(configuration, capture),
    capture,
    Lean(),
]
