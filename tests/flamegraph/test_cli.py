from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from flamegraph.cli import main
from tests.flamegraph.profiles import SHARED, shared
from tests.flamegraph.readers.ruby import frame, profile

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[2]
EVERYTHING = sorted(
    path.relative_to(SHARED).as_posix()
    for path in SHARED.glob("*/**/*")
    if path.is_file() and path.suffix not in (".jsonl", ".svg") and path.parts[-2] not in ("rects", "nameattr")
)
REFUSED = {
    "inferno/empty/empty.txt": "empty",
    "speedscope/invalid/incomplete-trace.json": "never closed",
    "speedscope/invalid/out-of-order-events.json": "closes frame 1",
    "rails/stackprof_wall_agg.dump": "aggregated, without stacks",
    "stackprof/merged-cli.dump": "aggregated, without stacks",
    "stackprof_cli/v0.2.27-wall-raw.callgrind": "holds no stacks",
    "stackprof_cli/v0.2.27-wall-raw.graphviz": "holds no stacks",
    "stackprof_cli/v0.2.27-wall-raw.d3_flamegraph": "not a profile",
    "stackprof_cli/v0.2.27-wall-raw.text": "not a profile",
}


@pytest.fixture
def folded(tmp_path: Path) -> Callable[..., str]:
    def write(text: str = "main;work 3\nmain 1\n", name: str = "a.folded") -> str:
        (tmp_path / name).write_text(text)
        return str(tmp_path / name)

    return write


def said(name: str) -> str:
    if name in REFUSED:
        return REFUSED[name]
    stem = Path(name).stem
    if "/v0.2" in name and "raw" not in stem and "stackprof/" in name:
        return "aggregated, without stacks"
    return "no samples" if stem == "empty-raw" else ""


