"""How long do `flamegraph --help` and `flamegraph fold` of one line take beyond `python -c pass`.

`python -m bench.flamegraph_startup`: whole processes, in turns; the medians of 21 runs each are compared. Byte code is
cached in a folder of its own, as an installed package has it; `--uncached` compiles in each run instead.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

RUNS = 21
MAY_S = 0.05
ROOT = Path(__file__).resolve().parents[1]


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--uncached", action="store_true")
    arguments.add_argument("--runs", type=int, default=RUNS)
    args = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        line = Path(folder) / "one.folded"
        line.write_text("main;work 1\n")
        environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
        environment |= {"PYTHONDONTWRITEBYTECODE": "1"} if args.uncached else {"PYTHONPYCACHEPREFIX": folder}
        commands = {
            "python -c pass": ["-c", "pass"],
            "flamegraph --help": ["-m", "flamegraph", "--help"],
            "flamegraph fold": ["-m", "flamegraph", "fold", str(line)],
        }
        times: dict[str, list[float]] = {name: [] for name in commands}
        for command in commands.values():
            _run(command, environment)
        for _ in range(args.runs):
            for name, command in commands.items():
                times[name].append(_run(command, environment))
    least = statistics.median(times["python -c pass"])
    for name, found in times.items():
        beyond = statistics.median(found) - least
        print(
            f"{name:<20} {statistics.median(found) * 1000:6.1f} ms, beyond {beyond * 1000:5.1f}, may {MAY_S * 1000:.0f}"
        )
    return 0


def _run(command: list[str], environment: dict[str, str]) -> float:
    begin = time.perf_counter()
    subprocess.run([sys.executable, *command], env=environment, cwd=ROOT, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - begin


if __name__ == "__main__":
    raise SystemExit(main())
