"""A mutation check of the scaler's core: change one thing, run the fast tests, see whether any notices.

    python -m tests.mutation [FILE ...] [--limit SECONDS]

Prints every survivor as `file:line: what was changed`, and whether docs/MUTATION.md explains it. Exit 1 where one is
not explained, or one that it explains is noticed. No file is touched: each mutant lives in the memory of a process of
its own, a fork that has the tests loaded already where the change is inside a function, as most are.
"""

from __future__ import annotations

import argparse
import gc
import importlib
import importlib.util
import os
import resource
import sys
import time
from functools import partial
from pathlib import Path
from types import CodeType, FunctionType
from typing import TYPE_CHECKING

import pytest

from tests.mutants import Mutant, mutants, mutated

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

ROOT = Path(__file__).resolve().parents[1]
KNOWN = ROOT / "docs" / "MUTATION.md"
# The tests that ought to notice, and in front of them, by what is mutated, those that most likely do.
TESTS = (
    "test_machine",
    "test_scenarios",
    "test_reconcile",
    "test_health",
    "test_term",
    "test_term_losses",
    "test_term_numbers",
    "test_term_proxies",
    "test_lost_generations",
    "test_sizing",
    "test_backoff",
    "test_refusals",
    "test_policy",
    "test_transitions",
    "test_rollout",
    "test_reconcile_releases",
    "test_pinning",
    "test_canary",
)
TARGETS = {
    "scaler/policy.py": ("test_policy", "test_sizing"),
    "scaler/machine.py": ("test_machine", "test_term", "test_reconcile"),
    "scaler/transitions.py": ("test_transitions",),
    "scaler/reconcile.py": ("test_reconcile", "test_reconcile_releases", "test_machine", "test_health"),
    "scaler/sizing.py": ("test_sizing", "test_machine", "test_reconcile"),
    "scaler/health.py": ("test_health", "test_refusals", "test_backoff"),
    "scaler/term.py": ("test_term", "test_term_losses", "test_term_numbers", "test_term_proxies", "test_machine"),
}
# Of a processor, not by the clock: a busy machine must not pass for a test that notices. A whole run takes 2.
LIMIT_S = 5
AT_ONCE = 2
SURVIVED, NOTICED = 0, 1
# What every run needs is loaded before it begins, which pytest would warn of.
HEAVY = ("docker", "fleet.embedded", "fleet.memory", "fleet.settings", "fleet.store.opening", "hypothesis", "structlog")
OPTIONS = (
    *("-x", "-q", "-s", "-p", "no:cacheprovider", "--no-header", "--tb=no", "--assert=plain", "--timeout=0"),
    *("-W", "ignore::pytest.PytestAssertRewriteWarning", f"--rootdir={ROOT}"),
)


def main() -> int:
    """Try every mutant within the time given."""
    parser = argparse.ArgumentParser(description="Mutation check of the scaler's core.")
    parser.add_argument("files", nargs="*", default=list(TARGETS), help="; ".join(TARGETS))
    parser.add_argument("--limit", type=float, default=1800.0, help="seconds after which no further mutant is tried")
    chosen = parser.parse_args()
    for name in HEAVY:
        importlib.import_module(name)
    every = [one for file in chosen.files for one in mutants(file, (ROOT / file).read_text(encoding="utf-8"))]
    tried, survivors = _try(every, time.monotonic() + chosen.limit)
    known = KNOWN.read_text(encoding="utf-8") if KNOWN.exists() else ""
    new = [one for one in survivors if f"`{one.name}`" not in known]
    for one in survivors:
        print(f"{'NEW      ' if one in new else 'explained'} {one.file}:{one.line}: {one.kind}: {one.was}")
    names = {one.name for one in survivors}
    listed = [line[3:-1] for line in known.splitlines() if line.startswith("- `scaler/")]
    stale = [one for one in listed if one not in names and one.partition(":")[0] in chosen.files]
    for name in stale if tried == len(every) else ():
        print(f"NOTICED   {name}, which {KNOWN.name} explains")
    noticed = tried - len(survivors)
    print(f"{sum(os.times()[:4]):.0f} s of a processor")
    print(f"{len(every)} mutants, {tried} tried, {noticed} noticed, {len(survivors)} survived, {len(new)} unexplained")
    return 1 if new or stale or tried < len(every) else 0


def _try(every: Sequence[Mutant], until: float) -> tuple[int, list[Mutant]]:
    """How many were tried until then, and which of them nobody noticed."""
    trial = _Trial(until)
    for mutant in (one for one in every if not one.in_function):
        trial.add(mutant, partial(_run_with, mutant))
    trial.wait()
    inside = _Inside(trial, [one for one in every if one.in_function])
    code = pytest.main([*OPTIONS, *_paths(TESTS)], plugins=[inside])
    if code != pytest.ExitCode.OK:
        sys.exit(f"the tests cannot be run: pytest ends with {code!r}")
    return trial.tried, sorted(trial.survivors, key=lambda one: (one.file, one.line))


