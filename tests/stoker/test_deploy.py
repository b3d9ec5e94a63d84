from __future__ import annotations

import json
from typing import TYPE_CHECKING

from fleet.memory import MemoryStore
from fleet.registry import Happening, Lease, Order, OrderKind, Summary
from stoker.deploy import FAILED, INTERRUPTED, NOBODY, run_deploy

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

ORDER = Order(OrderKind.DEPLOY, image="shop:2")


class Fleet:
    """A store whose scaler tells by script: at each pause of the command the next events."""

    def __init__(self, *script: Callable[[str], list[Happening]] | str) -> None:
        self.store = MemoryStore(lambda: 100.0)
        self.lease = self.store.acquire("one") or Lease("one", 0, 4.0)
        self.script = list(script)

    def pause(self, _: float) -> bool:
        if not self.script:
            return True
        told = self.script.pop(0)
        self.store.outage = told if isinstance(told, str) else None
        if not isinstance(told, str):
            self.store.record(self.lease, told(self.store.orders("")[-1].id))
        return False

    def run(self, *, as_json: bool = False) -> int:
        return run_deploy(self.store, ORDER, as_json=as_json, pause=self.pause)


def asked(order: str) -> list[Happening]:
    return [Happening(1.0, "deploy", "shop:2", "", "asked", (f"order {order}",))]


def deploy(after: str, *reasons: str) -> Callable[[str], list[Happening]]:
    return lambda _: [Happening(2.0, "deploy", "shop:2", "", after, reasons)]


def instance(name: str, after: str, reason: str) -> Callable[[str], list[Happening]]:
    return lambda _: [Happening(2.0, "instance", name, "", after, (reason,))]


def test_it_follows_its_order_to_the_end(capsys: pytest.CaptureFixture[str]) -> None:
    serving = instance("shop6", "serving", "ready after 2.0 s")
    assert 0 == Fleet(asked, deploy("begun", "a to b"), serving, deploy("done", "5 serve b")).run()
    words = [line.split("  ")[1].strip() for line in capsys.readouterr().out.splitlines()]
    assert ["deploy shop:2", "deploy shop:2", "shop6", "deploy shop:2"] == [
        word.partition(" asked")[0] for word in words
    ]


def test_it_hears_of_an_order_that_comes_after_what_the_stores_clock_says() -> None:
    fleet = Fleet(asked, deploy("begun", "a to b"), deploy("done", "5 serve b"))
    fleet.store.summarise(fleet.lease, Summary("UP", 1, last_order="4000000-1"))
    assert 0 == fleet.run()
    assert "4000000-2" == fleet.store.orders("")[-1].id


def test_one_that_fails_gives_its_reason_with_the_last_words_of_its_instance(
    capsys: pytest.CaptureFixture[str],
) -> None:
    failed = deploy("failed", "shop6: warming for 60 s", "shop:1 stays")
    starting = instance("shop6", "starting", "on trial: shop:2")
    gone = instance("shop6", "gone", "stopped and removed; exit code 3; last log lines: boom")
    assert FAILED == Fleet(asked, starting, failed, gone).run()
    expected = (
        "stoker: the deploy failed: shop6: warming for 60 s; shop:1 stays; "
        "stopped and removed; exit code 3; last log lines: boom\n"
    )
    assert expected == capsys.readouterr().err


def test_last_words_that_never_come_are_not_waited_for_without_end() -> None:
    silence = [deploy("nothing")] * 20
    fleet = Fleet(
        asked,
        instance("shop6", "starting", "on trial: shop:2"),
        deploy("failed", "shop6: warming for 60 s", "shop:1 stays"),
        *silence,
    )
    assert FAILED == fleet.run()
    assert fleet.script


def test_a_play_gets_more_time_to_bring_last_words_back(capsys: pytest.CaptureFixture[str]) -> None:
    starting = instance("shop6", "starting", "on trial: shop:2")
    failed = deploy("failed", "shop6: warming for 60 s", "shop:1 stays")
    gone = instance("shop6", "gone", "stopped and removed; last log lines: boom")
    script = [asked, starting, failed, *[deploy("nothing")] * 20, gone]
    for plays, told in ((False, False), (True, True)):
        fleet = Fleet(*script)
        assert FAILED == run_deploy(fleet.store, ORDER, as_json=False, pause=fleet.pause, plays=plays)
        assert told == ("last log lines: boom" in capsys.readouterr().err)


def test_a_refused_order_says_why(capsys: pytest.CaptureFixture[str]) -> None:
    def refused(order: str) -> list[Happening]:
        return [Happening(1.0, "deploy", "shop:2", "", "refused", (f"order {order}", "a deploy is under way: shop:3"))]

    assert FAILED == Fleet(refused).run()
    assert "stoker: the deploy failed: a deploy is under way: shop:3\n" == capsys.readouterr().err


def test_what_becomes_of_other_orders_is_no_end() -> None:
    def others(_: str) -> list[Happening]:
        return [
            Happening(1.0, "deploy", "shop:9", "proven", "done", ("5 serve z",)),
            Happening(1.0, "deploy", "shop:2", "", "refused", ("order 1-1", "a deploy is under way")),
        ]

    assert 0 == Fleet(others, asked, deploy("done", "5 serve b")).run()


def test_without_a_scaler_nothing_is_ordered(capsys: pytest.CaptureFixture[str]) -> None:
    store = MemoryStore(lambda: 100.0)
    assert NOBODY == run_deploy(store, ORDER, as_json=False, pause=lambda _: True)
    assert () == tuple(store.orders(""))
    assert "no scaler acts" in capsys.readouterr().err


def test_an_interruption_leaves_the_deploy_going_and_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    fleet = Fleet(asked)
    assert INTERRUPTED == fleet.run()
    assert "the deploy goes on" in capsys.readouterr().err
    assert [ORDER.image] == [order.image for order in fleet.store.orders("")]


def test_an_outage_is_said_once_and_waited_for(capsys: pytest.CaptureFixture[str]) -> None:
    fleet = Fleet(asked, "gone", "gone", deploy("done", "5 serve b"))
    fleet.lease = Lease(fleet.lease.scaler, fleet.lease.token, 1e9)
    assert 0 == fleet.run()
    assert ["stoker: store in memory: gone; waiting"] == capsys.readouterr().err.splitlines()


def test_for_scripts_each_event_is_a_line_and_so_is_the_end(capsys: pytest.CaptureFixture[str]) -> None:
    assert FAILED == Fleet(asked, deploy("failed", "no such image", "shop:1 stays")).run(as_json=True)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert ["asked", "failed"] == [line["to"] for line in lines[:-1]]
    assert (FAILED, ["no such image", "shop:1 stays"]) == (lines[-1]["exit_code"], lines[-1]["reasons"])
