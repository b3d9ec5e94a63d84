from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from stoker.doctor.finding import Finding, Grade, ok, wrong
from stoker.doctor.running import gathered, print_findings, run_doctor
from tests.stoker.fleets import Fleet, fleet
from tests.valkey import folder, free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[3]


def test_a_check_that_hangs_is_a_finding_and_holds_up_no_other() -> None:
    never = threading.Event()

    def hang() -> list[Finding]:
        never.wait(30)
        return []

    found = gathered({"hangs": hang, "works": lambda: [ok("works", "yes")]}, 2.0)
    never.set()
    assert [("hangs", Grade.WRONG), ("works", Grade.OK)] == [(one.subject, one.grade) for one in found]


def test_a_check_that_fails_is_a_finding() -> None:
    def fail() -> list[Finding]:
        raise OSError(13, "Permission denied")

    [finding] = gathered({"x": fail})
    assert (Grade.WRONG, "[Errno 13] Permission denied") == (finding.grade, finding.text)


def test_a_bug_in_a_check_is_not_hidden() -> None:
    with pytest.raises(ZeroDivisionError):
        gathered({"x": lambda: [ok("x", str(1 // 0))]})


def test_for_scripts_each_finding_is_one_object(capsys: pytest.CaptureFixture[str]) -> None:
    print_findings([ok("a", "[red]b"), wrong("c", "d", "e")], as_json=True)
    assert [
        {"subject": "a", "grade": "ok", "text": "[red]b", "remedy": ""},
        {"subject": "c", "grade": "wrong", "text": "d", "remedy": "e"},
    ] == [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_for_people_what_to_do_stands_below(capsys: pytest.CaptureFixture[str]) -> None:
    print_findings([ok("a", "[red]b"), wrong("c", "d", "e")], as_json=False)
    words = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [["ok", "a", "[red]b"], ["wrong", "c", "d"], ["e"], ["1", "wrong"]] == words


def test_what_is_piped_is_neither_wrapped_nor_cut(capsys: pytest.CaptureFixture[str]) -> None:
    address = "unix:///" + "x" * 200
    print_findings([wrong("redis", f"Redis at {address} says no", "look")], as_json=False)
    assert f"wrong  redis  Redis at {address} says no" == capsys.readouterr().out.splitlines()[0].rstrip()


def test_wrong_settings_are_findings_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "stoker.toml").write_text("[policy]\nmin = 9\nmax = 3\nnonsense = 1\n")
    assert not run_doctor(None, None, as_json=True)
    first = json.loads(capsys.readouterr().out.splitlines()[0])
    assert ("settings", "wrong") == (first["subject"], first["grade"])


@pytest.mark.live
@pytest.mark.timeout(120)
class TestLive:
    @pytest.fixture
    def shop(self, fleet_name: str) -> Iterator[Fleet]:
        with folder() as path, fleet(fleet_name, path, free_port()) as found:
            yield found

    def test_a_fleet_that_is_up_is_well(self, shop: Fleet) -> None:
        shop.start()
        argv = [sys.executable, "-P", "-m", "stoker", "doctor", "--json", "--config", str(shop.folder / "stoker.toml")]
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        found = subprocess.run(argv, capture_output=True, text=True, env=environment, check=False, timeout=60)
        findings = [json.loads(line) for line in found.stdout.splitlines()]
        assert [] == [one for one in findings if one["grade"] == "wrong"]
        told = {one["subject"]: one["text"] for one in findings}
        assert (0, f"answers on 127.0.0.1:{shop.port}") == (found.returncode, told["proxy"])
        assert told["proxies"].endswith("reports and is in step")
