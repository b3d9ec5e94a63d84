"""A play's variables as YAML that Ansible reads as they are: a text is never a template, nor a number."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence

from fleet.errors import SettingsError

EXTRA_NAME = re.compile(r"(?!stoker_|ansible_)[A-Za-z_][A-Za-z0-9_]{0,63}")

Value = str | int | float | bool | None | Sequence["Value"] | Mapping[str, "Value"]


def check_extra(variables: Mapping[str, object]) -> None:
    """Raise SettingsError, in one line, for an extra variable that is ours, Ansible's own, or not a name."""
    for name in variables:
        if not EXTRA_NAME.fullmatch(name):
            raise SettingsError(
                "actuator.extra_vars: a name must be letters, digits and _, "
                f"and begin with neither stoker_ nor ansible_, was {name!r}"
            )


def to_yaml(value: Value) -> str:
    """One line of YAML, in ASCII."""
    match value:
        case str():
            # Ansible reads !unsafe "1" as a number. Only a brace begins a template, and no number holds one.
            return f"!unsafe {_quoted(value)}" if "{" in value else _quoted(value)
        case None | bool() | int() | float():
            return json.dumps(value)
        case Mapping():
            # Without the question mark, a key must be no longer than 1,024 characters.
            return "{" + ", ".join(f"? {_quoted(key)} : {to_yaml(one)}" for key, one in value.items()) + "}"
        case _:
            return "[" + ", ".join(map(to_yaml, value)) + "]"


def _quoted(text: str) -> str:
    plain = (char if " " <= char <= "~" and char not in '"\\' else f"\\U{ord(char):08x}" for char in text)
    return f'"{"".join(plain)}"'
