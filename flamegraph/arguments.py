"""What the command line accepts: our own names, and the common spellings of flamegraph.pl beside them."""

from __future__ import annotations

import argparse
from typing import Final

FILES: Final = "profiles, gzipped or not; - reads standard input; several of one kind are merged"


COMMANDS: Final = {
    "render": "draw one self-contained SVG",
    "fold": "print folded stacks",
    "diff": "draw AFTER, coloured by its change from BEFORE",
    "info": "say what a profile holds",
}


# Wishes of flamegraph.pl that have no meaning here; they are accepted, so that a script goes on, and said.
IGNORED_WITH_VALUE: Final = (
    "--height", "--fonttype", "--fontsize", "--fontwidth", "--bgcolors", "--encoding", "--nametype", "--notes",
    "--total", "--factor", "--nameattr",
)  # fmt: skip
IGNORED: Final = ("--negate", "--random")


class _Ignored(argparse.Action):
    """Remembers that an option was given, and nothing else."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,  # noqa: ARG002 the signature is argparse's
        namespace: argparse.Namespace,
        values: object,  # noqa: ARG002
        option_string: str | None = None,
    ) -> None:
        namespace.ignored = (*namespace.ignored, option_string)


class _Help(argparse.HelpFormatter):
    """Help of a fixed width: argparse loads a good part of the library to ask how wide the terminal is."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=28, width=110)


def parser(command: str) -> argparse.ArgumentParser:
    """The command line; only the named command gets its arguments, which take longer to build than to read."""
    top = argparse.ArgumentParser(
        prog="flamegraph",
        description="Flame graphs from stackprof, rack-mini-profiler, speedscope, vernier, folded text and Rails logs.",
        formatter_class=_Help,
    )
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, what in COMMANDS.items():
        each = commands.add_parser(name, help=what, description=what, allow_abbrev=False, formatter_class=_Help)
        if name == command:
            ADDERS[name](each)
    return top


def _add_render(command: argparse.ArgumentParser) -> None:
    _add_files(command)
    _add_reading(command)
    _add_filters(command)
    _add_drawing(command)


def _add_fold(command: argparse.ArgumentParser) -> None:
    _add_files(command)
    command.add_argument("--time-order", action="store_true", help="one line for each entry, in the order of the input")
    command.add_argument("--files", dest="places", action="store_true", help="names as `name - path:line`")
    _add_output(command)
    _add_reading(command)
    _add_filters(command)


def _add_diff(command: argparse.ArgumentParser) -> None:
    command.add_argument("before", metavar="BEFORE")
    command.add_argument("after", metavar="AFTER")
    command.add_argument("--normalize", "--normalise", action="store_true", help="scale BEFORE's total to AFTER's")
    _add_reading(command)
    _add_filters(command)
    _add_drawing(command)


def _add_info(command: argparse.ArgumentParser) -> None:
    _add_files(command)
    command.add_argument("--json", action="store_true", help="one object of JSON")
    command.add_argument("--callers", default="", metavar="NAME", help="who calls the method of this name")
    command.add_argument("--top", type=int, default=15, metavar="N", help="rows of each table (15)")
    _add_output(command)
    _add_reading(command)
    _add_filters(command)


ADDERS: Final = {"render": _add_render, "fold": _add_fold, "diff": _add_diff, "info": _add_info}


def _add_files(command: argparse.ArgumentParser) -> None:
    command.add_argument("files", nargs="*", metavar="FILE", default=["-"], help=FILES)


def _add_output(command: argparse.ArgumentParser) -> None:
    command.add_argument("-o", "--output", default="-", metavar="OUT", help="a file; - is standard output")


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
    command.set_defaults(ignored=())
    for name in IGNORED_WITH_VALUE:
        group.add_argument(name, action=_Ignored, help=argparse.SUPPRESS)
    for name in IGNORED:
        group.add_argument(name, action=_Ignored, nargs=0, help=argparse.SUPPRESS)
