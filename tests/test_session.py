from __future__ import annotations

from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

SKIPPING = """
import pytest

@pytest.mark.live
def test_with_an_engine():
    pytest.skip("no engine answers")

def test_beside_it():
    pytest.skip("not here")
"""
LEAVING = """
import subprocess

import tests.session

tests.session.ENDING_TRIES = 10

def test_that_leaves_a_process():
    words = ["sh", "-c", "echo; exec sleep 300"]
    left = subprocess.Popen(words, stdout=subprocess.PIPE, start_new_session=True)
    left.stdout.readline()  # before its first line it may have no environment yet
"""
LONG = """
import pytest

@pytest.mark.parametrize("number", range(60))
def test_short(number):
    pass

@pytest.mark.timeout(120)
@pytest.mark.parametrize("number", range(4))
def test_long(number):
    pass

@pytest.mark.timeout(120)
@pytest.mark.xdist_group("together")
@pytest.mark.parametrize("number", range(3))
def test_long_together(number):
    pass
"""


@pytest.fixture
def run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).resolve().parents[1]))
    pytester.makeconftest('pytest_plugins = ["tests.session"]')
    pytester.makeini("[pytest]\nmarkers = live\nasyncio_default_fixture_loop_scope = function")
    return pytester


def test_a_skipped_live_test_is_listed_by_name_with_its_reason(run: pytest.Pytester) -> None:
    run.makepyfile(SKIPPING)
    result = run.runpytest_subprocess()
    result.assert_outcomes(skipped=2)
    result.stdout.fnmatch_lines(["*live tests skipped*", "*::test_with_an_engine: no engine answers"])
    result.stdout.no_fnmatch_line("*::test_beside_it: not here")


def test_with_ci_a_skipped_live_test_fails_and_others_may_skip(
    run: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CI", "true")
    run.makepyfile(SKIPPING)
    result = run.runpytest_subprocess()
    result.assert_outcomes(failed=1, skipped=1)
    result.stdout.fnmatch_lines(["*a part is missing, which CI=true makes a failure: no engine answers"])


def test_a_run_that_leaves_a_process_behind_fails_and_names_it(run: pytest.Pytester) -> None:
    run.makepyfile(LEAVING)
    result = run.runpytest_subprocess()
    result.assert_outcomes(passed=1)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    [line] = [line for line in result.outlines if line.startswith("process ")]
    assert line.endswith(": sleep 300 ")
    run.run("kill", line.split()[1].rstrip(":"))


def test_a_clean_run_passes(run: pytest.Pytester) -> None:
    run.makepyfile("def test_nothing(): pass")
    assert run.runpytest_subprocess().ret == pytest.ExitCode.OK


def test_each_worker_begins_with_its_share_of_the_long_tests_a_group_stays_with_one_and_every_test_runs_once(
    run: pytest.Pytester,
) -> None:
    run.makepyfile(LONG)
    result = run.runpytest_subprocess("-n", "3", "--dist", "worksteal", "-v")
    result.assert_outcomes(passed=67)
    ran = [(line.split()[0], line.split()[-1]) for line in result.outlines if "PASSED" in line]
    first = dict(reversed(ran))
    assert 3 == len(first)
    assert all("long" in name for name in first.values())
    assert 1 == len({worker for worker, name in ran if "together" in name})
