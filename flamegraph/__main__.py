"""`python -m flamegraph` is the `flamegraph` command."""

from __future__ import annotations

from flamegraph.cli import run

run()
