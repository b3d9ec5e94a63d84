"""The Runtime API's commands as data: what is sent, and which answers mean that it was done."""

from __future__ import annotations

import re
from dataclasses import dataclass

from haproxy.model import BACKEND

# Sent first on every connection: answers then begin with the severity, `[3]: No such server.`
NUMBERED = "set severity-output number"
SEVERITY = re.compile(r"\[([0-7])\]: ?(.*)", re.DOTALL)
WORST_SEVERITY = 3
ADDRESS_DONE = re.compile(r"no need to change|changed (from|to|by)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class SetAddress:
    """Send to another place. HAProxy closes the idle connections to the former one; requests under way finish there."""

    slot: str
    address: str
    port: int

    @property
    def text(self) -> str:
        """The command."""
        return f"set server {BACKEND}/{self.slot} addr {self.address} port {self.port}"


@dataclass(frozen=True, slots=True)
class SetWeight:
    """An absolute weight: a share in percent would be of the configured one."""

    slot: str
    weight: int

    @property
    def text(self) -> str:
        """The command."""
        return f"set server {BACKEND}/{self.slot} weight {self.weight}"


@dataclass(frozen=True, slots=True)
class Enable:
    """Requests may go there."""

    slot: str

    @property
    def text(self) -> str:
        """The command."""
        return f"set server {BACKEND}/{self.slot} state ready"


@dataclass(frozen=True, slots=True)
class Disable:
    """No new requests; those under way finish. Maintenance, because a mere drain still takes a cookie's clients."""

    slot: str

    @property
    def text(self) -> str:
        """The command."""
        return f"set server {BACKEND}/{self.slot} state maint"


Command = SetAddress | SetWeight | Enable | Disable


def fault(command: Command, answer: str) -> str | None:
    """What the answer says against the command having been done; None where it was done."""
    said = answer.strip()
    found = SEVERITY.match(said)
    grave = found is not None and int(found[1]) <= WORST_SEVERITY
    text = found[2].strip() if found else said
    match command:
        case SetAddress():
            done = not grave and ADDRESS_DONE.search(text) is not None
        case SetWeight() | Enable() | Disable():
            done = not text
    return None if done else f"{command.text}: {text[:160] or 'no answer'}"
