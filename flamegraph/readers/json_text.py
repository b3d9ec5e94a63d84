"""Read JSON strictly: no NaN, no nesting that Python cannot follow, and errors that fit on a line."""

from __future__ import annotations

import json
from typing import Never

from flamegraph.profile import ProfileError


def _refuse(constant: str) -> Never:
    raise ProfileError(f"{constant} in JSON, where only numbers may stand")


# Integers of thousands of digits, which Python refuses to convert, are no counts.
DECODER = json.JSONDecoder(parse_constant=_refuse)


def loads(data: bytes) -> object:
    """Read one value that fills the whole input."""
    text = data.decode("utf-8", "backslashreplace")
    value, end = value_at(text, len(text) - len(text.lstrip()))
    rest = text[end : end + 100].strip()
    if rest:
        raise ProfileError(f"character {end}: more text after the end of the JSON: {rest[:20]!r}")
    return value


def value_at(text: str, at: int) -> tuple[object, int]:
    """Read the value that begins at a place in a text; also gives the place after it."""
    try:
        value, end = DECODER.raw_decode(text, at)
    except json.JSONDecodeError as error:
        raise ProfileError(f"character {error.pos}: not sound JSON, or cut off: {error.msg}") from None
    except RecursionError:
        raise ProfileError(f"character {at}: JSON that is nested too deep") from None
    except ValueError as error:
        if isinstance(error, ProfileError):
            raise
        raise ProfileError(f"character {at}: a number of too many digits in JSON") from None
    return value, end
