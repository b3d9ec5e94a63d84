"""HAProxy's access log: one JSON object for each request, of which the agent also reads the failures.

Only what HAProxy 2.6 has: each text passes its own JSON converter, so that no byte of a client can end a field.
"""

from __future__ import annotations

MILLISECONDS = "%[date,utime(%Y-%m-%dT%H:%M:%S)].%[date(0,ms),regsub(^..........,)]Z"
LONGEST_PATH = 2000


def access_format(*, query: bool) -> str:
    """The log-format. It is quoted for a configuration: quotes inside are escaped."""
    path = "capture.req.uri" if query else "capture.req.uri,field(1,?)"
    fields = [
        f'"time":"{MILLISECONDS}"',
        '"id":"%ID"',
        '"client":"%ci"',
        '"method":"%[capture.req.method,json(utf8s)]"',
        f'"path":"%[{path},bytes(0,{LONGEST_PATH}),json(utf8s)]"',
        '"status":%ST',
        '"server":"%s"',
        '"address":"%si:%sp"',
        '"bytes_in":%U',
        '"bytes_out":%B',
        '"held_ms":%Tw',
        '"connect_ms":%Tc',
        '"total_ms":%Ta',
        '"ended":"%tsc"',
    ]
    return "{" + ",".join(fields).replace('"', '\\"') + "}"
