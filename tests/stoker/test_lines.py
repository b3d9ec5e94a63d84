from __future__ import annotations

import json

import pytest

from fleet.backend import Backend, Phase
from fleet.registry import BackendCounters, Happening, ProxyReading, Sighting, Snapshot, Status, Summary
from fleet.settings import Settings
from stoker.lines import age, clock_time, happening_json, happening_line, shown, status_json

SETTINGS = Settings(fleet="acme", app="shop")
SERVING = Backend("shop1", Phase.SERVING, "http://10.0.0.5:3000", host="alpha", since=1000.0)
WARMING = Backend("shop2", Phase.WARMING, "http://10.0.0.6:3000")


def reading(proxy: str, in_flight: int) -> ProxyReading:
    counters = {"shop1": BackendCounters(in_flight=in_flight)}
    return ProxyReading(proxy, "series", 5000, 7, 90, in_flight=in_flight, held=1, backends=counters)


def status(**changes: object) -> Status:
    whole: dict[str, object] = {
        "summary": Summary("BUSY", 2, 19.5, 5, 2, ("19.5 rps at target 10",)),
        "snapshot": Snapshot(7, {"shop1": SERVING, "shop2": WARMING}),
        "sighting": Sighting((reading("north", 2), reading("south", 3)), silent=("west",)),
        "scalers": (("one", 0.5), ("two", 3.0), ("long-gone", 99.0)),
        "acting": "one",
    }
    return Status(**(whole | changes))  # type: ignore[arg-type]  # fields of Status


def test_the_object_holds_at_least_what_scripts_rely_on() -> None:
    content = status_json(SETTINGS, status())
    numbers = {"desired", "serving", "rps", "in_flight", "held"}
    assert {
        "fleet",
        "app",
        "state",
        "min",
        "max",
        "schedule",
        "paused",
        "reasons",
        "backends",
        "proxies",
        "scalers",
    } | numbers <= set(content)
    assert {"name", "url", "phase", "in_flight", "host", "since"} <= set(content["backends"][0])
    json.dumps(content)


def test_numbers_are_those_of_the_summary_and_serving_is_counted() -> None:
    content = status_json(SETTINGS, status())
    assert ("acme", "shop", "BUSY", 2, 1, 19.5, 5, 2, False) == tuple(
        content[key] for key in ("fleet", "app", "state", "desired", "serving", "rps", "in_flight", "held", "paused")
    )


def test_the_minimum_is_the_one_in_force_with_the_schedule_that_gives_it() -> None:
    scheduled = status(summary=Summary("UP", 4, minimum=4, schedule="office hours"))
    for given, expected in ((status(), (None, 10, None)), (scheduled, (4, 10, "office hours"))):
        content = status_json(SETTINGS, given)
        assert expected == (content["min"], content["max"], content["schedule"])


def test_a_backends_requests_in_flight_are_summed_over_the_proxies() -> None:
    assert [5, 0] == [backend["in_flight"] for backend in status_json(SETTINGS, status())["backends"]]


def test_without_a_proxy_a_backends_requests_in_flight_are_unknown_and_not_zero() -> None:
    content = status_json(SETTINGS, status(sighting=Sighting(())))
    assert [None, None] == [backend["in_flight"] for backend in content["backends"]]


def test_an_empty_store_reads_as_unknown_and_not_as_an_empty_fleet() -> None:
    content = status_json(SETTINGS, Status(None, None, Sighting(())))
    assert [None] * 6 == [content[key] for key in ("state", "desired", "serving", "rps", "in_flight", "held")]


def test_silent_proxies_are_listed_as_silent() -> None:
    proxies = status_json(SETTINGS, status())["proxies"]
    assert [("north", False), ("south", False), ("west", True)] == [(one["id"], one["silent"]) for one in proxies]


def test_scalers_say_who_acts_and_those_long_gone_are_left_out() -> None:
    scalers = status_json(SETTINGS, status())["scalers"]
    assert [("one", True), ("two", False)] == [(one["id"], one["acting"]) for one in scalers]


def test_faults_of_all_sources_come_together() -> None:
    found = status(
        snapshot=Snapshot(7, {}, faults=("backend x",)),
        sighting=Sighting((), faults=("proxy y",)),
        extra={"key": "key z is of another type than ours"},
    )
    assert ["backend x", "proxy y", "key z is of another type than ours"] == status_json(SETTINGS, found)["faults"]


def test_an_event_as_json_names_when_what_from_to_and_why() -> None:
    happening = Happening(12.5, "instance", "shop1", "warming", "serving", ("ready after 0.2 s",))
    assert {
        "at": 12.5,
        "kind": "instance",
        "subject": "shop1",
        "from": "warming",
        "to": "serving",
        "reasons": ["ready after 0.2 s"],
    } == happening_json(happening)


@pytest.mark.parametrize(
    ("happening", "line"),
    [
        (Happening(0, "instance", "shop1", "", "starting", ("2 desired",)), "shop1          starting  (2 desired)"),
        (Happening(0, "decision", "shop", "1", "2"), "desired        1 -> 2"),
        (Happening(0, "state", "shop", "BUSY", "UP"), "state          BUSY -> UP"),
        (Happening(0, "order", "scale", "1", "4"), "order scale    1 -> 4"),
    ],
)
def test_an_event_as_a_line_says_when_what_from_to_and_why(happening: Happening, line: str) -> None:
    assert f"{clock_time(0)}  {line}" == happening_line(happening)


@pytest.mark.parametrize(
    ("seconds", "words"), [(-1, "0 s"), (59, "59 s"), (600, "10 min"), (7200, "2 h"), (1e6, "12 d")]
)
def test_ages_are_said_in_the_largest_fitting_unit(seconds: float, words: str) -> None:
    assert words == age(seconds)


@pytest.mark.parametrize(("value", "text"), [(None, "-"), (0, "0"), (19.54321, "19.54"), (1000, "1000")])
def test_an_unknown_number_is_a_dash(value: float | None, text: str) -> None:
    assert text == shown(value)
