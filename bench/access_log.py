"""What the access log costs a request of the mitmproxy plane: its observer, in the process and thread of the proxy.

    python -m bench.access_log [--requests 20000]

The writer's thread runs and writes meanwhile; the time is that of the proxy's thread alone.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from mitmproxy.test import tflow

from addon.access import Witness, line
from addon.access_file import AccessFile
from addon.counter import Token, Upstream
from bench.machine import machine

LIMIT_US = 30.0


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--requests", type=int, default=20_000)
    count = parser.parse_args().requests
    print(machine())
    flow = tflow.tflow(resp=True)
    flow.request.data.headers["X-Stoker-Request"] = "c47f5b2df13d48c6bb34bcf8bf7c4e0e"
    upstream = Upstream("production1", "http://127.0.0.1:3000", ("127.0.0.1", 3000))
    with tempfile.TemporaryDirectory() as folder:
        file = AccessFile(str(Path(folder) / "access.log"), line, print, rotate_size=100_000_000, keep=1)
        witness = Witness(file, query=False)
        file.start()
        thread = 0.0
        for number in range(count):
            token = Token("client", time.monotonic())
            token.upstream, token.flow = upstream, flow
            began = time.thread_time()
            witness.ended(token, 200)
            thread += time.thread_time() - began
            if number % 100 == 99:
                time.sleep(0.01)  # noqa: TID251  # requests do not come without a pause
        file.close(30.0)
        written = len((Path(folder) / "access.log").read_text().splitlines())
    print(
        f"the hook: {1e6 * thread / count:.1f} us a request, at most {LIMIT_US:g}; {written} of {count} lines written"
    )


if __name__ == "__main__":
    main()
