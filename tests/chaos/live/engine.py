"""A container engine that does not answer, and one that is killed and comes back without its containers.

python -m tests.chaos.live.engine
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from stoker.demo.client import Kind
from tests.chaos.live.directed import Found, alone, loaded, order
from tests.chaos.live.part import Part, until
from tests.chaos.live.stage import stage
from tests.engine import Engine, _answers, _built, _static_busybox

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

import docker

PATH = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
DOCKERD = shutil.which("dockerd", path=PATH)
HUNG_S = 20.0
WHOLE_S = 40.0
KINDS = (Kind.NEW, Kind.KEPT)


@asynccontextmanager
async def engine() -> AsyncIterator[tuple[Part, Engine]]:
    """A dockerd of this run's own, because it is stopped and killed."""
    folder = Path(tempfile.mkdtemp(prefix="stoker-engine-"))
    address = f"unix://{folder / 'docker.sock'}"
    words = ["dockerd", "--host", address, "--pidfile", str(folder / "pid"), "--iptables=false", "--ip6tables=false"]
    words += ["--data-root", str(folder / "data"), "--exec-root", str(folder / "exec")]
    part = Part("dockerd", words, {"PATH": PATH, "HOME": str(folder)}, folder / "log")
    part.start()
    try:
        await until(lambda: _answers(address), "the engine answers")
        client = docker.DockerClient(base_url=address, version="auto")
        image = await asyncio.to_thread(_built, client, _static_busybox())
        yield part, Engine(address, image, client)
        await until(lambda: _answers(address), "the engine answers")
        for container in client.containers.list(all=True):
            container.remove(force=True)
        client.close()
    finally:
        part.resume()
        await part.end(signal.SIGTERM)
        # A dockerd that was killed leaves its data mounted on themselves, and the next one lets them be.
        await asyncio.to_thread(subprocess.run, ["umount", "--lazy", str(folder / "data")], capture_output=True)
        shutil.rmtree(folder, ignore_errors=True)


async def hung(seconds: float = HUNG_S, rps: float = 20.0) -> Found:
    """The engine is stopped while the fleet should grow, then killed: what serves goes on, then it is whole again."""
    found = Found()
    async with engine() as (dockerd, one):
        tables: dict[str, dict[str, object]] = {
            "actuator": {"kind": "docker", "docker_host": one.address, "call_timeout_s": 4.0},
            "instance": {"command": [], "image": one.image, "pull": "never"},
        }
        async with stage(tables=tables) as made:
            async with loaded(made, rps, KINDS) as loads:
                await order(made, 2)
                await until(lambda: made.watch.settled(2, 2), "2 serve")
                os.kill(dockerd.pid, signal.SIGSTOP)  # alone: those who carry the containers' connections go on
                await order(made, 3)
                await asyncio.sleep(seconds)
                dead = [part.name for part in made.parts if not part.alive]
                found.must(not dead, f"{dead} ended while the engine hung")
                found.must(made.watch.acting, "nobody acts while the engine hangs")
                serving = made.watch.last.serving
                found.must(serving == 2, f"2 served, {serving} do while the engine hangs")
                os.kill(dockerd.pid, signal.SIGCONT)
                found.within("3 serve, once it answers", await until(lambda: made.watch.settled(3, 2), "3"), WHOLE_S)
            found.lossless(loads)
            told = {f"{each.kind} {each.subject} {each.after}: {each.reasons}" for _, each in made.watch.history}
            found.facts += sorted(line for line in told if "host" in line or "fault" in line)
            old = set(made.watch.last.backends or ())
            dockerd.kill()
            await asyncio.sleep(2.0)
            dockerd.start()

            def renewed() -> bool:
                return made.watch.settled(3, 2) and not old & set(made.watch.last.backends or ())

            found.within("3 others serve, after it was killed", await until(renewed, "3 others", 60.0), WHOLE_S)
            names = sorted(container.name or "" for container in one.client.containers.list(all=True))
            found.must(names == sorted(made.watch.last.backends or ()), f"containers {names}")
    return found


if __name__ == "__main__":
    sys.exit(alone(hung()))
