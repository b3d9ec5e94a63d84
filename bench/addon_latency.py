"""Latency of one request at a time through the addon, beside bare mitmdump: ratio of medians, alternating."""

from __future__ import annotations

import argparse
import os
import socket
import sys
from pathlib import Path
from statistics import median
from time import perf_counter
from urllib.parse import urlsplit

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.addon_rig import LOAD_CORE, Proxy, machine, proxies

REQUEST = b"GET / HTTP/1.1\r\nHost: app.example\r\n\r\n"
BODY = b"Hello, world\n"


def ask(connection: socket.socket) -> float:
    began_s = perf_counter()
    connection.sendall(REQUEST)
    received = b""
    while not received.endswith(BODY):
        data = connection.recv(65_536)
        assert data, "the proxy closed the connection"
        received += data
    return 1e6 * (perf_counter() - began_s)


def connect(proxy: Proxy) -> socket.socket:
    target = urlsplit(proxy.url)
    connection = socket.create_connection((target.hostname or "", target.port or 0))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--requests", type=int, default=100)
    given = parser.parse_args()
    print(machine())
    os.sched_setaffinity(0, {LOAD_CORE})
    times: dict[str, list[float]] = {"bare": [], "addon": []}
    with proxies(*times) as running:
        connections = {proxy.name: connect(proxy) for proxy in running}
        for connection in connections.values():
            for _ in range(500):
                ask(connection)
        for _ in range(given.rounds):
            for name, connection in connections.items():
                times[name] += [ask(connection) for _ in range(given.requests)]
    for name, taken in times.items():
        print(f"{name:6} median {median(taken):6.0f} us, p99 {sorted(taken)[int(0.99 * len(taken))]:6.0f} us")
    print(f"addon / bare: {median(times['addon']) / median(times['bare']):.2f} of the latency (must: 0.95 or less)")


if __name__ == "__main__":
    main()
