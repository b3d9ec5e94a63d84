"""The `flamegraph` command: render, fold, diff and info."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Sequence

    from flamegraph.options import RenderOptions
    from flamegraph.profile import Profile
    from flamegraph.readers.detect import ReadOptions

# Inputs of this size take long enough to say so.
LONG_WORK_BYTES = 20_000_000


# Palettes of flamegraph.pl; its hot is ours.
PEER_COLORS = frozenset(
    "mem io wakeup chain java js perl red green blue aqua yellow purple orange".split()  # noqa: SIM905 reads better
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the answer is the exit code: 0, or 2 for an input or a wish that cannot be met."""
    import gc

    from flamegraph.arguments import parser

    # A profile is millions of small values and no garbage: looking for cycles among them takes a third of the time.
    gc.disable()
    words = sys.argv[1:] if argv is None else argv
    args = parser(words[0] if words else "").parse_args(words)
    try:
        COMMANDS[args.command](args)
    except BrokenPipeError:
        # Who read us has seen enough; closing standard output would complain again.
        sys.stderr.close()
        return 0
    except (ValueError, OSError) as error:
        print(f"flamegraph: {_line(error)}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


def run() -> None:
    """Run the command of this process, then end it at once: to free a profile, value by value, takes a while."""
    import os
    from contextlib import suppress

    code = main()
    with suppress(OSError, ValueError):
        sys.stdout.flush()
    os._exit(code)


def _line(error: Exception) -> str:
    from flamegraph.readers.text import one_line

    text = f"{error.filename}: {error.strerror}" if isinstance(error, OSError) and error.filename else str(error)
    return one_line(" ".join(text.split()))


def render(args: argparse.Namespace) -> None:
    """Draw profiles; folded text with two counts becomes a differential graph."""
    options = _render_options(args)
    profile = _read_all(args.files, args)
    if profile.raised is None:
        _refuse_without_stacks(profile, args.files)
    if profile.weights_after is not None:
        from dataclasses import replace

        from flamegraph.diff import render_diff

        after = replace(profile, weights=profile.weights_after, weights_after=None)
        _write_picture(args.output, render_diff(replace(profile, weights_after=None), after, options))
        return
    from flamegraph.svg import render as render_svg

    _write_picture(args.output, render_svg(profile, options))


def diff(args: argparse.Namespace) -> None:
    """Draw what changed between two profiles."""
    from flamegraph.diff import render_diff

    options = _render_options(args)
    before, after = (_read_all([name], args) for name in (args.before, args.after))
    for name, profile in ((args.before, before), (args.after, after)):
        _refuse_without_stacks(profile, [name])
    _write_picture(args.output, render_diff(before, after, options))


def fold(args: argparse.Namespace) -> None:
    """Print folded stacks."""
    from flamegraph.files import write_text
    from flamegraph.fold import fold as fold_profile

    profile = _read_all(args.files, args)
    _refuse_without_stacks(profile, args.files)
    lines = fold_profile(profile, time_order=args.time_order, files=args.places)
    write_text(args.output, (line + "\n" for line in lines))


def info(args: argparse.Namespace) -> None:
    """Say what profiles hold."""
    from flamegraph import info as tables
    from flamegraph.files import write_text

    if args.top < 1:
        raise ValueError(f"--top is 1 or more, was {args.top}")
    profile = _read_all(args.files, args)
    summary = tables.summarize(profile, top=args.top, callers=args.callers)
    write_text(args.output, [tables.as_json(summary) if args.json else tables.as_text(summary)])


COMMANDS = {"render": render, "fold": fold, "diff": diff, "info": info}


def _read_all(names: Sequence[str], args: argparse.Namespace) -> Profile:
    from flamegraph.profile import ProfileError
    from flamegraph.readers.detect import ReadOptions
    from flamegraph.readers.text import one_line

    options = ReadOptions(
        format=args.format,
        profile=args.profile,
        ordered=_needs_order(args),
        since=args.since,
        path=args.path,
        exception=args.exception,
    )
    profiles = []
    for name in names:
        try:
            # Times and the order of entries are each file's own, so filters come before merging.
            profiles.append((name, _filtered(_read(name, options), args)))
        except ProfileError as error:
            raise ProfileError(f"{_shown(name)}: {error}") from None
    profile = profiles[0][1]
    if len(profiles) > 1:
        from flamegraph.merge import merge

        profile = merge(profiles)
    for warning in profile.warnings:
        print(f"flamegraph: warning: {one_line(warning)}", file=sys.stderr)
    return profile


def _needs_order(args: argparse.Namespace) -> bool:
    in_time = getattr(args, "layout", "") == "chart" or getattr(args, "time_order", False)
    return in_time or args.gc == "attach" or args.last_segment


def _read(name: str, options: ReadOptions) -> Profile:
    from flamegraph.files import read_bytes
    from flamegraph.readers.detect import read

    data = read_bytes(name)
    if len(data) < LONG_WORK_BYTES or not sys.stderr.isatty():
        return read(data, options)
    print(f"\rreading {_shown(name)} ({len(data) >> 20} MB) ...", end="", file=sys.stderr, flush=True)
    try:
        return read(data, options)
    finally:
        print("\r\x1b[K", end="", file=sys.stderr, flush=True)


def _shown(name: str) -> str:
    return "standard input" if name == "-" else name


def _filtered(profile: Profile, args: argparse.Namespace) -> Profile:
    names = ("last_segment", "gc", "weight", "only", "root", "hide", "hide_rails_noise", "merge_recursion")
    wishes = {name: getattr(args, name) for name in names}
    if not any(each not in (False, "", "separate", "samples") for each in wishes.values()):
        return profile
    from flamegraph.filters import Filters, apply

    return apply(profile, Filters(**wishes))


def _refuse_without_stacks(profile: Profile, names: Iterable[str]) -> None:
    from flamegraph.profile import ProfileError

    if sum(profile.weights) > 0:
        return
    name = ", ".join(map(_shown, names))
    if profile.totals:
        raise ProfileError(
            f"{name}: aggregated, without stacks; `flamegraph info` prints its tables. Stacks are recorded with "
            "raw: true: StackProf.run(raw: true), use StackProf::Middleware, raw: true; rack-mini-profiler's "
            "pp=flamegraph, rails-mini-profiler and app_profiler set it themselves"
        )
    raise ProfileError(f"{name}: no samples" + (" are left after the filters" if profile.frames else ""))


def _render_options(args: argparse.Namespace) -> RenderOptions:
    from flamegraph.options import RenderOptions

    width = args.width or 1200
    for option in args.ignored:
        print(f"flamegraph: warning: {option} has no meaning here", file=sys.stderr)
    colors = args.colors
    if colors in PEER_COLORS:
        print(f"flamegraph: warning: --colors {colors} is not known here: drawn as gem", file=sys.stderr)
        colors = "gem"
    return RenderOptions(
        layout=args.layout,
        inverted=args.inverted,
        title=args.title,
        subtitle=args.subtitle,
        width=width,
        fluid=not args.width,
        min_percent=_min_percent(args.min_width, width),
        colors=colors,
        count_name=args.count_name,
        link=args.link,
        normalize=getattr(args, "normalize", False),
    )


def _min_percent(text: str, width: int) -> float:
    number = text.removesuffix("%")
    try:
        value = float(number)
    except ValueError:
        value = -1
    if not 0 <= value < 1e9:
        raise ValueError(f"--min-width is pixels or a percentage, as 0.1 or 0.5%, was {text!r}")
    return value if number != text else 100 * value / (width - 20)


def _write_picture(name: str, svg: str) -> None:
    from flamegraph.files import write_bytes, write_text

    if not name.endswith(".png"):
        write_text(name, [svg])
        return
    try:
        import cairosvg  # type: ignore[import-not-found,unused-ignore]
    except ImportError:
        raise ValueError(
            f"{name}: PNG needs cairosvg, which comes with the extra `png`: pip install 'stoker[png]'"
        ) from None
    write_bytes(name, [cairosvg.svg2png(svg.encode())])
