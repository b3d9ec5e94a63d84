from __future__ import annotations

from typing import Any

import pytest

from fleet.settings import PolicySettings
from stoker.web.verdict import Level, failing_share, unreachable, verdict

POLICY = PolicySettings(min=1, max=10)


def judged(
    phases: str = "serving serving", numbers: dict[str, object] | None = None, **changes: object
) -> tuple[Level, str]:
    found = [{"phase": phase} for phase in phases.split()]
    content = {
        "backends": found,
        "serving": sum(one["phase"] == "serving" for one in found),
        "desired": 2,
        "min": 1,
        "state": "UP",
        "paused": False,
        "manual": None,
        "reasons": ["20.0 rps at target 10"],
        "proxies": [{"id": "a", "silent": False}],
        "scalers": [{"id": "s", "acting": True}],
        "faults": [],
    }
    rates = {"rps": 10.0, "errors": 0.0, "in_flight": 1, "held": 0} | (numbers or {})
    said = verdict(content | changes, rates, POLICY, failing_share(rates))
    return said.level, said.title


@pytest.mark.parametrize(
    ("level", "title", "given"),
    [
        (Level.GOOD, "All well", {}),
        (Level.BUSY, "2 of 5 serving: 2 are warming", {"phases": "serving serving warming warming", "desired": 5}),
        (Level.BUSY, "2 instances serving, 1 is draining", {"phases": "serving serving draining"}),
        (Level.BUSY, "A proxy has yet to apply the last change", {"state": "READY"}),
        (Level.WARN, "Nothing serves yet: 1 is starting", {"phases": "starting"}),
        (Level.BAD, "Nothing serves yet: nothing is being started", {"phases": ""}),
        (Level.BAD, "1 of 2 serving: nothing is being started", {"phases": "serving"}),
        (Level.WARN, "1 instance failed and is being removed", {"phases": "serving serving failed"}),
        (Level.WARN, "No data from the proxies: none has reported yet", {"proxies": []}),
        (Level.BAD, "No data from the proxies: a fell silent", {"proxies": [{"id": "a", "silent": True}]}),
        (
            Level.WARN,
            "1 of 2 proxies silent: b",
            {"proxies": [{"id": "a", "silent": False}, {"id": "b", "silent": True}]},
        ),
        (Level.BAD, "Nobody decides: no scaler acts, none is running", {"scalers": []}),
        (Level.BAD, "Nobody decides: no scaler acts, 1 waits", {"scalers": [{"id": "s", "acting": False}]}),
        (Level.WARN, "1 thing in the store cannot be believed", {"faults": ["production9: not JSON"]}),
        (Level.BAD, "20% of the answers are errors (5xx)", {"numbers": {"errors": 2.0}}),
        (Level.WARN, "5% of the answers are errors (5xx)", {"numbers": {"errors": 2.0, "rps": 40.0}}),
        (Level.WARN, "7 requests waiting for an instance", {"numbers": {"held": 7}}),
        (
            Level.WARN,
            "At the maximum of 10: more load finds no more instances",
            {
                "phases": "serving " * 10,
                "desired": 10,
                "reasons": ["180 rps at target 10", "max: 18 wanted, 10 allowed"],
            },
        ),
        (Level.GOOD, "All well", {"phases": "serving " * 10, "desired": 10, "reasons": ["stabilisation: 10 kept"]}),
        (Level.WARN, "Nothing decided yet: no scaler has published a fleet", {"serving": None, "desired": None}),
        (Level.GOOD, "All well", {"phases": "", "desired": 0}),
    ],
)
def test_the_gravest_finding_is_the_title(level: Level, title: str, given: dict[str, Any]) -> None:
    assert (level, title) == judged(**given)


def test_a_single_error_among_few_requests_is_no_alarm() -> None:
    assert (Level.GOOD, "All well") == judged(numbers={"errors": 0.3, "rps": 1.0})


def test_without_rates_no_share_of_errors_is_told() -> None:
    assert (Level.GOOD, "All well") == judged(numbers={"errors": None, "rps": None})


def test_a_store_that_is_gone_is_named_with_its_reason() -> None:
    said = unreachable("Redis at localhost: unreachable: Connection refused")
    assert (Level.BAD, "Redis at localhost: unreachable: Connection refused") == (said.level, said.lines[0])
