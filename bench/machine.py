"""The line that every benchmark prints: on what machine its numbers came out."""

from __future__ import annotations

import os
import platform
import statistics
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def machine() -> str:
    """Processor, cores, load average, system and Python."""
    names = [line for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines() if "model name" in line]
    model = names[0].partition(":")[2].strip() if names else platform.processor()
    return (
        f"{model}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, "
        f"{platform.system()} {platform.release()}, Python {platform.python_version()}"
    )


def spread(values: Sequence[float], unit: str) -> str:
    """Median, extremes and count of some runs."""
    return (
        f"median {statistics.median(values):.2f} {unit}, best {min(values):.2f}, worst {max(values):.2f}, "
        f"{len(values)} runs"
    )
