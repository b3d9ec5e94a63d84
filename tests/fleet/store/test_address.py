from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.errors import SettingsError
from fleet.settings import load
from fleet.store.address import Address, address_of

if TYPE_CHECKING:
    from pathlib import Path


def read(url: str, **settings: object) -> Address:
    return address_of(load(None, **settings), url)


@pytest.mark.parametrize(
    ("url", "shown", "options"),
    [
        ("redis://h", "redis://h/0", {"host": "h", "port": 6379, "db": 0, "password": None}),
        ("redis://u:p%40@h:7/3", "redis://h:7/3", {"host": "h", "port": 7, "db": 3, "username": "u", "password": "p@"}),
        ("redis://:p@[::1]:7", "redis://[::1]:7/0", {"host": "::1", "port": 7, "password": "p", "username": None}),
        ("redis://[::1]", "redis://[::1]/0", {"host": "::1", "port": 6379}),
        ("redis://h?db=4", "redis://h/4", {"db": 4}),
        ("rediss://h:7", "rediss://h:7/0", {"ssl_ca_certs": None, "ssl_check_hostname": True}),
        ("unix:///run/a%20b.sock?db=2", "unix:///run/a%20b.sock", {"path": "/run/a b.sock", "db": 2}),
        ("unix://:p@/run/a.sock", "unix:///run/a.sock", {"path": "/run/a.sock", "password": "p"}),
    ],
)
def test_a_url_says_where_and_how(url: str, shown: str, options: dict[str, Any]) -> None:
    address = read(url)
    assert shown == address.shown
    assert options == {key: address.options[key] for key in options}


def test_sentinels_know_the_server_of_a_service() -> None:
    address = read("redis+sentinel://u:p@a:1,b,[::1]:3/mine/5?sentinel_password=s")
    assert "redis+sentinel://a:1,b,[::1]:3/mine" == address.shown
    assert (("a", 1), ("b", 26379), ("::1", 3)) == address.sentinels
    assert ("mine", {"password": "s"}) == (address.service, address.sentinel_options)
    assert {"username": "u", "password": "p", "db": 5} == address.options


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("http://h", "redis_url: must be a url such as .*"),
        ("h:6379", "redis_url: must be a url such as .*"),
        ("redis://", "redis_url: must be a url such as .*"),
        ("unix://", "redis_url: must be a url such as .*"),
        ("redis://[::1", "redis_url: must be a url such as .*"),
        ("redis://h:port", "redis_url: its port must be a number; .*"),
        ("redis://h/x", "redis_url: its db must be a number; .*"),
        ("redis://h?timeout=3", "redis_url: timeout is not an option of it; db and sentinel_password are"),
        ("redis+sentinel://h:1", "redis_url: the service's name must follow the sentinels, as in /mymaster"),
    ],
)
def test_a_url_that_cannot_be_read_is_refused_in_one_line(url: str, message: str) -> None:
    with pytest.raises(SettingsError, match=f"^{message}$"):
        read(url)


@given(
    scheme=st.sampled_from(["redis", "rediss", "unix", "redis+sentinel", "http", ""]),
    around=st.text(alphabet="/@:?#[]%x,", max_size=6),
    after=st.text(alphabet="/@:?#[]%x,", max_size=6),
)
def test_no_error_and_no_shown_address_carries_the_password(scheme: str, around: str, after: str) -> None:
    try:
        address = read(f"{scheme}://user:23571{around}@host{after}:6379/0")
    except SettingsError as error:
        said = f"{error} {error.__cause__}"
    else:
        said = repr(address)
    assert "23571" not in said


def test_the_password_file_wins_over_the_url(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("from file\n")
    assert "from file" == read("redis://:url@h", redis_password_file=file).options["password"]


def test_a_password_file_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"redis_password_file: .*/none cannot be read: No such file or directory"):
        read("redis://h", redis_password_file=tmp_path / "none")


def test_a_certificate_file_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"redis_ca_file: must name a file, was '.*/none'"):
        read("rediss://h", redis_ca_file=tmp_path / "none")
