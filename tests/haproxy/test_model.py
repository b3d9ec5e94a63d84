"""What may reach a configuration or a command, and which backends become targets."""

from __future__ import annotations

import ipaddress

import pytest

from fleet.backend import Backend, Phase
from fleet.registry import Snapshot
from haproxy.model import Slot, Target, slots_for, targets_of

NETWORKS = (ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128"))


def serving(name: str, url: str | None, weight: int = 100) -> Backend:
    return Backend(name, Phase.SERVING, url, weight)


def targets(*backends: Backend) -> tuple[tuple[Target, ...], tuple[str, ...]]:
    return targets_of(Snapshot(1, {one.name: one for one in backends}), NETWORKS)


@pytest.mark.parametrize(("most", "slots"), [(1, 16), (8, 16), (9, 18), (10, 20), (1000, 2000)])
def test_there_are_slots_for_those_that_leave_too(most: int, slots: int) -> None:
    assert slots == slots_for(most)


def test_only_serving_backends_get_requests() -> None:
    others = [phase for phase in Phase if phase is not Phase.SERVING]
    found, faults = targets(
        serving("web1", "http://127.0.0.1:81", 7),
        serving("web2", "http://[::1]:82"),
        *(Backend(f"web{number}", phase, "http://127.0.0.1:90") for number, phase in enumerate(others, 3)),
    )
    assert (Target("web1", "127.0.0.1", 81, 7), Target("web2", "::1", 82)) == found
    assert () == faults


@pytest.mark.parametrize(
    "url",
    [
        *(None, "", "http://127.0.0.1", "http://127.0.0.1:0", "http://127.0.0.1:99999", "https://127.0.0.1:80"),
        *("http://8.8.8.8:80", "http://a.example:80", "http://127.0.0.1:80/", "http://127.0.0.1:80 disabled"),
        "http://127.0.0.1:80\nserver x 1.2.3.4:1",
    ],
)
def test_a_url_that_cannot_be_believed_gets_nothing_and_is_named(url: str | None) -> None:
    found, faults = targets(serving("web1", url), serving("web2", "http://127.0.0.1:82"))
    assert ["web2"] == [one.name for one in found]
    assert 1 == len(faults)
    assert "web1" in faults[0]


def test_of_two_at_one_address_the_newer_gets_the_requests() -> None:
    found, faults = targets(serving("web1", "http://127.0.0.1:81"), serving("web5", "http://127.0.0.1:81"))
    assert ["web5"] == [one.name for one in found]
    assert ("backend web1: web5 has the same address, http://127.0.0.1:81",) == faults


@pytest.mark.parametrize(
    ("name", "address", "port", "weight"),
    [
        ("web 1", "127.0.0.1", 80, 1),
        ("web1\n", "127.0.0.1", 80, 1),
        ("", "127.0.0.1", 80, 1),
        ("web1", "localhost", 80, 1),
        ("web1", "127.0.0.1", 65536, 1),
        ("web1", "127.0.0.1", 0, 1),
        ("web1", "127.0.0.1", 80, 257),
        ("web1", "127.0.0.1", 80, -1),
    ],
)
def test_what_must_not_reach_haproxy_is_refused(name: str, address: str, port: int, weight: int) -> None:
    with pytest.raises(ValueError, match=r"not allowed|not appear"):
        Target(name, address, port, weight)


@pytest.mark.parametrize("name", ["s0", "x1", "s1;", "s", "s01", "app/s1"])
def test_a_slot_has_one_of_our_names(name: str) -> None:
    with pytest.raises(ValueError, match="slot: not allowed"):
        Slot(name)
