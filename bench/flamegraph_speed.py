"""How much faster is `flamegraph render` than `stackprof --stackcollapse` into flamegraph.pl, and than that alone.

`python -m bench.flamegraph_speed --peer PATH`: flamegraph.pl is no part of this project, so its path is given, or in
FLAMEGRAPH_PL. Both draw the same file with the same minimum width, whole processes, in turns; the medians of five
runs each are compared.
"""

from __future__ import annotations

import argparse
import datetime as dt
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from bench.flamegraph_inputs import different_stacks, repeated_stacks, unpacked

RUNS = 5
ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table: what is drawn, and how many times faster it must be and should be."""

    name: str
    file: Path
    must: float
    aim: float
    dump: bool


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--peer", default=os.environ.get("FLAMEGRAPH_PL", ""), help="path of flamegraph.pl")
    arguments.add_argument("--profiles", default=str(ROOT.parent / "shared" / "profiles"))
    arguments.add_argument("--runs", type=int, default=RUNS)
    arguments.add_argument("--only", default="", help="rows whose name holds this")
    args = arguments.parse_args()
    if not Path(args.peer).is_file():
        print("flamegraph.pl is absent: give its path by --peer or FLAMEGRAPH_PL")
        return 1
    if shutil.which("stackprof") is None:
        print("stackprof is absent: the rows of dumps need it (Debian: ruby-stackprof)")
        return 1
    print(f"{dt.datetime.now(tz=dt.UTC):%Y-%m-%d}, Python {platform.python_version()}, {_cpu()}")
    print(f"{'input':<34} {'MB':>6} {'peer s':>8} {'ours s':>8} {'ratio':>7} {'must':>6} {'aim':>5}")
    with tempfile.TemporaryDirectory() as folder:
        for row in _rows(Path(args.profiles), Path(folder)):
            if args.only in row.name:
                _measure(row, args.peer, args.runs, Path(folder))
    return 0


def _rows(profiles: Path, folder: Path) -> list[Row]:
    return [
        Row("stackprof_wall_raw.dump", unpacked(profiles, "stackprof_wall_raw.dump", folder), 8, 12, dump=True),
        Row("big_cpu.dump", unpacked(profiles, "big_cpu.dump", folder), 15, 25, dump=True),
        Row("big_object.dump", unpacked(profiles, "big_object.dump", folder), 30, 60, dump=True),
        Row("folded, few different stacks", repeated_stacks(profiles, folder), 8, 15, dump=False),
        Row("folded, every stack different", different_stacks(folder), 2.5, 5, dump=False),
    ]


def _measure(row: Row, peer: str, runs: int, folder: Path) -> None:
    theirs, ours = [], []
    _our_time(row, folder / "ours.svg")
    for _ in range(runs):
        theirs.append(_peer_time(row, peer, folder / "peer.svg"))
        ours.append(_our_time(row, folder / "ours.svg"))
    slow, fast = statistics.median(theirs), statistics.median(ours)
    size = row.file.stat().st_size / 1e6
    print(f"{row.name:<34} {size:6.1f} {slow:8.3f} {fast:8.3f} {slow / fast:7.1f} {row.must:6} {row.aim:5}", flush=True)


def _peer_time(row: Row, peer: str, out: Path) -> float:
    with out.open("wb") as target:
        begin = time.perf_counter()
        if row.dump:
            with subprocess.Popen(["stackprof", "--stackcollapse", str(row.file)], stdout=subprocess.PIPE) as folded:
                subprocess.run(
                    ["perl", peer], stdin=folded.stdout, stdout=target, stderr=subprocess.DEVNULL, check=True
                )
        else:
            subprocess.run(["perl", peer, str(row.file)], stdout=target, stderr=subprocess.DEVNULL, check=True)
        return time.perf_counter() - begin


def _our_time(row: Row, out: Path) -> float:
    begin = time.perf_counter()
    # Byte code is cached beside the output, as an installed package has it.
    cached = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    cached["PYTHONPYCACHEPREFIX"] = str(out.parent)
    command = [sys.executable, "-m", "flamegraph", "render", str(row.file), "-o", str(out)]
    subprocess.run(command, check=True, cwd=ROOT, env=cached)
    return time.perf_counter() - begin


def _cpu() -> str:
    models = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if "model name" in line
    ]
    return f"{models[0] if models else platform.machine()}, {os.cpu_count()} cores"


if __name__ == "__main__":
    raise SystemExit(main())
