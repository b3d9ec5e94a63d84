"""Answers that are errors, cut short, slow or unknown: each becomes one line, and none is taken for another's."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from haproxy.answers import read_front, read_info, read_servers, read_slots, read_variable
from haproxy.errors import HaproxyError
from haproxy.runtime_api import RuntimeApi, ask_master, processes
from tests.haproxy.scripted import PROMPT, stats_socket
from tests.valkey import folder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def socket() -> Iterator[Path]:
    with folder() as path:
        yield path / "stats.sock"


async def test_many_commands_go_in_one_go_and_each_gets_its_own_answer(socket: Path) -> None:
    async with stats_socket(socket, lambda command: f"you said {command}\n".encode() + PROMPT) as asked:
        link = RuntimeApi(socket)
        await link.open()
        assert ["you said a", "you said b"] == await link.ask("a", "b")
        assert ["prompt", "set severity-output number", "a", "b"] == asked
        link.close()


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (None, "the answer was cut short at `show info`"),
        (b"Name: HAPr", "no answer in time at `show info`"),
        (b"", "no answer in time at `show info`"),
    ],
)
async def test_an_answer_that_does_not_come_ends_the_conversation(
    socket: Path, answer: bytes | None, words: str
) -> None:
    async with stats_socket(socket, lambda _: answer):
        link = RuntimeApi(socket, timeout_s=0.2)
        await link.open()
        with pytest.raises(HaproxyError, match=re.escape(words)):
            await link.ask("show info")
        with pytest.raises(HaproxyError, match="not connected"):
            await link.ask("show info")


async def test_a_socket_without_anybody_is_named(socket: Path) -> None:
    with pytest.raises(HaproxyError, match=re.escape(f"{socket}: nobody listens")):
        await RuntimeApi(socket).open()
    with pytest.raises(HaproxyError, match=f"{socket}: .* at `show proc`"):
        await processes(socket)


async def test_a_socket_that_is_no_masters_is_named(socket: Path) -> None:
    async with stats_socket(socket, lambda _: b"Unknown command.\n"):
        with pytest.raises(HaproxyError, match=r"not a HAProxy master's socket, it said 'Unknown command\.'"):
            await processes(socket)
        assert "Unknown command." == await ask_master(socket, "reload")


@pytest.mark.parametrize("text", ["", "garbage", "# pxname,svname\n", "# pxname,\nstoker", "\n\n\n"])
def test_tables_that_are_none_are_refused(text: str) -> None:
    for read in (read_servers, lambda text: read_front(text, text), lambda text: read_slots(text, {}, {})):
        with pytest.raises(HaproxyError):
            read(text)


def test_numbers_that_are_none_are_refused() -> None:
    header = "# pxname,svname,status,req_tot,scur,"
    with pytest.raises(HaproxyError, match="req_tot must be a number, was 'many'"):
        read_front(f"{header}\nstoker,FRONTEND,OPEN,many,0,", f"{header}\napp,BACKEND,UP,0,0,")


@pytest.mark.parametrize(
    "row",
    [
        "3 app 1 s1 10.0.0.1 2 0 100",
        "3 app 1 s1 10.0.0.1 2 x 100 80",
        "3 app 1 s1 10.0.0.1 2 0 many 80",
        "3 app 1 s1 nowhere 2 0 100 80",
        "3 app 1 s1 10.0.0.1 2 0 100 99999",
    ],
)
def test_a_slot_that_cannot_be_is_refused(row: str) -> None:
    head = "1\n# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_port\n"
    with pytest.raises(HaproxyError, match="not as HAProxy writes it"):
        read_slots(head + row + "\n", {}, {})


def test_a_worker_that_is_not_ours_is_told_by_its_held_count() -> None:
    assert 7 == read_variable("[6]: proc.stoker_held: type=sint value=<7>\n")
    with pytest.raises(HaproxyError, match="what runs was not rendered by Stoker"):
        read_variable("[3]: Variable not found.\n")
    with pytest.raises(HaproxyError, match="not as HAProxy writes it"):
        read_info("Name: something\n")
