from __future__ import annotations

import pytest

from stoker.web.guard import is_known

NAMES = ("stoker.example.org",)


@pytest.mark.parametrize(
    "host",
    ["localhost", "LOCALHOST:8090", "fleet.localhost:1", "127.0.0.1:8090", "10.0.0.4", "[::1]:8090", "[fd00::2]",
     "stoker.example.org", "Stoker.Example.org:443", "localhost."],
)  # fmt: skip
def test_addresses_localhost_and_configured_names_are_this_machine(host: str) -> None:
    assert is_known(host, NAMES)


@pytest.mark.parametrize(
    "host",
    ["localhost\x00", "", "evil.example:8090", "127.0.0.1.evil.example", "localhost.evil.example",
     "localhost:80:80", "localhost:x", "[::1", "[::1]x", "127.0.0.1@evil.example", "other.stoker.example.org",
     "0x7f000001"],
)  # fmt: skip
def test_any_other_name_may_be_a_strangers(host: str) -> None:
    assert not is_known(host, NAMES)
