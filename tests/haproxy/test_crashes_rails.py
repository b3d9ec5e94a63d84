"""A real Rails app on Puma, with several workers and threads, behind a real HAProxy: its crashes are listed at once."""

from __future__ import annotations

import json
import math
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

import pytest

from fleet.crash import Symptom
from fleet.store.opening import open_crash_desk
from tests.haproxy.crashing_app import TOKEN
from tests.haproxy.rig import on_both, rig, until
from tests.haproxy.test_crashes_live import LISTED_S, ask, listed, settled
from tests.valkey import free_port, installed, serving

if TYPE_CHECKING:
    from fleet.embedded import EmbeddedValkey

pytestmark = [pytest.mark.live, pytest.mark.timeout(90)]

EXAMPLE = Path(__file__).resolve().parents[2] / "example" / "rails"
EXPECTED = {
    "/deep": "Delivery::Lost",
    "/waiting": "RuntimeError",
    "/overflow": "SystemStackError",
    "/late": "Timeout::Error",
    "/stream": "Delivery::Lost",
}
# Whether HAProxy had passed the answer's head on when its end broke off is a matter of microseconds.
BROKEN = (Symptom.BROKEN, Symptom.ABORTED)


@on_both
async def test_the_crashes_of_a_rails_app_are_listed_within_a_second(
    valkey: EmbeddedValkey, fleet_name: str, binary: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    port, kept = free_port(), tmp_path / "profiles"
    for name, value in {"PORT": str(port), "RAILS_ENV": "production", "STOKER_PROFILE_TOKEN": TOKEN}.items():
        monkeypatch.setenv(name, value)
    # What the app alone knows is no setting of Stoker's, which would refuse it.
    argv = ["env", f"STOKER_PROFILE_DIR={kept}", installed("puma"), "-C", str(EXAMPLE / "puma.rb")]
    with serving([*argv, str(EXAMPLE / "config.ru")], port):
        async with rig(valkey, fleet_name, binary) as plane:
            await plane.applied(plane.publish({"production1": f"http://127.0.0.1:{port}"}))
            assert b" 200 " in (await ask(plane, "/fine"))[:20]
            assert b" 404 " in (await ask(plane, "/__stoker/profiles", f"x-stoker-token: {TOKEN}"))[:20]
            desk, took_s = open_crash_desk(plane.settings), dict.fromkeys(EXPECTED, math.inf)
            # Of each the quicker of two counts: the other may meet a machine that is busy with others.
            for count, path in enumerate([*EXPECTED, *EXPECTED], 1):
                await ask(plane, f"{path}?secret=1", "x-stoker-request: forged")
                began_s = monotonic()
                crash = (await listed(plane, settled(count)))[-1]
                took_s[path] = min(took_s[path], monotonic() - began_s)
                assert crash.capture is not None, crash.reason
                assert (path, EXPECTED[path]) == (crash.failure.path, crash.capture.exception)
                assert crash.capture.where.startswith("app.rb:")
                assert crash.failure.failure in (BROKEN if path == "/stream" else (Symptom.STATUS,))
                document = json.loads(desk.document(crash.failure.id) or b"")
                assert (crash.failure.id, path) == (document["id"], document["request"]["path"])
            desk.close()
            print("listed after", {path: f"{1000 * one:.0f} ms" for path, one in took_s.items()})
            assert [] == [path for path, one in took_s.items() if one > LISTED_S]
            await until(lambda: not any(kept.rglob("*.json*")), "every profile was removed")
