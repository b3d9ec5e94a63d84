"""Draws kept crashes: one by its id, or all of a time together."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from stoker.errors import CommandError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from fleet.crash import Crash, CrashDesk

# As many as the log keeps at most.
ALL = 10_000
SHOWN_IDS = 5


def show(desk: CrashDesk, wish: str, output: str | None, say: Callable[[str], None]) -> None:
    """Draw the crash whose id is, or begins with, the wish; says where. Raises CommandError where there is none."""
    crash_id, text = find(desk, wish)
    _draw(_svg_of(text, crash_id), output or f"crash-{crash_id}.svg", say)


def find(desk: CrashDesk, wish: str) -> tuple[str, bytes]:
    """The id and the document of the one crash that is meant. Raises CommandError."""
    text = _document(desk, wish)
    if text is not None:
        return wish, text
    alike = [crash for crash in desk.crashes(limit=ALL).crashes if crash.failure.id.startswith(wish)]
    exact = [crash for crash in alike if crash.failure.id == wish]
    if not wish or not alike:
        raise CommandError(f"no crash has an id that begins with {wish[:140]!r}; `stoker crashes` lists them")
    if len(alike) > 1 and not exact:
        ids = ", ".join(crash.failure.id for crash in alike[:SHOWN_IDS])
        raise CommandError(f"{len(alike)} crashes have ids that begin with {wish!r}: {ids}")
    crash = (exact or alike)[0]
    text = _document(desk, crash.failure.id)
    if text is None:
        raise CommandError(f"crash {crash.failure.id}: {_missing(crash)}")
    return crash.failure.id, text


def _missing(crash: Crash) -> str:
    if crash.capture is not None:
        return "its document has expired: only the newest are kept"
    if crash.reason:
        return f"nothing was captured of it: {crash.reason}"
    return "nothing was captured of it (yet): docs/crashes.md says what the app and the proxy need"


def top(desk: CrashDesk, within_s: float | None, since: str, output: str | None, say: Callable[[str], None]) -> None:
    """Draw every kept crash of the time as one graph, each as one sample. Raises CommandError where there is none."""
    from flamegraph.crash_top import top as top_profile
    from flamegraph.options import RenderOptions
    from flamegraph.svg import render

    crashes = desk.crashes(limit=ALL, within_s=within_s).crashes
    texts = _documents(desk, crashes)
    span = f"in the last {since}" if since else "kept"
    profile = top_profile(texts, title=f"Crashes {span}")
    if not profile.order:
        raise CommandError(f"no crash {span} has a backtrace to draw; {len(crashes)} were recorded")
    missing = len(crashes) - len(texts)
    note = [f"recorded without a document that is kept: {missing:,}"] if missing else []
    svg = render(replace(profile, warnings=[*profile.warnings, *note]), RenderOptions())
    _draw(svg, output or "crashes.svg", say)


def _documents(desk: CrashDesk, crashes: Sequence[Crash]) -> list[bytes]:
    found = (_document(desk, crash.failure.id) for crash in crashes if crash.capture is not None)
    return [text for text in found if text is not None]


def _document(desk: CrashDesk, crash_id: str) -> bytes | None:
    try:
        return desk.document(crash_id)
    except ValueError as error:
        raise CommandError(f"crash {crash_id}: {error}") from error


def _svg_of(text: bytes, crash_id: str) -> str:
    import flamegraph

    try:
        return flamegraph.render(flamegraph.read(text, format="crash"))
    except ValueError as error:
        raise CommandError(f"crash {crash_id}: {error}") from error


def _draw(svg: str, output: str, say: Callable[[str], None]) -> None:
    from flamegraph.files import write_text

    write_text(output, [svg])
    if output != "-":
        say(f"drawn: {Path(output).absolute()}")
