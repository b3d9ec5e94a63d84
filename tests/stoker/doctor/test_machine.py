from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fleet.settings import Settings, load
from stoker.doctor.finding import Grade
from stoker.doctor.machine import (
    _faults,
    check_access_log,
    check_packages,
    check_plane,
    check_secrets,
    check_state_folder,
)
from stoker.doctor.ports import check_ports
from tests.valkey import free_port

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def no_settings_from_outside(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)


def settings(tmp_path: Path, **values: object) -> Settings:
    ports = {f"metrics.{name}_port": "none" for name in ("scaler", "haproxy", "mitmproxy")}
    plain = {"state_dir": tmp_path / "state", "proxy.listen_port": free_port(), "web.enabled": False}
    return load(None, **{**ports, **plain, **values})


def test_what_is_installed_is_what_is_required() -> None:
    assert [Grade.OK] == [one.grade for one in check_packages()]


def test_a_missing_and_an_old_package_are_named() -> None:
    required = ["nobody-made-this>=1", "typer>=999", "pytest>=8; extra == 'dev'", "rich>=1"]
    assert ["nobody-made-this is missing", True] == [
        next(iter(_faults(required))),
        any(fault.startswith("typer ") and fault.endswith("is not >=999") for fault in _faults(required)),
    ]
    assert 2 == len(list(_faults(required)))


def test_a_state_folder_is_looked_at_and_not_made(tmp_path: Path) -> None:
    assert [Grade.OK] == [one.grade for one in check_state_folder(settings(tmp_path))]
    assert not (tmp_path / "state").exists()
    (tmp_path / "file").write_text("")
    assert [Grade.WRONG] == [one.grade for one in check_state_folder(settings(tmp_path, state_dir=tmp_path / "file"))]
    (tmp_path / "state" / "stoker").mkdir(parents=True)
    (tmp_path / "state" / "stoker").chmod(0o777)
    assert [Grade.NOTE] == [one.grade for one in check_state_folder(settings(tmp_path))]


def test_files_of_secrets_are_nobody_elses_to_read(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text("x" * 20)
    path.chmod(0o600)
    chosen = settings(tmp_path, **{"instance.env_file": path})
    assert [Grade.OK] == [one.grade for one in check_secrets(chosen)]
    path.chmod(0o644)
    [finding] = check_secrets(chosen)
    assert (Grade.NOTE, f"chmod o= {path}") == (finding.grade, finding.remedy)
    path.unlink()
    assert [Grade.WRONG] == [one.grade for one in check_secrets(chosen)]


def test_a_weak_webhook_secret_is_found(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text("weak")
    path.chmod(0o600)
    chosen = settings(tmp_path, **{"webhooks.url": "http://127.0.0.1/", "webhooks.secret_file": path})
    assert [Grade.OK, Grade.WRONG] == [one.grade for one in check_secrets(chosen)]


def test_the_proxys_program_is_found(tmp_path: Path) -> None:
    assert [Grade.OK] == [one.grade for one in check_plane(settings(tmp_path))]
    broken = settings(tmp_path, **{"proxy.kind": "haproxy", "haproxy.binary": tmp_path / "none"})
    assert [Grade.WRONG] == [one.grade for one in check_plane(broken)]
    deep = settings(tmp_path, **{"proxy.kind": "haproxy", "haproxy.sockets_dir": tmp_path / ("x" * 200)})
    assert [Grade.WRONG] == [one.grade for one in check_plane(deep)]


def test_a_file_of_a_secret_that_is_not_there_is_told_once(tmp_path: Path) -> None:
    path = tmp_path / "none"
    for name in ("webhooks.secret_file", "alerts.token_file", "profile_token_file"):
        chosen = settings(tmp_path, **{"webhooks.url": "http://127.0.0.1/", "webhooks.secret": "x" * 16, name: path})
        assert [(name, Grade.WRONG)] == [(one.subject, one.grade) for one in check_secrets(chosen)]


def test_a_weak_alert_token_is_found(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("weak")
    path.chmod(0o600)
    chosen = settings(tmp_path, **{"alerts.token_file": path})
    assert [Grade.OK, Grade.WRONG] == [one.grade for one in check_secrets(chosen)]


def test_a_state_folder_that_is_a_file_is_one_finding(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    chosen = settings(tmp_path, state_dir=tmp_path / "file")
    assert [Grade.WRONG, Grade.OK] == [one.grade for one in (*check_state_folder(chosen), *check_ports(chosen))]


def test_an_access_log_that_cannot_be_is_found_and_none_is_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    grades = {
        name: [one.grade for one in check_access_log(settings(tmp_path, **{"access_log.file": str(name)}))]
        for name in ("-", tmp_path / "new" / "access.log", tmp_path / "file" / "access.log", tmp_path)
    }
    assert [[], [Grade.OK], [Grade.WRONG], [Grade.WRONG]] == list(grades.values())
    assert not (tmp_path / "new").exists()
    assert [] == check_access_log(settings(tmp_path))
