"""The document that an app keeps of a crash: believed only after a look at it, packed for the store, and unpacked."""

from __future__ import annotations

import gzip
import json
import math
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NoReturn

from fleet.crash import Capture, Source

if TYPE_CHECKING:
    from collections.abc import Sequence

VERSION = 1
# What is read from an app, what is kept, and what a kept one may become when it is unpacked.
RAW_LIMIT = 8 * 1024 * 1024
PACKED_LIMIT = 1024 * 1024
UNPACKED_LIMIT = 32 * 1024 * 1024
DEPTH_LIMIT = 32
LINES_LIMIT = 1000
FEWEST_LINES = 50
LINE_LIMIT = 500
TEXT_LIMIT = 2000
WHY = ("raised", "status", "body", "slow")
# Beneath an app's root, but not the app's own; the middleware may lie anywhere in there.
FOREIGN = re.compile(r"(^|/)((vendor|gems|\.bundle|usr)/|stoker_crashes\.rb$)")
# Ruby names the file so that it was started with, and Rack a `config.ru`; what it made itself begins with < or (.
RELATIVE = re.compile(r"[^/<(:][^:]*:\d")
# Inside an element of a backtrace, the quotes around the label are those of the Ruby version.
QUOTES = str.maketrans("", "", "`'")


@dataclass(frozen=True, slots=True)
class Document:
    """A document that holds what it should; `content` is plain JSON data, its texts cut at their limits."""

    content: Mapping[str, Any]
    capture: Capture


def read_document(raw: bytes, crash_id: str) -> Document:
    """Raises ValueError, in one line, for anything that is not the document of that crash."""
    if len(raw) > RAW_LIMIT:
        raise ValueError(f"a document must be at most {RAW_LIMIT} bytes, was {len(raw)}")
    content = _parsed(raw)
    if not isinstance(content, dict) or content.get("stoker_crash") != VERSION:
        raise ValueError(f"not a crash document of version {VERSION}")
    if content.get("id") != crash_id:
        raise ValueError(f"the document's id must be {crash_id}, was {str(content.get('id'))[:140]!r}")
    _refuse_depth(content)
    clean = {
        "stoker_crash": VERSION,
        "id": crash_id,
        "why": _one_of(content, "why", WHY),
        "at": _number(content.get("at")),
        "request": _request(content),
        "exception": _exception(content),
        "profiled": content.get("profiled") is True,
        "profile": _table(content, "profile"),
        "versions": {
            _text(k, 40): _text_or_none(v, 40) for k, v in list((_table(content, "versions") or {}).items())[:16]
        },
        "pid": int(_number(content.get("pid")) or 0),
    } | {
        key: _text_or_none(content.get(key), LINE_LIMIT)
        for key in ("unprofiled", "threads", "mode", "stopped", "root", "host")
    }
    if clean["profiled"] and clean["profile"] is None:
        raise ValueError("a profiled crash must have a profile, was null")
    return Document(clean, _capture(clean, Source.CAPTURE))


def replayed(crash_id: str, page: str, content: Mapping[str, Any]) -> Document:
    """The document of a replay: rack-mini-profiler's own page, kept as it came under `page`."""
    clean = {**content, "stoker_crash": VERSION, "id": crash_id, "profiled": True, "exception": None, "profile": None}
    return Document({**clean, "page": page}, _capture(clean, Source.REPLAY))


def pack(document: Document, proxy: Mapping[str, object]) -> tuple[Capture, bytes]:
    """What is stored, `proxy` being what the data plane knows of the request.

    What is above `PACKED_LIMIT` loses its profile, and if need be the middle of its backtrace.
    """
    content = {**document.content, "proxy": dict(proxy)}
    packed = _packed(content)
    if len(packed) <= PACKED_LIMIT:
        return document.capture, packed
    content |= {"profiled": False, "profile": None, "unprofiled": "too large"}
    content.pop("page", None)
    packed = _packed(content)
    if len(packed) > PACKED_LIMIT:
        exception = content["exception"]
        content["exception"] = {**exception, "backtrace": _ends(exception["backtrace"], FEWEST_LINES), "cut": True}
        packed = _packed(content)
    return replace(document.capture, profiled=False, unprofiled="too large"), packed


def unpack(packed: bytes) -> bytes:
    """The JSON text of a packed document. Raises ValueError for what is none, or too large."""
    reader = zlib.decompressobj(wbits=31)
    try:
        text = reader.decompress(packed, UNPACKED_LIMIT)
    except zlib.error as error:
        raise ValueError(f"a kept document must be gzip: {error}") from error
    if not reader.eof:
        raise ValueError(f"a kept document must be whole and at most {UNPACKED_LIMIT} bytes")
    return text


