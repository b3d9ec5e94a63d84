"""The right to deliver messages, and how far they got, in Redis."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import Any

import redis

from fleet.delivery import HOLD_TTL_S, Place
from fleet.store.connection import close, reaching, wrong_type
from fleet.store.fields import stream_id, text
from fleet.store.keys import Keys
from fleet.store.scripts import source

log = logging.getLogger(__name__)

SCRIPTS = ("hold", "settle", "unhold")


@dataclass(slots=True)
class RedisDelivery:
    """Implements Delivery on a Redis server."""

    client: redis.Redis
    shown: str
    keys: Keys
    _scripts: dict[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        self._scripts = {name: self.client.register_script(source(name)) for name in SCRIPTS}

    def hold(self, owner: str) -> Place | None:
        """Take or prolong the right to deliver; None while another has it, else how far was delivered."""
        reply = self._run("hold", [self.keys.webhooks_lock, self.keys.webhooks], [owner, int(HOLD_TTL_S * 1000)])
        for met in reply[2:]:
            log.warning("%s", text(met))
        return Place(stream_id(reply[0]), stream_id(reply[1])) if reply else None

    def settle(self, owner: str, place: Place) -> bool:
        """Write down how far was delivered; False where the right was lost."""
        keys = [self.keys.webhooks_lock, self.keys.webhooks]
        return bool(self._run("settle", keys, [owner, place.events, place.crashes]))

    def release(self, owner: str) -> None:
        """Give the right back, so that another need not wait for its end."""
        self._run("unhold", [self.keys.webhooks_lock], [owner])

    def newest(self) -> Place:
        """Where the streams end now; what is no stream is made anew, and begins then."""
        with reaching(self.shown):
            pipeline = self.client.pipeline(transaction=False)
            for stream in (self.keys.events, self.keys.crashes):
                pipeline.execute_command("XREVRANGE", stream, "+", "-", "COUNT", 1)
            found = [[] if wrong_type(one) else one for one in pipeline.execute(raise_on_error=False)]
            for one in found:
                if isinstance(one, Exception):
                    raise one
        return Place(*(text(entries[0][0]) if entries else "0-0" for entries in found))

    def close(self) -> None:
        """Let the connections go."""
        close(self.client)

    def _run(self, script: str, keys: list[str], arguments: list[str | int]) -> Any:  # noqa: ANN401  # any reply
        with reaching(self.shown):
            return self._scripts[script](keys, arguments)
