from __future__ import annotations

import threading
import time

import pytest

from stoker.webhooks.post import Receiver, signature
from tests.stoker.webhooks.receiver import KEY, receiving
from tests.valkey import free_port


def post(url: str, timeout_s: float = 30.0) -> str:
    now = str(int(time.time()))  # noqa: TID251  # the receiver's clock
    return Receiver(url, KEY.encode(), timeout_s).send("id", b'{"id":1}', now)


def test_the_signature_is_the_one_that_any_other_implementation_finds() -> None:
    # printf '1700000000.{"a":1}' | openssl dgst -sha256 -hmac key
    expected = "sha256=a438e398bfafc57e4396bb7fc2304422f0f768e965d073ca313cb52e22e6ad03"
    assert expected == signature(b"key", "1700000000", b'{"a":1}')


def test_a_message_that_is_taken_verifies() -> None:
    with receiving() as receiver:
        assert "" == post(receiver.url)
        assert ([{"id": 1}], 0) == (receiver.got, receiver.forged)


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_not_followed(status: int) -> None:
    with receiving(answers=[status]) as receiver:
        assert f"it answered {status}" == post(receiver.url)
        assert ["/hook"] == receiver.paths


@pytest.mark.parametrize("status", [400, 404, 429, 500, 503])
def test_only_2xx_is_taken(status: int) -> None:
    with receiving(answers=[status]) as receiver:
        assert f"it answered {status}" == post(receiver.url)


def test_a_receiver_that_hangs_costs_its_timeout_and_no_more() -> None:
    with receiving(hang=threading.Event()) as receiver:
        begin = time.monotonic()
        assert "no answer within 0.3 s" == post(receiver.url, 0.3)
        assert time.monotonic() - begin < 20


def test_nobody_there_is_one_line_without_the_url() -> None:
    assert "unreachable: Connection refused" == post(f"http://127.0.0.1:{free_port()}/token")
    assert "unreachable: its name or certificate is not known" == post("http://receiver.invalid/token")


def test_a_receiver_never_shows_itself() -> None:
    assert "token" not in repr(Receiver("http://a/token", b"token", 1.0))
