"""The values inside Redis' keys: written as text, and read with suspicion."""

from __future__ import annotations

import json
import math
import re
from functools import cache
from typing import TYPE_CHECKING

from pydantic import TypeAdapter, ValidationError

from fleet.registry import CanaryStanding, Happening, Order, OrderKind, Summary
from fleet.release import IMAGE_REFERENCE, MAX_SHARE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# A double, Lua's only number, holds whole numbers below this exactly. The other limits are those of common.lua.
LIMIT = 10**15
STORED_LIMIT = 2 * 10**14
SERIAL_LIMIT = 10**12
STREAM_ID = re.compile(r"([0-9]{1,20})-([0-9]{1,20})")
# Above the largest `max` that the settings take.
COUNT_LIMIT = 10_001

LONGEST_REASON = 300
EVENTS_KEPT = 10_000
EVENT_FIELDS = ("at", "kind", "subject", "before", "after", "reasons")


def text(value: object) -> str:
    """A reply as text; bytes that are no UTF-8 are shown as such and match no name."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else "" if value is None else str(value)


def number(value: object, limit: int = LIMIT) -> int | None:
    """A whole number from 0 to below the limit, or None for anything else."""
    if isinstance(value, bytes) and value.isdigit() and len(value) <= len(str(LIMIT)):
        read = int(value)
        return read if read < limit else None
    return None


def finite(value: object) -> float | None:
    """A number that is neither NaN nor infinite nor below 0, or None."""
    try:
        read = float(text(value))
    except ValueError:
        return None
    return read if math.isfinite(read) and read >= 0 else None


def _texts(value: object) -> tuple[str, ...]:
    try:
        read = json.loads(text(value) or "[]")
    except (ValueError, RecursionError):
        return (text(value)[:200],)
    return tuple(str(item) for item in read) if isinstance(read, list) else (str(read)[:200],)


def flat(pairs: Mapping[str, object]) -> list[str]:
    """Names and values by turns, as commands take them; what is None is left out."""
    return [str(part) for name, value in pairs.items() if value is not None for part in (name, value)]


def summary_fields(summary: Summary, scaler: str) -> list[str]:
    """Field and value by turns; what is None is left out."""
    return flat(
        {
            "scaler": scaler,
            "state": summary.state,
            "desired": summary.desired,
            "rps": summary.rps,
            "in_flight": summary.in_flight,
            "held": summary.held,
            "reasons": json.dumps(summary.reasons),
            "paused": int(summary.paused),
            "manual": summary.manual,
            "last_order": summary.last_order,
            "canary": standing_text(summary.canary),
            "minimum": summary.minimum,
            "schedule": summary.schedule or None,
        }
    )


def read_summary(fields: Mapping[bytes, bytes]) -> Summary | None:
    """What the fields say; a field that says nothing sensible counts as absent. None where there is no field."""
    if not fields:
        return None
    return Summary(
        state=text(fields.get(b"state"))[:40],
        desired=number(fields.get(b"desired"), COUNT_LIMIT) or 0,
        rps=finite(fields.get(b"rps")),
        in_flight=number(fields.get(b"in_flight")),
        held=number(fields.get(b"held")),
        reasons=_texts(fields.get(b"reasons")),
        paused=fields.get(b"paused") == b"1",
        manual=number(fields.get(b"manual"), COUNT_LIMIT),
        last_order=stream_id(fields.get(b"last_order")),
        canary=read_standing(fields.get(b"canary")),
        minimum=number(fields.get(b"minimum"), COUNT_LIMIT),
        schedule=text(fields.get(b"schedule"))[:200],
    )


@cache
def _standing() -> TypeAdapter[CanaryStanding]:
    return TypeAdapter(CanaryStanding)


def standing_text(standing: CanaryStanding | None) -> str | None:
    """A canary's standing as it is stored."""
    return None if standing is None else _standing().dump_json(standing).decode()


def read_standing(value: object) -> CanaryStanding | None:
    """What is stored of it; None where that says nothing sensible."""
    if not isinstance(value, bytes):
        return None
    try:
        return _standing().validate_json(value)
    except ValidationError:
        return None


def stream_id(value: object) -> str:
    """A stream entry's id, two whole numbers of 64 bits, or "" where the value is none."""
    found = STREAM_ID.fullmatch(text(value))
    return found[0] if found and all(int(part) < 2**64 for part in found.groups()) else ""


def to_milliseconds(time: tuple[int, int]) -> int:
    """A server's TIME in whole milliseconds, as the ids of its streams begin."""
    seconds, micros = time
    return seconds * 1000 + micros // 1000


def happening_fields(happenings: Sequence[Happening]) -> list[str]:
    """Every happening's fields and values, one after the other; each has `2 * len(EVENT_FIELDS)` of them."""
    flat: list[str] = []
    for one in happenings:
        values = (repr(one.at), one.kind, one.subject, one.before, one.after, json.dumps(one.reasons))
        flat += [part for pair in zip(EVENT_FIELDS, values, strict=True) for part in pair]
    return flat


def read_happening(entry_id: bytes, fields: Mapping[bytes, bytes]) -> Happening:
    """What a history entry says; without a usable time of its own, the time in its id."""
    at = finite(fields.get(b"at"))
    return Happening(
        at=at if at is not None else int(entry_id.partition(b"-")[0]) / 1000,
        kind=text(fields.get(b"kind")),
        subject=text(fields.get(b"subject")),
        before=text(fields.get(b"before")),
        after=text(fields.get(b"after")),
        reasons=_texts(fields.get(b"reasons")),
    )


def order_fields(order: Order) -> list[str]:
    """Field and value by turns."""
    return flat(
        {
            "kind": order.kind,
            "count": order.count,
            "proxy": order.proxy or None,
            "image": order.image or None,
            "share": order.share,
            "sticky": int(order.sticky) or None,
            "reason": order.reason or None,
        }
    )


def read_order(entry_id: bytes, fields: Mapping[bytes, bytes]) -> Order:
    """Raises ValueError, in one line, for an order that nobody could have placed."""
    kind, count = text(fields.get(b"kind")), number(fields.get(b"count"), COUNT_LIMIT)
    proxy = text(fields.get(b"proxy"))
    lacking = (kind == OrderKind.SCALE and count is None) or (kind == OrderKind.FORGET and not proxy)
    if kind not in set(OrderKind) or lacking:
        kinds = ", ".join(OrderKind)
        raise ValueError(f"order {text(entry_id)}: must be one of {kinds}, scale with a count, forget with a proxy")
    scale, forget = kind == OrderKind.SCALE, kind == OrderKind.FORGET
    image, share = _deployed(entry_id, fields) if kind == OrderKind.DEPLOY else ("", None)
    return Order(
        OrderKind(kind),
        count if scale else None,
        text(entry_id),
        proxy if forget else "",
        image,
        share,
        share is not None and fields.get(b"sticky") == b"1",
        text(fields.get(b"reason"))[:LONGEST_REASON] if kind == OrderKind.ABORT else "",
    )


def _deployed(entry_id: bytes, fields: Mapping[bytes, bytes]) -> tuple[str, int | None]:
    """What is to be deployed: its image, and the share of a canary."""
    image, told = text(fields.get(b"image")), fields.get(b"share")
    share = number(told, MAX_SHARE + 1)
    if (image and not IMAGE_REFERENCE.fullmatch(image)) or (told is not None and not share):
        raise ValueError(
            f"order {text(entry_id)}: deploy takes an image, and as a canary a share of 1 to {MAX_SHARE} per cent, "
            f"was {image[:80]!r} {text(told)[:20]!r}"
        )
    return image, share
