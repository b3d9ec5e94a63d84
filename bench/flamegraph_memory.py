"""How much memory does `flamegraph render` take at its peak, beside what it may take.

`python -m bench.flamegraph_memory --peer PATH`: a dump may take 30 MB and 6 times its size, folded text with repeated
stacks 30 MB and 3 times, with every stack different 1.3 times what flamegraph.pl takes.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from bench.flamegraph_inputs import MEGABYTE, different_stacks, repeated_stacks, unpacked

ROOT = Path(__file__).resolve().parents[1]


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--peer", default=os.environ.get("FLAMEGRAPH_PL", ""), help="path of flamegraph.pl")
    arguments.add_argument("--profiles", default=str(ROOT.parent / "shared" / "profiles"))
    args = arguments.parse_args()
    profiles = Path(args.profiles)
    print(f"{'input':<34} {'MB':>6} {'peak MB':>8} {'may MB':>8}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for dump in ("stackprof_wall_raw.dump", "big_cpu.dump", "big_object.dump"):
            file = unpacked(profiles, dump, folder)
            _report(dump, file, 30 * MEGABYTE + 6 * file.stat().st_size)
        file = repeated_stacks(profiles, folder)
        _report("folded, few different stacks", file, 30 * MEGABYTE + 3 * file.stat().st_size)
        if not Path(args.peer).is_file():
            print("flamegraph.pl is absent: give its path by --peer or FLAMEGRAPH_PL")
            return 1
        file = different_stacks(folder)
        _report("folded, every stack different", file, 1.3 * _peak(["perl", args.peer, str(file)]))
    return 0


def _report(name: str, file: Path, may: float) -> None:
    peak = _peak([sys.executable, "-m", "flamegraph", "render", str(file), "-o", os.devnull])
    print(f"{name:<34} {file.stat().st_size / 1e6:6.1f} {peak / 1e6:8.1f} {may / 1e6:8.1f}", flush=True)


def _peak(command: list[str]) -> int:
    """The most memory that a process held, in bytes; a fresh parent keeps the peaks of others out."""
    code = "import resource,subprocess,sys;subprocess.run(sys.argv[1:],check=True,stdout=subprocess.DEVNULL,stderr=-3)"
    code += ";print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    found = subprocess.run([sys.executable, "-c", code, *command], capture_output=True, check=True, cwd=ROOT)
    return int(found.stdout) * 1024


if __name__ == "__main__":
    raise SystemExit(main())