def app_frame(backtrace: Sequence[str], root: str) -> str:
    """The topmost line that is the app's own, relative to its root; the topmost of all where there is none."""
    under = root.rstrip("/") + "/"
    own = (line.removeprefix(under) for line in backtrace if line.startswith(under) or RELATIVE.match(line))
    found = next((line for line in own if not FOREIGN.search(line.partition(":")[0])), None)
    return (found or next(iter(backtrace), "")).translate(QUOTES)[:LINE_LIMIT]


def _packed(content: Mapping[str, Any]) -> bytes:
    return gzip.compress(json.dumps(content, separators=(",", ":")).encode("ascii"), compresslevel=3, mtime=0)


def _parsed(raw: bytes) -> object:
    try:
        return json.loads(raw, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"not JSON: {' '.join(str(error).split())[:120]}") from error


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


def _refuse_depth(content: object) -> None:
    level: list[Any] = [content]
    for _ in range(DEPTH_LIMIT):
        parents = (parent.values() if isinstance(parent, dict) else parent for parent in level)
        # What JSON is read into has these very types, and a profile has a million numbers.
        level = [child for parent in parents for child in parent if type(child) is dict or type(child) is list]
        if not level:
            return
    raise ValueError(f"a document must be at most {DEPTH_LIMIT} levels deep")


def _text(value: object, limit: int) -> str:
    """A text that can be written anywhere: no lone surrogates, no control characters but those of white space."""
    read = value if isinstance(value, str) else "" if value is None else str(value)[:limit]
    return read[:limit].encode("utf-8", "replace").decode("utf-8").replace("\0", "")


def _text_or_none(value: object, limit: int) -> str | None:
    return None if value is None else _text(value, limit)


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        read = float(value)
    except OverflowError:
        return None
    return value if math.isfinite(read) and abs(read) < 1e18 else None


def _one_of(content: Mapping[str, Any], key: str, known: Sequence[str]) -> str:
    value = content.get(key)
    if value not in known:
        raise ValueError(f"{key} must be one of {', '.join(known)}, was {str(value)[:40]!r}")
    return str(value)


def _table(content: Mapping[str, Any], key: str) -> dict[str, Any] | None:
    value = content.get(key)
    if value is None or isinstance(value, dict):
        return value
    raise ValueError(f"{key} must be an object or null, was {type(value).__name__}")


def _request(content: Mapping[str, Any]) -> dict[str, Any]:
    value = _table(content, "request") or {}
    numbers = {key: _number(value.get(key)) for key in ("status", "started_at_us", "stopped_at_us", "duration_ms")}
    # A query may hold secrets, and is never kept.
    path = _text(value.get("path"), TEXT_LIMIT).partition("?")[0]
    return {"method": _text(value.get("method"), 40), "path": path, **numbers}


def _exception(content: Mapping[str, Any]) -> dict[str, Any] | None:
    value = _table(content, "exception")
    if value is None:
        return None
    if not value.get("class"):
        raise ValueError("exception must be null or an object with a class")
    lines = value.get("backtrace")
    backtrace = [_text(line, LINE_LIMIT) for line in _ends(lines, LINES_LIMIT)] if isinstance(lines, list) else []
    frames = _number(value.get("frames"))
    return {
        **_named(value),
        "backtrace": backtrace,
        "frames": len(backtrace) if frames is None else int(frames),
        "cut": value.get("cut") is True or (isinstance(lines, list) and len(lines) > LINES_LIMIT),
        "cause": _named(value["cause"]) if isinstance(value.get("cause"), dict) else None,
    }


def _ends(lines: Sequence[Any], most: int) -> Sequence[Any]:
    """Both ends of a backtrace: where it was raised, and how the app came there."""
    return lines if len(lines) <= most else [*lines[: most // 2], *lines[-(most // 2) :]]


def _named(value: Mapping[str, Any]) -> dict[str, Any]:
    return {"class": _text(value.get("class"), 200), "message": _text_or_none(value.get("message"), TEXT_LIMIT)}


def _capture(content: Mapping[str, Any], source: Source) -> Capture:
    exception = content["exception"] or {}
    message = exception.get("message")
    return Capture(
        id=content["id"],
        exception=exception.get("class", ""),
        message=None if message is None else message[:200],
        where=app_frame(exception.get("backtrace", ()), content.get("root") or "") if exception else "",
        profiled=content["profiled"],
        unprofiled=content.get("unprofiled") or "",
        source=source,
    )
