"""How large are our drawings beside flamegraph.pl's? The same profiles, all frames that it draws, gzip -9 and plain."""

from __future__ import annotations

import argparse
import gzip
import platform
import subprocess
import sys
import tempfile
from pathlib import Path

PROFILES = Path(__file__).parents[2] / "shared/profiles/rails"
NAMES = ("stackprof_cpu_raw.dump", "stackprof_wall_raw.dump", "big_cpu.dump.gz", "big_object.dump.gz")
SCRIPTS = "rubygems-integration/*/gems/stackprof-*/vendor/FlameGraph/flamegraph.pl"


def peer() -> Path:
    found = sorted(Path("/usr/lib").glob(f"*/{SCRIPTS}"))
    if not found:
        sys.exit("flamegraph.pl is not installed; Debian's ruby-stackprof brings it, or give --flamegraph-pl")
    return found[-1]


def packed(data: bytes) -> int:
    return len(subprocess.run(["gzip", "-9", "-c"], input=data, capture_output=True, check=True).stdout)


def ours(profile: Path) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out.svg"
        subprocess.run([sys.executable, "-m", "flamegraph", "render", str(profile), "-o", str(out)], check=True)
        return out.read_bytes()


def theirs(profile: Path, script: Path) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        dump = Path(folder) / "dump"
        data = profile.read_bytes()
        dump.write_bytes(gzip.decompress(data) if profile.suffix == ".gz" else data)
        folded = subprocess.run(["stackprof", "--stackcollapse", str(dump)], capture_output=True, check=True).stdout
    return subprocess.run(["perl", str(script)], input=folded, capture_output=True, check=True).stdout


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("profiles", nargs="*", type=Path, default=[PROFILES / name for name in NAMES])
    parser.add_argument("--flamegraph-pl", type=Path, default=None)
    args = parser.parse_args()
    script = args.flamegraph_pl or peer()
    print(f"{platform.system()} {platform.machine()}, Python {platform.python_version()}, {script}")
    print(
        f"{'profile':28} {'frames':>7} {'theirs':>7}  {'ours gz':>8} {'theirs gz':>9} {'ratio':>6}  {'plain ratio':>11}"
    )
    for profile in args.profiles:
        mine, other = ours(profile), theirs(profile, script)
        small, large = packed(mine), packed(other)
        print(
            f"{profile.name:28} {mine.count(b'fg:x='):7} {other.count(b'<rect x='):7}  {small:8} {large:9} "
            f"{small / large:6.2f}  {len(mine) / len(other):11.2f}"
        )


if __name__ == "__main__":
    main()
