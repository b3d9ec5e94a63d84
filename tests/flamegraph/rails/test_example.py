"""The example app on Puma with two workers of four threads, in each Ruby: what of a crash can be fetched at once."""

from __future__ import annotations

import json
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from tests.flamegraph.rails.shop import PROFILES, TOKEN, Document, Shop, shop
from tests.flamegraph.rails.weights import GC, milliseconds, stacks

if TYPE_CHECKING:
    from pathlib import Path

    from tests.flamegraph.rails.rubies import Ruby

pytestmark = [pytest.mark.live, pytest.mark.timeout(120), pytest.mark.xdist_group("rails")]

BURNING = ("Invoice#most", "Invoice#least")


@pytest.mark.parametrize(
    ("path", "status", "why", "exception"),
    [
        ("/waiting", 500, "status", "RuntimeError"),
        ("/deep", 500, "status", "Delivery::Lost"),
        ("/overflow", 500, "status", "SystemStackError"),
        ("/late", 500, "status", "Timeout::Error"),
        ("/invoice?ms=20", 500, "status", "RuntimeError"),
        ("/stream", 200, "body", "Delivery::Lost"),
    ],
)
def test_a_page_that_fails_is_told(open_shop: Shop, path: str, status: int, why: str, exception: str) -> None:
    found = open_shop.crash(path)

    assert (why, exception) == (found["why"], found["exception"]["class"])
    assert ("GET", path.partition("?")[0], status) == tuple(
        found["request"][name] for name in ("method", "path", "status")
    )
    assert any("example/rails/app.rb" in line for line in found["exception"]["backtrace"])
    assert found["root"].endswith("example/rails")


@pytest.mark.parametrize(("path", "status"), [("/fine", 200), ("/report?ms=5", 200), ("/nowhere", 404)])
def test_a_page_that_does_not_fail_is_not_told(open_shop: Shop, path: str, status: int) -> None:
    page, found = open_shop.visit(path)

    assert (status, 404) == (page.status, found.status)


def test_the_document_is_there_before_the_answer_whichever_worker_is_asked(open_shop: Shop) -> None:
    assert {"Delivery::Lost": 60} == Counter(open_shop.crash("/deep")["exception"]["class"] for _ in range(60))


def test_with_every_thread_busy_each_crash_is_told_and_one_at_a_time_profiled(open_shop: Shop) -> None:
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(open_shop.crash, ["/invoice?ms=20"] * 40))
    reasons = Counter(document["unprofiled"] for document in found)

    assert {"", "busy", "no samples"} >= set(reasons)
    assert 40 == len({document["id"] for document in found})
    assert reasons[""] > 0


def test_a_crash_is_claimed_once_and_gone_once_deleted(open_shop: Shop) -> None:
    open_shop.get("/deep", x_stoker_request="0" * 32)
    assert ["0" * 32] == [one["id"] for one in open_shop.waiting()]
    with ThreadPoolExecutor(8) as threads:
        statuses = Counter(answer.status for answer in threads.map(open_shop.profile, ["0" * 32] * 8))

    assert {200: 1, 404: 7} == statuses
    assert 204 == open_shop.profile("0" * 32, method="DELETE").status


def test_a_client_has_a_plain_404(open_shop: Shop) -> None:
    answers = [open_shop.get(PROFILES), open_shop.get(PROFILES, x_stoker_token=TOKEN[:-1])]

    assert [(404, b"Not Found\n")] * 2 == [(answer.status, answer.body) for answer in answers]


def test_a_page_that_sleeps_shows_its_sleep(open_shop: Shop, ruby: Ruby) -> None:
    found = open_shop.crash("/waiting")
    if ruby.mixed:
        assert ("mixed", "cpu") == (found["threads"], found["mode"]) or "no samples" == found["unprofiled"]
        return

    assert ("own", "wall") == (found["threads"], found["mode"])
    assert 100 <= milliseconds(found, "Kernel#sleep") <= max(220, found["request"]["duration_ms"])


def test_the_profile_is_the_failed_requests_own(ruby: Ruby, tmp_path: Path) -> None:
    with shop(ruby, tmp_path, WEB_CONCURRENCY="0", STOKER_PROFILE_EVERY="0") as alone:
        with ThreadPoolExecutor(3) as others:
            over = threading.Event()
            for _ in range(3):
                others.submit(_until, over, alone)
            page, found = alone.visit("/invoice?ms=400", x_stoker_profile=TOKEN)
            over.set()
        _, following = alone.visit("/deep", x_stoker_profile=TOKEN)
        _, quiet = alone.visit("/invoice?ms=400", x_stoker_profile=TOKEN)
    document = json.loads(found.body)
    if ruby.mixed:
        assert ("mixed", "cpu") == (document["threads"], document["mode"])
        return
    own = _without_collector(document)

    assert (500, True) == (page.status, document["profiled"])
    assert sum("PagesController#invoice" in stack for stack in own) >= 0.8 * len(own)
    assert not any("PagesController#report" in stack or "Report#most" in stack for stack in own)
    assert b"Invoice#" not in following.body
    # Beside others a share also holds the turns that it waited for, a tenth of a second each.
    most, least = (sum(name in stack for stack in _without_collector(json.loads(quiet.body))) for name in BURNING)
    assert 0.65 <= most / (most + least) <= 0.85


def _without_collector(document: Document) -> list[list[str]]:
    return [stack for stack in stacks(document) if GC not in stack]


def _until(over: threading.Event, alone: Shop) -> None:
    while not over.is_set():
        alone.get("/report?ms=50")


def test_in_development_everything_is_profiled_and_rails_own_page_tells_its_exception(
    ruby: Ruby, tmp_path: Path
) -> None:
    with shop(ruby, tmp_path, RAILS_ENV="development", WEB_CONCURRENCY="0") as developing:
        page, found = developing.visit("/deep")
    document = json.loads(found.body)

    assert (500, "Delivery::Lost") == (page.status, document["exception"]["class"])
    assert document["unprofiled"] in {"", "no samples"}
