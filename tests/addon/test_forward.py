from __future__ import annotations

import re

import pytest
from mitmproxy.http import Headers, Request
from mitmproxy.test import tutils

from addon.forward import Forwarder, is_large


def request(*fields: tuple[bytes, bytes], **parts: bytes) -> Request:
    return tutils.treq(headers=Headers((*fields,)), **parts)


def seen(forwarder: Forwarder, *fields: tuple[bytes, bytes], client: str = "10.1.2.3") -> dict[bytes, bytes]:
    asked = request((b"Host", b"app.example"), *fields, authority=b"")
    forwarder.rewrite(asked.data, client, b"http")
    return {name.lower(): value for name, value in asked.headers.fields}


CLAIMS = (
    (b"X-Forwarded-For", b"6.6.6.6"),
    (b"x-forwarded-proto", b"https"),
    (b"X-Forwarded-Port", b"1"),
    (b"X_Forwarded_For", b"6.6.6.6"),
    (b"Forwarded", b"for=6.6.6.6"),
    (b"X-Request-ID", b"abc-1"),
    (b"X-Stoker-Anything", b"1"),
)


def test_a_strangers_claims_are_replaced_by_what_we_know() -> None:
    after = seen(Forwarder(()), *CLAIMS, (b"X-Stoker-Request", b"0" * 32), (b"X_Stoker_Profile", b"guess"))
    assert re.fullmatch(rb"(?!0{32})[0-9a-f]{32}", after.pop(b"x-stoker-request"))
    request_id = after.pop(b"x-request-id")
    assert request_id != b"abc-1"
    assert after == {
        b"host": b"app.example",
        b"x-forwarded-for": b"10.1.2.3",
        b"x-forwarded-host": b"app.example",
        b"x-forwarded-proto": b"http",
    }


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ((b"100-continue",), b"100-continue"),
        ((b"100-Continue",), b"100-continue"),
        ((b"100-continue", b"100-continue"), None),
        ((b"y 100-continue",), None),
        ((b"a-miracle",), None),
    ],
)
def test_the_one_expectation_that_mitmproxy_answers_is_left_to_it_and_all_others_are_dropped(
    said: tuple[bytes, ...], kept: bytes | None
) -> None:
    assert kept == seen(Forwarder(()), *((b"Expect", value) for value in said)).get(b"expect")


def test_a_trusted_proxys_claims_are_kept_and_its_address_added() -> None:
    after = seen(Forwarder(("10.0.0.0/8",)), *CLAIMS, (b"X-Stoker-Request", b"0" * 32))
    assert b"0" * 32 != after.pop(b"x-stoker-request")
    assert after == {
        b"host": b"app.example",
        b"forwarded": b"for=6.6.6.6",
        b"x-forwarded-for": b"6.6.6.6, 10.1.2.3",
        b"x-forwarded-host": b"app.example",
        b"x-forwarded-proto": b"https",
        b"x-forwarded-port": b"1",
        b"x-request-id": b"abc-1",
    }


@pytest.mark.parametrize("request_id", [b"", b"a b", b"a\xff", b"x" * 129, b"a;b"])
def test_a_request_id_is_kept_only_in_its_form(request_id: bytes) -> None:
    assert seen(Forwarder(("10.0.0.0/8",)), (b"X-Request-Id", request_id))[b"x-request-id"] != request_id


def test_a_mapped_address_is_trusted_as_what_it_maps() -> None:
    forwarder = Forwarder(("10.0.0.0/8",))
    assert b"x-request-id" in seen(forwarder, client="::ffff:10.0.0.1")
    assert seen(forwarder, (b"X-Request-Id", b"abc"), client="::ffff:10.0.0.1")[b"x-request-id"] == b"abc"
    assert seen(forwarder, (b"X-Request-Id", b"abc"), client="not an address")[b"x-request-id"] != b"abc"


