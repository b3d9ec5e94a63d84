"""A plan as text and back, in the way of tests/scenarios: script lines, a rule, and what comes out.

seed 17 | scalers 2 | hosts 1 | boot 3.0 | answer 0.1 | slow 0.002 | image good
proxies mitmproxy haproxy
set min 0                        any setting of [policy] or [life]
rps 30.0 until 120.0             the traffic; the last part sets the end
at 300.5 pause scaler1 for 12.0 (publish)
"""

from __future__ import annotations

import re
from typing import Any

from fleet.settings import PolicySettings
from tests.chaos.simulated.plan import KINDS, Fault, Plan

RULE = "----"
NUMBERS = {
    "seed": ("seed", int),
    "scalers": ("scalers", int),
    "hosts": ("hosts", int),
    "boot": ("boot_s", float),
    "answer": ("answer_s", float),
    "slow": ("slow_share", float),
    "image": ("image", str),
}
FAULT = re.compile(r"at (\S+) ([a-z-]+)(?: (\w+))?(?: for (\S+))?(?: \((\S+)\))?")
LOAD = re.compile(r"rps (\S+) until (\S+)")
SET = re.compile(r"set (\w+) (\S+)")


def to_text(plan: Plan) -> str:
    """The script lines of a plan."""
    told = {word: getattr(plan, name) for word, (name, _) in NUMBERS.items()}
    lines = [f"{word} {value}" for word, value in told.items() if value != ""]
    lines.append(f"proxies {' '.join(plan.proxies)}")
    lines += [f"set {name} {value}" for name, value in {**plan.sizes, **plan.life}.items()]
    lines += [f"rps {rate} until {until}" for rate, until in plan.load]
    return "\n".join([*lines, *map(_fault, plan.faults)])


def _fault(fault: Fault) -> str:
    target = f" {fault.target}" if fault.target else ""
    lasts = f" for {fault.lasts_s}" if fault.lasts_s else ""
    how = f" ({fault.how})" if fault.how else ""
    return f"at {fault.at} {fault.kind}{target}{lasts}{how}"


def from_text(text: str) -> Plan:
    """The plan of a scenario. Raises ValueError for a line that is not understood."""
    values: dict[str, Any] = {"sizes": {}, "life": {}, "load": (), "faults": ()}
    for line in text.partition(f"\n{RULE}\n")[0].splitlines():
        words = " ".join(line.partition("#")[0].split())
        if words:
            _read(values, words)
    return Plan(**values)


def _read(values: dict[str, Any], line: str) -> None:
    word, _, rest = line.partition(" ")
    if word in NUMBERS:
        name, kind = NUMBERS[word]
        values[name] = kind(rest)
    elif word == "proxies":
        values["proxies"] = tuple(rest.split())
    elif match := SET.fullmatch(line):
        table = "sizes" if match[1] in PolicySettings.model_fields else "life"
        values[table][match[1]] = match[2]
    elif match := LOAD.fullmatch(line):
        values["load"] += ((float(match[1]), float(match[2])),)
    elif (match := FAULT.fullmatch(line)) and match[2] in KINDS:
        fault = Fault(float(match[1]), match[2], match[3] or "", float(match[4] or 0), match[5] or "")
        values["faults"] += (fault,)
    else:
        raise ValueError(f"not a line of a scenario: {line!r}")
