from __future__ import annotations

import runpy
import subprocess
import sys
from pathlib import Path

MAIN = Path(__file__).resolve().parents[2] / "addon" / "main.py"


def test_the_entry_lists_the_addons_and_nothing_else_that_acts() -> None:
    listed = runpy.run_path(str(MAIN))["addons"]
    assert [type(addon).__name__ for addon in listed] == [
        "Configuration",
        "Router",
        "Failover",
        "StatusCommand",
        "Lifecycle",
        "Capture",
        "Lean",
    ]


def test_a_plain_checkout_works_from_any_folder(tmp_path: Path) -> None:
    # -P and -I keep the current folder and PYTHONPATH out, so only the entry itself can find the packages.
    code = f"import runpy; print(len(runpy.run_path({str(MAIN)!r})['addons']))"
    ran = subprocess.run([sys.executable, "-I", "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "7"
