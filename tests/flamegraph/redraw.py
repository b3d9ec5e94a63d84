"""The drawings that are kept as files. `python -m tests.flamegraph.redraw` draws them anew: read the diff then."""

from __future__ import annotations

import re
from pathlib import Path

from flamegraph.diff import render_diff
from flamegraph.options import LAYOUTS, RenderOptions
from flamegraph.profile import Frame
from flamegraph.svg import render
from tests.flamegraph.crash_documents import document, profile_of, table
from tests.flamegraph.profiles import profile

GOLDEN = Path(__file__).parent / "golden"
HOSTILE = "</script><svg onload=alert('1')> & \x1b[31m \"q\" 日本"
GEMS = "/usr/local/bundle/gems"
FRAMES = (
    Frame("Rack::ETag#call", f"{GEMS}/rack-2.2.8/lib/rack/etag.rb", 24),
    Frame("CartsController#show", "/srv/app/app/controllers/carts_controller.rb", 7),
    Frame("ActiveRecord::Relation#exec_queries", f"{GEMS}/activerecord-7.1.2/lib/active_record/relation.rb", 927),
    Frame("Array#each", "<cfunc>"),
    Frame("JSON.generate", "/usr/local/lib/ruby/3.2.0/json/common.rb", 296),
    Frame(HOSTILE, '/srv/app/</title>"&.rb', 1),
)
CALL = "Rack::ETag#call;CartsController#show"
BEFORE = profile(
    (f"{CALL};ActiveRecord::Relation#exec_queries;Array#each", 40),
    (f"{CALL};JSON.generate", 21),
    ("(garbage collection);(sweeping)", 9),
    (CALL, 4),
    (f"{CALL};ActiveRecord::Relation#exec_queries", 16),
    (f"{CALL};{HOSTILE}", 11),
    frames=FRAMES,
    title="GET /carts/<id> & more",
    mode="wall",
    interval=1000,
    missed=2,
    starts_us=[0, 40_000, 61_000, 70_000, 74_000, 90_000],
    stopped_us=101_500,
)
AFTER = profile(
    (f"{CALL};ActiveRecord::Relation#exec_queries;Array#each", 12),
    (f"{CALL};JSON.generate", 21),
    (f"{CALL};JSON.generate;Array#each", 5),
    ("(garbage collection);(sweeping)", 14),
    frames=FRAMES,
)


def drawings() -> dict[str, str]:
    """Every kept drawing by its name; styles and script are left out, other tests see them at work."""
    drawn: dict[str, str] = {layout: render(BEFORE, RenderOptions(layout=layout)) for layout in LAYOUTS}
    drawn["diff"] = render_diff(BEFORE, AFTER, RenderOptions())
    drawn["cut"] = render(BEFORE, RenderOptions(min_percent=15, colors="safe", link="vscode://file/{file}:{line}"))
    drawn["crash"] = render(profile_of(document(table((1000, (1, 2, 4)), (2000, (1, 2, 3))))), RenderOptions())
    return {name: re.sub(r"(?s)<(style|script)>.*?</\1>", r"<\1/>", svg) for name, svg in drawn.items()}


if __name__ == "__main__":
    for name, svg in drawings().items():
        (GOLDEN / f"{name}.svg").write_text(svg, encoding="utf-8")
