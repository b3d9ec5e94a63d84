from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING

import pytest

from fleet.settings import Settings, load
from fleet.store.opening import open_noticeboard
from stoker.doctor.finding import Grade
from stoker.doctor.ports import check_ports, may_listen
from tests.contracts.stores import reading
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


def test_a_port_that_somebody_has_is_named_with_its_setting(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        [finding] = check_ports(settings(tmp_path, **{"proxy.listen_port": port}))
    assert (Grade.WRONG, f"proxy.listen_port: somebody listens on 127.0.0.1:{port} already") == (
        finding.grade,
        finding.text,
    )
    assert [Grade.OK] == [one.grade for one in check_ports(settings(tmp_path))]


def test_the_port_for_alerts_counts_once_a_token_is_set(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = {"alerts.port": other.getsockname()[1]}
        assert [Grade.OK] == [one.grade for one in check_ports(settings(tmp_path, **port))]
        chosen = settings(tmp_path, **port, **{"alerts.token": "x" * 16})
        assert ["alerts.port"] == [one.text.split(":")[0] for one in check_ports(chosen)]


async def test_a_port_that_may_be_held_by_a_service_of_this_fleet_is_no_fault(
    tmp_path: Path, store_settings: Settings
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        values = {"proxy.listen_port": other.getsockname()[1], "redis_url": store_settings.redis_url}
        chosen = settings(tmp_path, fleet=store_settings.fleet, **values)
        assert [Grade.WRONG] == [one.grade for one in await asyncio.to_thread(check_ports, chosen)]
        board = open_noticeboard(chosen)
        try:
            await board.report(reading("p1"))
            assert [Grade.NOTE] == [one.grade for one in await asyncio.to_thread(check_ports, chosen)]
        finally:
            await board.aclose()


def test_a_low_port_needs_root_or_the_one_capability() -> None:
    assert [False, True, True, True] == [
        may_listen(80, 1024, 0),
        may_listen(80, 1024, 1 << 10),
        may_listen(80, 80, 0),
        may_listen(8080, 1024, 0),
    ]
