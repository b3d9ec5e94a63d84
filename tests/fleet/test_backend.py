from __future__ import annotations

import ipaddress
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleet.backend import (
    APP_NAME,
    Backend,
    Phase,
    allowed,
    backend_address,
    instance_name,
    instance_number,
    parse_backend,
)
from fleet.settings import Settings

NETWORKS = Settings().networks
URLS = st.builds(
    "http://{}:{}".format,
    st.ip_addresses(v=4, network="10.0.0.0/8") | st.ip_addresses(v=4, network="127.0.0.0/8"),
    st.integers(1, 65535),
) | st.builds("http://[{}]:{}".format, st.ip_addresses(v=6, network="fc00::/7"), st.integers(1, 65535))
BACKENDS = st.builds(
    Backend,
    name=st.integers(1, 10**15 - 1).map("production{}".format),
    phase=st.sampled_from(Phase),
    url=st.none() | URLS,
    weight=st.integers(0, 256),
    host=st.from_regex(r"\A[A-Za-z0-9]([A-Za-z0-9_.-]{0,20}[A-Za-z0-9])?\Z"),
    since=st.floats(0, 1e12, exclude_max=True),
    spec=st.text(max_size=20),
    token=st.integers(0, 10**15),
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just(10**400),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
ENTRIES = st.fixed_dictionaries(
    {"phase": st.sampled_from(Phase), "weight": st.integers(-1, 257)},
    optional={
        "url": st.just("http://127.0.0.1:80") | JSON,
        "host": st.just("local") | JSON,
        "since": st.sampled_from([10**400, float("nan"), float("inf"), -1, True]) | JSON,
        "spec": JSON,
        "token": JSON,
    },
)


@given(BACKENDS)
def test_a_backend_survives_the_store(backend: Backend) -> None:
    assert backend == parse_backend("production", backend.name, backend.to_json(), NETWORKS)


@given(ENTRIES.map(json.dumps) | ENTRIES.map(json.dumps) | JSON.map(json.dumps) | st.text() | st.binary())
@settings(max_examples=300)
def test_whatever_the_store_holds_is_a_sound_backend_or_a_fault_of_one_line(text: str | bytes) -> None:
    try:
        backend = parse_backend("production", "production1", text, NETWORKS)
    except ValueError as error:
        said = str(error)
    else:
        said = ""
        assert 0 <= backend.weight <= 256
        assert isinstance(backend.spec, str)
        assert backend == parse_backend("production", "production1", backend.to_json(), NETWORKS)
    assert "\n" not in said
    assert len(said) < 300


@given(st.text(max_size=40))
def test_any_name_is_of_this_app_or_a_fault(name: str) -> None:
    number = instance_number("production", name)
    assert number is None or name == instance_name("production", number)


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("production1", 1),
        ("production120", 120),
        ("production0", None),
        ("production01", None),
        ("production-1", None),
        ("production", None),
        ("web1", None),
        ("production\u0661", None),
        ("production1 ", None),
        ("production" + "9" * 15, 10**15 - 1),
        ("production1" + "0" * 15, None),
    ],
)
def test_a_names_number_is_what_follows_the_app(name: str, number: int | None) -> None:
    assert number == instance_number("production", name)


@pytest.mark.parametrize(("name", "fits"), [("a", True), ("a-b", True), ("a1b", True), ("a1", False), ("-a", False)])
def test_an_apps_name_ends_with_a_letter(name: str, fits: bool) -> None:
    assert fits == bool(APP_NAME.fullmatch(name))


@pytest.mark.parametrize("url", ["http://127.0.0.1:80", "http://[::1]:3000", "http://10.1.2.3:65535"])
def test_a_url_is_an_address_and_a_port(url: str) -> None:
    address, port = backend_address("production1", url, NETWORKS)
    assert url == f"http://{f'[{address}]' if ':' in address else address}:{port}"


@pytest.mark.parametrize(
    "url",
    [
        "https://127.0.0.1:80",
        "http://127.0.0.1",
        "http://127.0.0.1:0",
        "http://127.0.0.1:65536",
        "http://127.0.0.1:080",
        "http://127.0.0.1:80/",
        "http://127.0.0.1:80/path",
        "http://127.0.0.1:80?q",
        "http://user@127.0.0.1:80",
        "http://localhost:80",
        "http://8.8.8.8:80",
        "http://169.254.169.254:80",
        "http://[fe80::1]:80",
        "http://[fd00:ec2::254]:80",
        "http://[::ffff:a00:1]:80",
        "http://0.0.0.0:80",
        "http://127.1:80",
        "http://127.0.0.1:80\r\nx",
        " http://127.0.0.1:80",
        "http://[::ffff:8.8.8.8]:80",
        "",
        5,
        None,
    ],
)
def test_any_other_url_is_refused(url: object) -> None:
    with pytest.raises(
        ValueError, match=r"^backend production1: url must be http://ip:port inside backend_networks, was"
    ):
        backend_address("production1", url, NETWORKS)


def test_a_metadata_service_is_refused_even_where_a_network_holds_it() -> None:
    everything = (ipaddress.ip_network("0.0.0.0/0"), ipaddress.ip_network("::/0"))
    for address in ("169.254.169.254", "100.100.100.200", "fd00:ec2::254", "::ffff:169.254.169.254"):
        assert not allowed(ipaddress.ip_address(address), everything)
    assert allowed(ipaddress.ip_address("8.8.8.8"), everything)
