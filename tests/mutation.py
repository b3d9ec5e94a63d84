"""A mutation check of the scaler's core: change one thing, run the fast tests, see whether any notices.

    python -m tests.mutation [FILE ...] [--limit SECONDS]

Prints every survivor as `file:line: what was changed`, and whether docs/MUTATION.md explains it. Exit 1 where one is
not explained. No file is touched: each mutant lives in the memory of a process of its own.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.mutants import Mutant, mutants, mutated

if TYPE_CHECKING:
    from collections.abc import Sequence

ROOT = Path(__file__).resolve().parents[1]
KNOWN = ROOT / "docs" / "MUTATION.md"
# What is mutated, and the tests that ought to notice, those first that most likely do.
TARGETS = {
    "scaler/policy.py": ("test_policy", "test_sizing", "test_scenarios"),
    "scaler/machine.py": (
        "test_machine",
        "test_term",
        "test_reconcile",
        "test_backoff",
        "test_sizing",
        "test_scenarios",
    ),
    "scaler/transitions.py": ("test_transitions", "test_machine", "test_health"),
    "scaler/reconcile.py": ("test_reconcile", "test_machine", "test_health", "test_scenarios"),
    "scaler/sizing.py": ("test_sizing", "test_machine", "test_reconcile", "test_refusals", "test_scenarios"),
    "scaler/health.py": ("test_health", "test_refusals", "test_backoff", "test_reconcile", "test_scenarios"),
    "scaler/term.py": ("test_term", "test_machine", "test_scenarios"),
}
TIMEOUT_S = 60
AT_ONCE = 2
NOTICED = 1
# What every run needs is loaded before it begins, which pytest would warn of.
HEAVY = ("docker", "fleet.embedded", "fleet.memory", "fleet.settings", "fleet.store.opening", "hypothesis", "structlog")
LOADED = ("-W", "ignore::pytest.PytestAssertRewriteWarning")


def main() -> int:
    """Try every mutant within the time given."""
    parser = argparse.ArgumentParser(description="Mutation check of the scaler's core.")
    parser.add_argument("files", nargs="*", default=list(TARGETS), help="; ".join(TARGETS))
    parser.add_argument("--limit", type=float, default=1800.0, help="seconds after which no further mutant is tried")
    chosen = parser.parse_args()
    for name in HEAVY:
        importlib.import_module(name)
    for file in chosen.files:
        if _ended(_begin(file, None)) == NOTICED:
            sys.exit(f"{file}: its tests fail without any change")
    every = [one for file in chosen.files for one in mutants(file, (ROOT / file).read_text(encoding="utf-8"))]
    tried, survivors = _try(every, time.monotonic() + chosen.limit)
    known = KNOWN.read_text(encoding="utf-8") if KNOWN.exists() else ""
    new = [one for one in survivors if f"`{one.name}`" not in known]
    for one in survivors:
        print(f"{'NEW      ' if one in new else 'explained'} {one.file}:{one.line}: {one.kind}: {one.was}")
    noticed = tried - len(survivors)
    print(f"{len(every)} mutants, {tried} tried, {noticed} noticed, {len(survivors)} survived, {len(new)} unexplained")
    return 1 if new or tried < len(every) else 0


def _try(every: Sequence[Mutant], until: float) -> tuple[int, list[Mutant]]:
    """How many were tried until then, and which of them nobody noticed."""
    running: dict[int, Mutant] = {}
    survivors, tried = list[Mutant](), 0
    for mutant in every:
        if time.monotonic() > until:
            break
        if len(running) == AT_ONCE:
            survivors += _one_ended(running)
        running[_begin(mutant.file, mutant)] = mutant
        tried += 1
    while running:
        survivors += _one_ended(running)
    return tried, sorted(survivors, key=lambda one: (one.file, one.line))


def _one_ended(running: dict[int, Mutant]) -> list[Mutant]:
    pid, status = os.wait()
    mutant = running.pop(pid)
    return [mutant] if os.waitstatus_to_exitcode(status) == 0 else []


def _ended(pid: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def _begin(file: str, mutant: Mutant | None) -> int:
    """Run the file's tests in a process of their own, with the mutant in place of the module; returns the pid."""
    pid = os.fork()
    if pid:
        return pid
    code = NOTICED
    try:
        signal.alarm(TIMEOUT_S)  # a change that never ends has been noticed
        silence = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silence, 1)
        os.dup2(silence, 2)
        if mutant is not None:
            _install(file, mutant)
        names = [str(ROOT / "tests" / "scaler" / f"{name}.py") for name in TARGETS[file]]
        options = [
            "-x",
            "-q",
            "-p",
            "no:cacheprovider",
            "--no-header",
            "--tb=no",
            "--assert=plain",
            *LOADED,
            f"--rootdir={ROOT}",
        ]
        code = int(pytest.main([*options, *names]) != pytest.ExitCode.OK)
    finally:
        os._exit(code)


def _install(file: str, mutant: Mutant) -> None:
    """Put the changed module where every later import finds it."""
    name = file.removesuffix(".py").replace("/", ".")
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        raise ImportError(f"{file} is not a module")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    tree = mutated(Path(spec.origin).read_text(encoding="utf-8"), mutant)
    exec(compile(tree, spec.origin, "exec"), module.__dict__)  # noqa: S102  # that is what a mutant is for
    package, _, short = name.rpartition(".")
    setattr(sys.modules[package], short, module)


if __name__ == "__main__":
    sys.exit(main())
