"""Crash documents: recorded ones by name, and small ones by hand."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

from flamegraph.readers.crash import read
from flamegraph.readers.detect import ReadOptions

FOLDER = Path(__file__).parent / "crashes"
RECORDED = sorted(path.name.removesuffix(".json.gz") for path in FOLDER.glob("*.json.gz"))
PUMA = "/gems/puma-6.6.0/lib/puma/server.rb"
APP = "/srv/app/cart.rb"
START = 5_000_000
MAIN, SHOW, SLEEP, FIND = range(4)
FRAMES = {
    "1": {"name": "Puma::Server#run", "file": PUMA, "line": 10},
    "2": {"name": "CartsController#show", "file": APP, "line": 3},
    "3": {"name": "Kernel#sleep", "file": "<cfunc>"},
    "4": {"name": "Cart#total", "file": APP, "line": 20},
}
BACKTRACE = [f"{APP}:31:in `price'", f"{APP}:22:in `block in total'", f"{APP}:5:in `show'", f"{PUMA}:12:in `run'"]


def recorded(name: str) -> bytes:
    """The JSON of a recorded crash."""
    return gzip.decompress((FOLDER / f"{name}.json.gz").read_bytes())


def table(*samples: tuple[int, tuple[int, ...]], **facts: object) -> dict[str, Any]:
    """What stackprof writes of samples, each with its time in microseconds from the start and the ids of its frames."""
    raw = [number for _, stack in samples for number in (len(stack), *stack, 1)]
    times = [START + time for time, _ in samples]
    return {
        "mode": "wall", "interval": 1000, "samples": len(samples), "frames": FRAMES,
        "raw": raw, "raw_sample_timestamps": times, **facts,
    }  # fmt: skip


def document(profile: object = None, lasted_us: int = 10_000, **facts: object) -> dict[str, Any]:
    """A crash of `GET /carts/7` that lasted so long; `facts` replace what stands in it."""
    return {
        "stoker_crash": 1, "id": "1f", "why": "raised", "at": 1_732_345_678.1,
        "request": {"method": "GET", "path": "/carts/7", "status": 500,
                    "started_at_us": START, "stopped_at_us": START + lasted_us},
        "exception": {"class": "KeyError", "message": "key not found: :price", "backtrace": BACKTRACE, "frames": 4},
        "profile": profile, "threads": "own", "stopped": "return", "versions": {"ruby": "3.3.8", "stackprof": "0.2.26"},
        **facts,
    }  # fmt: skip


def profile_of(value: object) -> Any:
    """The profile that the reader makes of a document."""
    return read(json.dumps(value).encode(), ReadOptions())
