"""HAProxy's tables, read with suspicion: counters, the state of the servers, who a worker is."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from haproxy.errors import HaproxyError
from haproxy.model import BACKEND, FRONTEND, SLOT_NAME, Slot

if TYPE_CHECKING:
    from collections.abc import Mapping

# Any of these bits of srv_admin_state takes a server out: forced or inherited maintenance or drain, no address. The bit
# 0x04 only says that it was disabled in the file, and stays when it is made ready.
OUT = 0x01 | 0x02 | 0x08 | 0x10 | 0x20
RESPONSES = ("hrsp_1xx", "hrsp_2xx", "hrsp_3xx", "hrsp_4xx", "hrsp_5xx", "hrsp_other")
IDLENESS = ("scur", "qcur", "used_conn_cur", "idle_conn_cur", "safe_conn_cur")
STAT_FRONTEND, STAT_BACKEND, STAT_SERVERS = (
    f"show stat {FRONTEND} 1 -1",
    f"show stat {BACKEND} 2 -1",
    f"show stat {BACKEND} 4 -1",
)
STATE = f"show servers state {BACKEND}"
INFO, HELD, LOOKS = "show info", "get var proc.stoker_held", "get var proc.stoker_looks"
NUMBER = re.compile(r"proc\.\w+: type=sint value=<(\d+)>")


@dataclass(frozen=True, slots=True)
class Totals:
    """A worker's counters since it began. Arrivals count as their heads come in, completions at the end."""

    arrivals: int = 0
    completions: int = 0
    errors_4xx: int = 0
    errors_5xx: int = 0


@dataclass(frozen=True, slots=True)
class ServerCounters:
    """One slot's counters since its worker began. `failures` are connections that could not be opened."""

    arrivals: int = 0
    errors: int = 0
    failures: int = 0
    in_flight: int = 0
    total_ms: int = 0
    idle: bool = True


@dataclass(frozen=True, slots=True)
class Front:
    """The frontend and the backend as a whole. `active` is how many servers can be chosen."""

    totals: Totals
    connections: int
    stopped: bool
    in_flight: int
    failures: int
    active: int


@dataclass(frozen=True, slots=True)
class Info:
    """Who a worker is."""

    pid: int
    description: str
    stopping: bool


def read_front(frontend: str, backend: str) -> Front:
    """Raises HaproxyError where the answers are not the two rows that were asked for."""
    front, back = _only_row(frontend, FRONTEND), _only_row(backend, BACKEND)
    return Front(
        totals=Totals(
            _number(front, "req_tot"),
            sum(_number(front, name) for name in RESPONSES),
            _number(front, "hrsp_4xx"),
            _number(front, "hrsp_5xx"),
        ),
        connections=_number(front, "scur"),
        stopped=front.get("status") == "STOP",
        in_flight=_number(back, "scur"),
        failures=_number(back, "econ") + _number(back, "wretr") + _number(back, "wredis"),
        active=_number(back, "act"),
    )


def read_servers(text: str) -> dict[str, ServerCounters]:
    """The counters by slot; slots that never had a request are left out. Raises HaproxyError."""
    header, rows = _table(text)
    at = {name: place for place, name in enumerate(header)}
    try:
        name, sent = at["svname"], at["stot"]
        errors, failures = [at["hrsp_5xx"], at["eresp"]], [at["econ"], at["wretr"], at["wredis"]]
        busy, flight, total = [at[one] for one in IDLENESS], [at["scur"], at["qcur"]], at["ttime"]
        last = 1 + max(sent, total, *errors, *failures, *busy, *flight)
        found = {}
        for row in rows:
            cells = row.split(",", last)
            if cells[sent] != "0" or cells[failures[0]] not in ("0", ""):
                found[cells[name]] = ServerCounters(
                    arrivals=int(cells[sent]),
                    errors=sum(int(cells[one] or 0) for one in errors),
                    failures=sum(int(cells[one] or 0) for one in failures),
                    in_flight=sum(int(cells[one] or 0) for one in flight),
                    total_ms=int(cells[total] or 0),
                    idle=not any(cells[one] not in ("0", "") for one in busy),
                )
    except (KeyError, IndexError, ValueError) as error:
        raise HaproxyError(f"show stat: not as HAProxy writes it: {error}") from error
    return found


def read_slots(text: str, holders: Mapping[str, str], idle: Mapping[str, bool]) -> tuple[Slot, ...]:
    """The slots as they are. `holders` says who was put on each, `idle` what is known of those out of service.

    Raises HaproxyError where the table is another than expected.
    """
    lines = text.strip("\n").splitlines()
    if len(lines) < 2 or not lines[1].startswith("# be_id"):
        raise HaproxyError(f"{STATE}: not as HAProxy writes it: {text[:80]!r}")
    at = {name: place for place, name in enumerate(lines[1][2:].split())}
    try:
        columns = [at[one] for one in ("srv_name", "srv_addr", "srv_port", "srv_uweight", "srv_admin_state")]
        slots = []
        for line in lines[2:]:
            cells = line.split()
            name, address, port, weight, state = (cells[place] for place in columns)
            if SLOT_NAME.fullmatch(name):
                enabled = not int(state) & OUT
                slots.append(
                    Slot(name, address, int(port), int(weight), enabled, holders.get(name), idle.get(name, not enabled))
                )
    except (KeyError, IndexError, ValueError) as error:
        raise HaproxyError(f"{STATE}: not as HAProxy writes it: {error}") from error
    return tuple(sorted(slots, key=lambda slot: int(slot.name[1:])))


def read_info(text: str) -> Info:
    """Raises HaproxyError where it is not HAProxy that answers."""
    fields = dict(line.split(": ", 1) for line in text.splitlines() if ": " in line)
    try:
        return Info(int(fields["Pid"]), fields.get("description", "").strip(), fields.get("Stopping", "0") != "0")
    except (KeyError, ValueError) as error:
        raise HaproxyError(f"{INFO}: not as HAProxy writes it: {text[:80]!r}") from error


def read_variable(text: str) -> int:
    """The number that our own Lua counts with. Raises HaproxyError where it is not there."""
    found = NUMBER.search(text)
    if found is None:
        raise HaproxyError(f"get var: what runs was not rendered by Stoker, it said {text.strip()[:80]!r}")
    return int(found[1])


def _table(text: str) -> tuple[list[str], list[str]]:
    lines = text.strip("\n").splitlines()
    if not lines or not lines[0].startswith("# pxname,"):
        raise HaproxyError(f"show stat: not as HAProxy writes it: {text.strip()[:80]!r}")
    return lines[0][2:].rstrip(",").split(","), lines[1:]


def _only_row(text: str, proxy: str) -> dict[str, str]:
    header, rows = _table(text)
    if len(rows) != 1:
        raise HaproxyError(f"show stat: no {proxy} in what runs; it was not rendered by Stoker")
    return dict(zip(header, rows[0].split(","), strict=False))


def _number(row: Mapping[str, str], name: str) -> int:
    # A column that is missing is no zero; one that is empty does not apply to this row.
    value = row.get(name, "none")
    try:
        return int(value or 0)
    except ValueError as error:
        raise HaproxyError(f"show stat: {name} must be a number, was {value[:40]!r}") from error
