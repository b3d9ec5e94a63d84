"""What 1,000 crashes in 10 s do to mitmdump: whether each is recorded, how many captured, what other requests feel.

The same load by the same clock, once with a page that crashes and once with one that is fine, alternating; the ratio
is that of the p99 of the requests beside them. Proxy on one core; app and load on the other. Where the machine has
other work to do, run it under `chrt -r 10`: else the p99 is that of the wait for a processor.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles
from time import monotonic

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import aiohttp

from bench.addon_rig import LOAD_CORE, PROXY_CORE, ROOT, machine
from fleet.embedded import EmbeddedValkey
from fleet.settings import load
from fleet.store.opening import open_crash_desk
from tests.addon.crash_app import CrashApp
from tests.addon.rig import Proxy, proxy

TOKEN = "0123456789abcdef-bench"  # noqa: S105  # of a benchmark
SETTLE_S = 20.0


@dataclass(frozen=True, slots=True)
class Felt:
    """One run: milliseconds of the requests beside, and of those that crash or could have."""

    beside_ms: list[float]
    pages_ms: list[float]

    @property
    def p99_ms(self) -> float:
        """Of the requests beside."""
        return quantiles(self.beside_ms, n=100)[98]


async def run(url: str, page: str, given: argparse.Namespace) -> Felt:
    """An open load: each request leaves at its time, whatever became of those before."""
    felt = Felt([], [])
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=64)) as session:

        async def ask(path: str, into: list[float], at_s: float) -> None:
            await asyncio.sleep(at_s - monotonic())
            async with session.get(url + path) as answer:
                await answer.read()
            into.append(1000 * (monotonic() - at_s))

        start_s = monotonic() + 0.2
        async with asyncio.TaskGroup() as group:
            for number in range(given.crashes):
                group.create_task(ask(page, felt.pages_ms, start_s + number * given.seconds / given.crashes))
            beside = int(given.beside * given.seconds)
            for number in range(beside):
                group.create_task(ask("/fine", felt.beside_ms, start_s + number / given.beside))
    return felt


def processor_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory_mb(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text("ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


async def settled(desk: object, count: int) -> tuple[int, int, int]:
    """Crashes listed, captured and given up, once nothing is open."""
    deadline_s = monotonic() + SETTLE_S
    while True:
        crashes = (await asyncio.to_thread(desk.crashes, limit=20_000)).crashes  # type: ignore[attr-defined]
        captured = sum(one.capture is not None for one in crashes)
        missed = sum(bool(one.reason) for one in crashes)
        if captured + missed >= count or monotonic() > deadline_s:
            return len(crashes), captured, missed
        await asyncio.sleep(0.2)


async def measure(running: Proxy, port: int, given: argparse.Namespace) -> None:
    settings, pid = running.fleet.settings, running.process.pid
    await running.serve(CrashApp(TOKEN, port=port))
    url = f"http://127.0.0.1:{running.port}"
    await run(url, "/fine", argparse.Namespace(crashes=200, beside=given.beside, seconds=2.0))
    before_mb = memory_mb(pid)
    desk, ratios, listed = open_crash_desk(settings), [], 0
    for number in range(1, given.rounds + 1):
        cpu_s = [processor_s(pid)]
        fine = await run(url, "/fine", given)
        cpu_s.append(processor_s(pid))
        crashing = await run(url, "/crash", given)
        cpu_s.append(processor_s(pid))
        listed, captured, missed = await settled(desk, number * given.crashes)
        ratios.append(crashing.p99_ms / fine.p99_ms)
        print(
            f"p99 of the requests beside: {fine.p99_ms:6.1f} ms with fine pages, {crashing.p99_ms:6.1f} ms with "
            f"crashing ones ({ratios[-1]:.2f}); processor {cpu_s[1] - cpu_s[0]:.1f} s, {cpu_s[2] - cpu_s[1]:.1f} s; "
            f"in all {listed} crashes listed, {captured} captured, {missed} given up; {memory_mb(pid):.0f} MB"
        )
    desk.close()
    print(f"recorded: {listed} of {given.rounds * given.crashes} crashes (must: every one)")
    print(f"p99: {median(ratios):.2f} times that of the same load without a crash (must: below 2)")
    print(f"memory: {before_mb:.0f} MB before, {memory_mb(pid):.0f} MB after (must: bounded)")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--crashes", type=int, default=1000)
    parser.add_argument("--beside", type=float, default=50.0, help="other requests a second")
    parser.add_argument("--seconds", type=float, default=10.0)
    given = parser.parse_args()
    print(machine())
    os.sched_setaffinity(0, {LOAD_CORE})
    argv = [sys.executable, "-m", "tests.addon.crash_app", TOKEN]
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as name,
        EmbeddedValkey(Path(name)) as server,
        subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE, text=True) as app,
    ):
        try:
            assert app.stdout is not None
            settings = load(None, fleet="bench", redis_url=server.url, state_dir=name, profile_token=TOKEN)
            with proxy(settings, Path(name)) as running:
                os.sched_setaffinity(running.process.pid, {PROXY_CORE})
                asyncio.run(measure(running, int(app.stdout.readline()), given))
        finally:
            app.kill()


if __name__ == "__main__":
    main()