def _paths(names: Sequence[str]) -> list[str]:
    return [str(ROOT / "tests" / "scaler" / f"{name}.py") for name in names]


class _Trial:
    """Some mutants at a time, each in a process of its own."""

    def __init__(self, until: float) -> None:
        self.tried = 0
        self.survivors: list[Mutant] = []
        self._until = until
        self._running: dict[int, Mutant] = {}

    def add(self, mutant: Mutant, code: Callable[[], int]) -> None:
        """Begin with it as soon as there is room, unless the time is over."""
        if len(self._running) == AT_ONCE:
            self._one_ended()
        if time.monotonic() < self._until:
            self._running[_forked(code)] = mutant
            self.tried += 1

    def wait(self) -> None:
        """Until all have ended."""
        while self._running:
            self._one_ended()

    def _one_ended(self) -> None:
        pid, status = os.wait()
        mutant, code = self._running.pop(pid), os.waitstatus_to_exitcode(status)
        if code > NOTICED:
            sys.exit(f"{mutant.file}:{mutant.line}: {mutant.kind}: cannot be tried")
        if code == SURVIVED:
            self.survivors.append(mutant)


def _forked(code: Callable[[], int]) -> int:
    """The pid of a silent process that ends with this code, or by a signal where it takes too long."""
    pid = os.fork()
    if pid:
        return pid
    ending = NOTICED + 1
    try:
        resource.setrlimit(resource.RLIMIT_CPU, (LIMIT_S, LIMIT_S))
        silence = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silence, 1)
        os.dup2(silence, 2)
        ending = code()
    finally:
        os._exit(ending)


def _run_with(mutant: Mutant) -> int:
    """Load the changed module before any test is; a change that cannot be loaded is noticed."""
    try:
        _install(mutant)
    except Exception:  # noqa: BLE001  # whatever the change does
        return NOTICED
    return int(pytest.main([*OPTIONS, *_paths(TESTS)]) != pytest.ExitCode.OK)


def _install(mutant: Mutant) -> None:
    """Put the changed module where every later import finds it."""
    name = mutant.file.removesuffix(".py").replace("/", ".")
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        raise ImportError(f"{mutant.file} is not a module")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    exec(_compiled(mutant, spec.origin), module.__dict__)  # noqa: S102  # that is what a mutant is for
    package, _, short = name.rpartition(".")
    setattr(sys.modules[package], short, module)


def _compiled(mutant: Mutant, origin: str) -> CodeType:
    return compile(mutated(Path(origin).read_text(encoding="utf-8"), mutant), origin, "exec")


class _Inside:
    """A plugin that runs the tests it finds loaded once for each mutant, whose function it changes in place."""

    def __init__(self, trial: _Trial, every: Sequence[Mutant]) -> None:
        self._trial = trial
        self._every = every

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """In place of the tests themselves, which must pass without a change."""
        by_file = {file: _ordered(session.items, likely) for file, likely in TARGETS.items()}
        functions = [one for one in gc.get_objects() if isinstance(one, FunctionType)]
        gc.freeze()  # what a fork does not look at it need not copy
        if os.waitstatus_to_exitcode(os.waitpid(_forked(partial(_run, session, session.items)), 0)[1]) != SURVIVED:
            sys.exit("the tests fail without any change")
        for mutant in self._every:
            self._trial.add(mutant, partial(_run_changed, session, by_file[mutant.file], functions, mutant))
        self._trial.wait()
        return True


def _ordered(items: Sequence[pytest.Item], likely: Sequence[str]) -> list[pytest.Item]:
    return sorted(items, key=lambda item: likely.index(item.path.stem) if item.path.stem in likely else len(likely))


def _run(session: pytest.Session, items: Sequence[pytest.Item]) -> int:
    for item, following in zip(items, [*items[1:], None], strict=True):
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        if session.testsfailed:
            return NOTICED
    return SURVIVED


def _run_changed(
    session: pytest.Session, items: Sequence[pytest.Item], functions: Sequence[FunctionType], mutant: Mutant
) -> int:
    origin = str(ROOT / mutant.file)
    changed = dict(_codes(_compiled(mutant, origin)))
    known = [one for one in functions if one.__code__.co_filename == origin]
    differing = [one for one in known if changed[_key(one.__code__)] != one.__code__]
    if len(differing) != 1:
        raise LookupError(f"{mutant.name} changes {len(differing)} functions")
    differing[0].__code__ = changed[_key(differing[0].__code__)]
    return _run(session, items)


def _codes(code: CodeType) -> Iterator[tuple[tuple[str, int], CodeType]]:
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield _key(inner), inner
            yield from _codes(inner)


def _key(code: CodeType) -> tuple[str, int]:
    return code.co_qualname, code.co_firstlineno


if __name__ == "__main__":
    sys.exit(main())
