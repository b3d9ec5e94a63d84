"""Short variants of the directed live runs; each is run at its full length by `python -m tests.chaos.live.NAME`."""

from __future__ import annotations

import os
import shutil

import pytest

from tests.chaos.live.breaks import agent, clock, disk, reboot
from tests.chaos.live.engine import DOCKERD, hung
from tests.chaos.live.failover import failover
from tests.chaos.live.garbage import garbage
from tests.chaos.live.hung import mute, noack, outage
from tests.chaos.live.outages import away, wiped
from tests.chaos.live.phases import phases
from tests.chaos.live.proxies import killed, late, scalers
from tests.chaos.live.server import FAKETIME
from tests.chaos.live.sleepers import sleepers
from tests.chaos.live.soak import soak
from tests.chaos.live.zero import zero

pytestmark = [pytest.mark.live, pytest.mark.timeout(240)]
RPS = 40.0


@pytest.fixture(autouse=True)
def _haproxy() -> None:
    if shutil.which("haproxy", path="/usr/sbin:/usr/bin:/usr/local/bin:/usr/local/sbin") is None:
        pytest.skip("haproxy is not installed")


async def test_a_scaler_killed_in_each_phase_leaves_nothing_twice_and_nothing_orphaned() -> None:
    assert [] == (await phases(times=1)).broken


async def test_redis_away_loses_no_request_and_holds_the_scale() -> None:
    assert [] == (await away(8.0, RPS)).broken


async def test_redis_wiped_loses_no_request_and_touches_no_instance() -> None:
    assert [] == (await wiped(RPS)).broken


async def test_a_dead_master_is_followed_by_its_replica_without_a_loss() -> None:
    assert [] == (await failover()).broken


@pytest.mark.parametrize("plane", ["mitmproxy", "haproxy"])
async def test_fifty_requests_at_once_wake_an_empty_fleet_and_are_answered(plane: str) -> None:
    assert [] == (await zero(plane, rounds=1)).broken


@pytest.mark.parametrize("wiped", [False, True], ids=["", "wiped"])
async def test_a_scaler_that_slept_longer_than_its_lease_changes_nothing(*, wiped: bool) -> None:
    assert [] == (await sleepers(wiped=wiped)).broken


async def test_an_app_that_never_answers_is_replaced() -> None:
    assert [] == (await mute()).broken


async def test_a_proxy_that_never_acknowledges_does_not_stop_the_rest() -> None:
    assert [] == (await noack()).broken


async def test_an_outage_behind_the_app_replaces_nothing() -> None:
    assert [] == (await outage(8.0)).broken


async def test_a_reboot_of_the_host_loses_only_what_was_in_flight() -> None:
    assert [] == (await reboot()).broken


async def test_haproxy_without_its_agent_counts_as_a_user_of_its_backends() -> None:
    assert [] == (await agent()).broken


async def test_clocks_that_step_by_an_hour_change_nothing() -> None:
    if not FAKETIME.exists():
        pytest.skip("libfaketime is not installed (Debian package faketime)")
    assert [] == (await clock()).broken


async def test_a_full_disk_ends_nothing() -> None:
    assert [] == (await disk()).broken


async def test_an_engine_that_hangs_and_one_that_is_killed_end_nothing_that_serves() -> None:
    if DOCKERD is None or os.getuid() != 0:
        pytest.skip("no container engine can be started (Debian package docker.io, as root)")
    assert [] == (await hung(12.0)).broken


async def test_proxies_that_start_during_a_drain_never_send_to_what_drains() -> None:
    assert [] == (await late()).broken


async def test_killed_proxies_do_not_make_the_rate_jump() -> None:
    assert [] == (await killed(kills=4)).broken


async def test_of_three_scalers_one_acts_and_another_goes_on_with_what_a_killed_one_began() -> None:
    assert [] == (await scalers(rounds=2)).broken


async def test_garbage_in_the_keys_ends_nothing() -> None:
    assert [] == (await garbage(only=("backends", "scaler"))).broken


async def test_a_fleet_that_moves_leaves_nothing_behind() -> None:
    soaked = await soak(20.0, 20.0, 10.0)
    assert ([], []) == (soaked.failed, soaked.left)
    assert soaked.moves
