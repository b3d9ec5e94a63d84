"""How long a crash takes to be seen: from the client's 500 to `stoker crashes` naming it, and to the SVG of it.

Usage, with `stoker up` running before the example app: python -m bench.crash_latency [--url http://127.0.0.1:8080/deep]
The commands are started as a person would; their own processor time is printed beside, since it is most of it.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

STOKER = (sys.executable, "-m", "stoker", "crashes")
PATIENCE_S = 10.0


def main() -> None:
    """Crash it again and again; print the medians and the worst."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", default="http://127.0.0.1:8080/deep")
    parser.add_argument("--rounds", type=int, default=10)
    wanted = parser.parse_args()
    listed, drawn, cpu = [], [], []
    for _ in range(wanted.rounds):
        known = _ids()
        crashed_s = _crash(wanted.url)
        before = _children_cpu_s()
        crash_id = _first_new(known)
        listed.append(time.monotonic() - crashed_s)
        _draw(crash_id)
        drawn.append(time.monotonic() - crashed_s)
        cpu.append(_children_cpu_s() - before)
    print(f"load average {os.getloadavg()[0]:.1f}, {wanted.rounds} crashes")
    print(_row("listed, after the answer", listed))
    print(_row("drawn, listing included", drawn))
    print(_row("processor time of the commands", cpu))


def _row(what: str, seconds: list[float]) -> str:
    return f"{what:32} median {statistics.median(seconds):.2f} s, worst {max(seconds):.2f} s"


def _crash(url: str) -> float:
    try:
        urllib.request.urlopen(url, timeout=PATIENCE_S).close()  # noqa: S310  # the url of whoever runs it
    except urllib.error.HTTPError as error:
        error.close()
        return time.monotonic()
    raise SystemExit(f"--url: must be a page that fails, {url} did not")


def _ids() -> set[str]:
    out = subprocess.run([*STOKER, "--json"], check=True, capture_output=True, text=True).stdout
    return {one["id"] for one in map(json.loads, out.splitlines()) if one["profile"] != "waiting"}


def _first_new(known: set[str]) -> str:
    give_up_s = time.monotonic() + PATIENCE_S
    while time.monotonic() < give_up_s:
        new = _ids() - known
        if new:
            return new.pop()
    raise SystemExit(f"no new crash was listed within {PATIENCE_S:g} s")


def _draw(crash_id: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "crash.svg"
        command = [*STOKER, "show", crash_id, "-o", str(path)]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(done.stderr.strip())
        if not path.read_text(encoding="utf-8").startswith("<"):
            raise SystemExit(f"{crash_id}: what was drawn is no SVG")


def _children_cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