@pytest.mark.parametrize("name", EVERYTHING)
def test_every_recorded_file_is_drawn_or_refused_as_said(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.svg"
    code = main(["render", str(shared(name)), "-o", str(out)])
    problem = capsys.readouterr().err

    assert "Traceback" not in problem
    if said(name):
        assert (code, problem.count("\n")) == (2, 1)
        assert said(name) in problem
        assert not list(tmp_path.iterdir())
    else:
        assert code == 0
        assert out.read_text().endswith("</svg>\n")


def test_fold_prints_equal_stacks_added(folded: Callable[..., str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fold", folded("b 1\na 2\nb 3\n")]) == 0
    assert capsys.readouterr().out == "b 4\na 2\n"


def test_fold_keeps_the_order_of_time_when_asked(
    folded: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["fold", "--time-order", folded("b 1\na 2\nb 3\n")]) == 0
    assert capsys.readouterr().out == "b 1\na 2\nb 3\n"


def test_several_files_are_one_graph(folded: Callable[..., str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fold", folded("a 1\n"), folded("a 2\nb 1\n", "b.folded")]) == 0
    assert capsys.readouterr().out == "a 3\nb 1\n"


def test_standard_input_is_a_file_called_dash(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"a 1\n")))
    assert main(["fold", "-"]) == 0
    assert capsys.readouterr().out == "a 1\n"


def test_filters_reach_the_graph(folded: Callable[..., str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fold", folded(), "--root", "work"]) == 0
    assert capsys.readouterr().out == "work 3\n"


def test_a_filter_that_leaves_nothing_is_said(folded: Callable[..., str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["render", folded(), "--only", "nothing"]) == 2
    assert capsys.readouterr().err.endswith("a.folded: no samples are left after the filters\n")


def test_info_speaks_json(folded: Callable[..., str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", "--json", folded()]) == 0
    assert json.loads(capsys.readouterr().out)["total"] == 4


def test_info_reads_what_render_refuses(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", str(shared("stackprof/merged-cli.dump"))]) == 0
    assert "none: aggregated" in capsys.readouterr().out


@pytest.mark.parametrize(
    "spelling",
    [
        ["--title", "T", "--subtitle", "S", "--width", "900", "--minwidth", "0.5", "--countname", "ms"],
        ["--min-width", "1%", "--colors", "hot", "--inverted", "--hash"],
        ["--reverse"],
        ["--colors", "java", "--fontsize", "12", "--negate", "--notes", "n"],
        ["--flamechart"],
        ["--layout", "left-heavy", "--colors=safe", "--link", "vscode://file/{file}:{line}"],
    ],
)
def test_the_common_spellings_of_flamegraph_pl_are_accepted(spelling: list[str], folded: Callable[..., str]) -> None:
    assert main(["render", folded(), *spelling, "-o", folded(name="out.svg")]) == 0


def test_wishes_without_a_meaning_here_are_said(folded: Callable[..., str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["render", folded(), "--fontsize", "12", "--colors", "io"]) == 0
    assert capsys.readouterr().err.splitlines() == [
        "flamegraph: warning: --fontsize has no meaning here",
        "flamegraph: warning: --colors io is not known here: drawn as gem",
    ]


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--min-width", "x"], "--min-width is pixels or a percentage, as 0.1 or 0.5%, was 'x'"),
        (["--min-width", "-1"], "--min-width is pixels or a percentage, as 0.1 or 0.5%, was '-1'"),
        (["--since", "2026-01-01"], "--since 2026-01-01 chooses in a file of rails_log, this is folded"),
        (["--profile", "3"], "--profile 3 chooses in a file of speedscope or vernier, this is folded"),
        (["--width", "5"], "width is 300 to 20000 pixels, was 5"),
        (["--format", "perf"], "no format is called 'perf'"),
        (["--link", "javascript:x"], "link starts with the scheme"),
    ],
)
def test_wishes_that_cannot_be_met_are_refused_in_one_line(
    arguments: list[str], problem: str, folded: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["render", folded(), *arguments]) == 2
    found = capsys.readouterr().err
    assert problem in found
    assert found.count("\n") == 1


def test_a_file_that_is_not_there_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["render", "no/such.dump"]) == 2
    assert capsys.readouterr().err == "flamegraph: no/such.dump: No such file or directory\n"


def test_a_place_where_no_file_can_be_is_named_as_it_was_typed(
    folded: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["render", folded(), "-o", "no/such/out.svg"]) == 2
    assert capsys.readouterr().err == "flamegraph: no/such/out.svg: No such file or directory\n"


def test_each_of_several_files_is_weighed_by_its_own_times(capsys: pytest.CaptureFixture[str]) -> None:
    names = [str(shared(f"stackprof/{each}/wall-raw.dump")) for each in ("v0.2.23", "v0.2.27")]
    totals = []
    for files in (names[:1], names[1:], names):
        assert main(["info", "--json", "--weight", "time", *files]) == 0
        totals.append(json.loads(capsys.readouterr().out)["total"])

    assert totals[2] == totals[0] + totals[1]


def test_no_table_has_less_than_a_row(folded: Callable[..., str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", folded(), "--top", "-1"]) == 2
    assert capsys.readouterr().err == "flamegraph: --top is 1 or more, was -1\n"


def test_a_failure_leaves_the_old_picture_as_it_was(folded: Callable[..., str], tmp_path: Path) -> None:
    out = tmp_path / "out.svg"
    out.write_text("old")

    assert main(["render", folded("nothing\n"), "-o", str(out)]) == 2
    assert out.read_text() == "old"
    assert main(["render", folded(), "-o", str(tmp_path / "no" / "out.svg")]) == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.folded", "out.svg"]


def test_two_counts_draw_a_differential_graph(folded: Callable[..., str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["render", folded("a;b 10 30\na 5 5\n")]) == 0
    drawn = capsys.readouterr().out
    assert main(["diff", folded("a;b 10\na 5\n"), folded("a;b 30\na 5\n", "b.folded")]) == 0
    assert capsys.readouterr().out == drawn


def test_a_stack_of_two_thousand_frames_is_drawn(tmp_path: Path) -> None:
    deep = tmp_path / "deep.dump"
    deep.write_bytes(profile([2048, *range(1, 2049), 3], {each: frame(f"rec{each}") for each in range(1, 2049)}))

    assert main(["render", str(deep), "--min-width", "0", "-o", str(tmp_path / "out.svg")]) == 0
    assert "rec2048" in (tmp_path / "out.svg").read_text()


def test_the_module_is_the_command_and_a_reader_that_leaves_is_no_error() -> None:
    code = "import subprocess,sys;p=subprocess.Popen([sys.executable,'-m','flamegraph','fold','-'],stdin=-1,stdout=-1)"
    code += ";p.stdout.close();p.stdin.write(b'a;b 1\\n'*9);p.stdin.close();sys.exit(p.wait())"
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, check=False)

    assert (found.returncode, found.stderr) == (0, b"")


def test_png_without_its_renderer_says_which_extra_has_it(
    folded: Callable[..., str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "cairosvg", None)

    assert main(["render", folded(), "-o", "x.png"]) == 2
    assert "x.png: PNG needs cairosvg, which comes with the extra `png`" in capsys.readouterr().err


def test_start_up_loads_nothing_that_a_command_does_not_need() -> None:
    code = "import sys; from flamegraph.cli import main; main(['fold','-']); print(*sorted(sys.modules))"
    found = subprocess.run([sys.executable, "-c", code], input=b"a 1\n", cwd=ROOT, capture_output=True, check=True)
    loaded = set(found.stdout.decode().split())

    assert not loaded & {
        "json",
        "zlib",
        "asyncio",
        "flamegraph.svg",
        "flamegraph.filters",
        "flamegraph.readers.marshal",
    }