def test_the_ids_by_which_crashes_are_known_are_random() -> None:
    forwarder = Forwarder(())
    made = [seen(forwarder)[b"x-stoker-request"] for _ in range(600)]
    assert 600 == len(set(made))
    assert 600 == len({one[:8] for one in made})


@pytest.mark.parametrize(("token", "share", "asked"), [("t" * 16, 1.0, 50), ("t" * 16, 0.0, 0), (None, 1.0, 0)])
def test_the_app_is_asked_for_a_share_of_profiles_with_the_token(token: str | None, share: float, asked: int) -> None:
    forwarder = Forwarder((), token, share)
    given = [seen(forwarder, (b"x-stoker-profile", b"guess")).get(b"x-stoker-profile") for _ in range(50)]
    assert asked == given.count(b"t" * 16)
    assert asked == 50 - given.count(None)


def test_request_ids_are_unlike_each_other() -> None:
    forwarder = Forwarder(())
    assert len({seen(forwarder)[b"x-request-id"] for _ in range(100)}) == 100


def test_other_headers_pass_as_they_are_and_in_order() -> None:
    asked = request((b"Host", b"a"), (b"Cookie", b"1"), (b"X-Other", b"2"), (b"cookie", b"3"))
    Forwarder(()).rewrite(asked.data, "10.1.2.3", b"http")
    assert asked.headers.fields[:4] == ((b"Host", b"a"), (b"Cookie", b"1"), (b"X-Other", b"2"), (b"cookie", b"3"))


@pytest.mark.parametrize(
    "name", [b"X_Real_Ip", b"X.Stoker.Profile", b"Client-Ip", b"forwarded", b"X-Scheme", b"Proxy", b"api_key"]
)
def test_no_other_name_says_for_a_stranger_who_asks_and_for_what(name: bytes) -> None:
    assert name.lower() not in seen(Forwarder(()), (name, b"6.6.6.6"))


def test_a_trusted_proxy_may_say_it_but_never_under_a_name_of_two_readings() -> None:
    after = seen(Forwarder(("10.0.0.0/8",)), (b"X-Real-Ip", b"1"), (b"X_Real_Ip", b"2"), (b"Proxy", b"3"))
    assert (b"1", None, None) == tuple(after.get(name) for name in (b"x-real-ip", b"x_real_ip", b"proxy"))


@pytest.mark.parametrize(
    ("said", "passed"),
    [
        ({b"Connection": b"Keep-Alive, X-Request-Id"}, {b"connection": b"keep-alive"}),
        ({b"Connection": b"close , x"}, {b"connection": b"close"}),
        ({b"Connection": b"Upgrade", b"Upgrade": b"h2c"}, {}),
        ({b"Connection": b"Upgrade", b"Upgrade": b"h2c, websocket"}, {}),
        (
            {b"Connection": b"x, Upgrade", b"Upgrade": b"WebSocket"},
            {b"connection": b"Upgrade", b"upgrade": b"WebSocket"},
        ),
    ],
)
def test_of_a_clients_words_about_its_connection_only_what_we_act_upon_passes(
    said: dict[bytes, bytes], passed: dict[bytes, bytes]
) -> None:
    after = seen(Forwarder(()), *said.items())
    assert passed == {name: value for name, value in after.items() if name in {b"connection", b"upgrade"}}


@pytest.mark.parametrize(
    ("field", "large"),
    [
        ((b"Content-Length", b"65536"), False),
        ((b"Content-Length", b"65537"), True),
        ((b"content-length", b"100000000"), True),
        ((b"Transfer-Encoding", b"chunked"), True),
        ((b"Content-Type", b"text/html"), False),
    ],
)
def test_a_body_is_streamed_when_it_is_long_or_of_unknown_length(field: tuple[bytes, bytes], large: bool) -> None:
    assert is_large((field,)) is large


def test_a_body_without_any_length_is_streamed_where_that_means_unknown() -> None:
    assert is_large((), unknown=True)
    assert not is_large(((b"Content-Length", b"1"),), unknown=True)
