"""What the command line accepts: our own names, and the common spellings of flamegraph.pl beside them."""

from __future__ import annotations

import argparse

FILES = "profiles, gzipped or not; - reads standard input; several of one kind are merged"


def parser() -> argparse.ArgumentParser:
    """The whole command line."""
    top = argparse.ArgumentParser(
        prog="flamegraph", description="Flame graphs from stackprof, rack-mini-profiler, speedscope, folded text, logs."
    )
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    render = commands.add_parser("render", help="draw one self-contained SVG", allow_abbrev=False)
    render.add_argument("files", nargs="*", metavar="FILE", default=["-"], help=FILES)
    _add_reading(render)
    _add_filters(render)
    _add_drawing(render)
    fold = commands.add_parser("fold", help="print folded stacks", allow_abbrev=False)
    fold.add_argument("files", nargs="*", metavar="FILE", default=["-"], help=FILES)
    fold.add_argument("--time-order", action="store_true", help="one line for each entry, in the order of the input")
    fold.add_argument("--files", dest="places", action="store_true", help="names as `name - path:line`")
    fold.add_argument("-o", "--output", default="-", metavar="OUT", help="a file; - is standard output")
    _add_reading(fold)
    _add_filters(fold)
    diff = commands.add_parser("diff", help="draw AFTER, coloured by its change from BEFORE", allow_abbrev=False)
    diff.add_argument("before", metavar="BEFORE")
    diff.add_argument("after", metavar="AFTER")
    diff.add_argument("--normalize", "--normalise", action="store_true", help="scale BEFORE's total to AFTER's")
    _add_reading(diff)
    _add_filters(diff)
    _add_drawing(diff)
    info = commands.add_parser("info", help="say what a profile holds", allow_abbrev=False)
    info.add_argument("files", nargs="*", metavar="FILE", default=["-"], help=FILES)
    info.add_argument("--json", action="store_true", help="one object of JSON")
    info.add_argument("--callers", default="", metavar="NAME", help="who calls the method of this name")
    info.add_argument("--top", type=int, default=15, metavar="N", help="rows of each table (15)")
    info.add_argument("-o", "--output", default="-", metavar="OUT", help="a file; - is standard output")
    _add_reading(info)
    _add_filters(info)
    return top


def _add_reading(command: argparse.ArgumentParser) -> None:
    group = command.add_argument_group("reading")
    group.add_argument("--format", default="", metavar="NAME", help="the format, where the guess is wrong")
    group.add_argument("--profile", default="", metavar="N|all", help="which profile of a file that holds several")
    group.add_argument("--since", default="", metavar="TIME", help="exceptions of a log from this time on")
    group.add_argument("--path", default="", metavar="PREFIX", help="exceptions of requests whose path begins so")
    group.add_argument("--exception", default="", metavar="CLASS", help="exceptions of this class")


def _add_filters(command: argparse.ArgumentParser) -> None:
    group = command.add_argument_group("filters")
    group.add_argument("--weight", choices=("samples", "time", "objects"), default="samples")
    group.add_argument(
        "--gc", choices=("separate", "attach", "drop"), default="separate", help="where its towers stand"
    )
    group.add_argument("--only", default="", metavar="RE", help="stacks with a frame whose name or file matches")
    group.add_argument("--root", default="", metavar="RE", help="the graph from that frame down")
    group.add_argument("--hide", default="", metavar="RE", help="leave out frames whose name or file matches")
    group.add_argument("--hide-rails-noise", action="store_true", help="fold middleware and framework plumbing")
    group.add_argument("--merge-recursion", action="store_true", help="draw repeated runs of frames once")
    group.add_argument("--last-segment", action="store_true", help="drop samples left over from an earlier request")


def _add_drawing(command: argparse.ArgumentParser) -> None:
    group = command.add_argument_group("drawing")
    group.add_argument("-o", "--output", default="-", metavar="OUT", help="an .svg or .png; - is standard output")
    layouts = ("flame", "icicle", "chart", "left-heavy", "reversed")
    group.add_argument("--layout", choices=layouts, default="flame")
    group.add_argument("--flamechart", dest="layout", action="store_const", const="chart", help="--layout chart")
    group.add_argument("--reverse", dest="layout", action="store_const", const="reversed", help="--layout reversed")
    group.add_argument("--inverted", "-i", action="store_true", help="turn the layout upside down")
    group.add_argument("--title", default="")
    group.add_argument("--subtitle", default="")
    group.add_argument("--width", type=int, default=0, metavar="PX", help="a fixed width instead of a fluid one")
    least = "frames narrower are not drawn, in pixels or with %% of the total (0.1; 0 draws all)"
    group.add_argument("--min-width", "--minwidth", default="0.1", metavar="PX|N%", help=least)
    colors = "gem, hot, file or safe (for colour-blind eyes)"
    group.add_argument("--colors", "--color", default="gem", metavar="NAME", help=colors)
    group.add_argument("--count-name", "--countname", default="", metavar="TEXT", help="what the weights count")
    group.add_argument("--link", default="", metavar="URL", help="as vscode://file/{file}:{line}")
    # Colours are the same in every run here, which is what these two ask flamegraph.pl for.
    group.add_argument("--hash", "--cp", action="store_true", help=argparse.SUPPRESS)
