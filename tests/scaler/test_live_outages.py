"""The live world over a store that fails, forgets, or is written over by a stranger."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from fleet.errors import StoreUnavailableError
from fleet.memory import MemoryStore
from scaler.messages import Deposed, Elected, Published, Tick, Unpublished
from tests.scaler.rig import Rig, serving

if TYPE_CHECKING:
    from fleet.registry import Memory


class Scribbled(MemoryStore):
    """A store into which a stranger writes."""

    scribbled = ""

    def overwritten(self) -> str:
        found, self.scribbled = self.scribbled, ""
        return found


def test_a_registry_that_was_written_over_is_published_again_within_seconds() -> None:
    store = Scribbled(lambda: 0.0)
    rig = serving(Rig(store=store))
    published = len(rig.events(Published))
    store.scribbled = "backends 'web1'"
    rig.run(6)
    assert published + 1 == len(rig.events(Published))
    assert [("written again", ("backends 'web1'",))] == [
        (told.after, told.reasons) for told in rig.history() if told.subject == "registry"
    ]


def test_an_outage_holds_and_is_said_once_on_both_ends() -> None:
    rig = serving()
    rig.rps = 500.0
    with capture_logs() as logs:
        rig.store.outage = "gone"
        rig.run(10)
        rig.store.outage = None
        rig.run(3)
    said = [entry["event"] for entry in logs if "store" in entry["event"]]
    assert ["holding: the store cannot be used", "the store answers again"] == said
    blind = [event for event in rig.events(Tick) if event.sighting is None]
    assert 10 == len(blind)


def test_nothing_is_started_in_an_outage_and_what_was_missed_is_caught_up_with() -> None:
    rig = serving()
    rig.store.outage = "gone"
    rig.run(2)
    rig.hand.there.clear()
    rig.run(8)
    assert ["web1"] == rig.hand.started
    rig.store.outage = None
    rig.run(20)
    assert (["web1", "web2"], {"web2": "serving"}) == (rig.hand.started, rig.phases())


def test_a_short_outage_does_not_end_the_term() -> None:
    rig = serving()
    rig.store.outage = "gone"
    rig.run(2)
    rig.store.outage = None
    rig.run(2)
    assert ([], 1) == (rig.events(Deposed), len(rig.events(Elected)))


def test_what_happened_in_an_outage_is_in_the_history_after_it() -> None:
    rig = serving(min=2)
    rig.store.outage = "gone"
    del rig.hand.there["web2"]
    rig.run(3.5)
    assert rig.events(Unpublished)
    rig.store.outage = None
    rig.run(10)
    told = [(one.subject, one.after) for one in rig.history()]
    assert 1 == told.count(("web2", "stopping"))
    assert 1 == told.count(("web2", "gone"))


def test_a_store_that_cannot_be_reached_at_the_start_is_an_error_and_later_is_not() -> None:
    rig = Rig()
    rig.store.outage = "connection refused"
    with pytest.raises(StoreUnavailableError, match="connection refused"):
        rig.once()


class Forgetful(MemoryStore):
    """A store that fails exactly where a survey asks what it remembers."""

    failing = True

    def recall(self) -> Memory:
        if self.failing:
            raise StoreUnavailableError("gone for a moment")
        return super().recall()


def test_a_store_lost_before_the_survey_ends_the_term_and_the_next_one_works() -> None:
    store = Forgetful(lambda: 0.0)
    rig = Rig(store=store).run(5)
    assert ["the store was lost before the survey: gone for a moment"] == [one.reason for one in rig.events(Deposed)]
    store.failing = False
    rig.run(10)
    assert {"web1": "serving"} == rig.phases()
