"""Garbage in each key while the fleet serves: no part dies, each is told once, serving goes on.

python -m tests.chaos.live.garbage [seed]
"""

from __future__ import annotations

import asyncio
import sys
from random import Random
from typing import TYPE_CHECKING

from redis import Redis
from redis.exceptions import ResponseError

from fleet.store.keys import Keys
from tests.chaos.live.directed import Found, alone, loaded, order
from tests.chaos.live.part import until
from tests.chaos.live.stage import APP, Stage, stage

if TYPE_CHECKING:
    from collections.abc import Iterator

LIES_S = 7.0
# Nothing writes these here; the types that they would have.
UNUSED = {"crashes": b"stream", "crash-index": b"zset", "webhooks": b"hash", "webhooks-lock": b"string"}
HEALS_S = 25.0
# What a proxy reports may be told twice: as what cannot be read, which ends again, and as what was put right.
MOST_TOLD = 3


def names(keys: Keys) -> Iterator[str]:
    """Each key that Stoker reads."""
    yield from (keys.instances, keys.backends, keys.generation, keys.serial, keys.definition, keys.lease, keys.token)
    yield from (keys.scalers, keys.scaler, keys.orders, keys.events, keys.proxies, keys.lasting)
    yield from (keys.proxy("proxy1"), keys.proxy("proxy2"), keys.crashes, keys.crash_index)
    yield from (keys.webhooks, keys.webhooks_lock)


async def garbage(seed: int = 1, rps: float = 12.0, only: tuple[str, ...] = ()) -> Found:
    """Every key gets another type, then what its own type may hold, fuzzed."""
    found, rng = Found(), Random(seed)  # noqa: S311  # repeatable on purpose
    async with stage() as made, loaded(made, rps) as loads:
        await order(made, 2)
        await until(lambda: made.watch.settled(2, 2), "2 serve")
        with Redis.from_url(made.server.url) as client:
            for name in names(Keys("chaos", APP)):
                if not only or name.rpartition(":")[2] in only:
                    await _spoil(made, client, name, rng, found)
        found.once_and_whole(made)
    found.lossless(loads)
    return found


async def _spoil(made: Stage, client: Redis, name: str, rng: Random, found: Found) -> None:
    short = name.partition("}:")[2]
    for how in ("another type", "fuzzed"):
        known, running = {one for _, one in made.watch.history}, made.instances()
        said = {part.name: len(part.said()) for part in made.parts}
        (_retype if how == "another type" else _fuzz)(client, name, rng)
        await asyncio.sleep(LIES_S)
        dead = [part.name for part in made.parts if not part.alive]
        found.must(not dead, f"{short}, {how}: {dead} ended: {[made.part(one).said()[-300:] for one in dead]}")
        try:
            took_s = await until(lambda: made.watch.rests(2) and made.watch.acting is not None, "it rests", HEALS_S)
        except AssertionError:
            found.broken.append(f"{short}, {how}: not whole after {LIES_S + HEALS_S:g} s: {made.watch.last.status}")
            client.delete(name)
            await until(lambda: made.watch.rests(2), "it rests without the key")
            continue
        gone = sorted(running.keys() - made.instances().keys())
        found.must(not gone, f"{short}, {how}: {gone} were stopped")
        # The bystander reads the history anew when it sees no registry.
        new = dict.fromkeys(one for _, one in made.watch.history if one not in known)
        told = [one for one in new if one.kind in {"fault", "term"}]
        about = [one for one in told if any(name in reason for reason in one.reasons)]
        # Who overwrites the lease ends the term, which is told as that.
        about = about or [one for one in told if one.kind == "term" and short == "lease"]
        found.must(about, f"{short}, {how}: not told")
        found.must(len(about) <= MOST_TOLD, f"{short}, {how}: told {len(about)} times: {about}")
        lines = {
            part.name: part.said()[said[part.name] :].count("\n") for part in made.parts if part is not made.server.part
        }
        found.must(max(lines.values()) < 40, f"{short}, {how}: said again and again: {lines}")
        events_told = "; ".join(f"{one.kind} {one.subject} {one.after} {one.reasons}"[:160] for one in told)
        found.facts.append(f"{short}, {how}: whole {took_s + LIES_S:.0f} s later; {len(told)} events: {events_told}")


def _retype(client: Redis, name: str, rng: Random) -> None:
    kind = client.execute_command("TYPE", name)
    client.delete(name)
    if kind in {b"string", b"none"}:
        client.execute_command("RPUSH", name, rng.randbytes(20))
    else:
        client.execute_command("SET", name, rng.randbytes(20))


def _fuzz(client: Redis, name: str, rng: Random) -> None:
    """Add what the key's own type may hold."""
    value = rng.choice(
        (rng.randbytes(40), b"-1", b"99999999999999999999", b"{}", b"null", b"", b'{"phase":7,"url":[]}', b"nan")
    )
    kind = client.execute_command("TYPE", name)
    if (unused := UNUSED.get(name.rpartition(":")[2])) is not None:
        client.delete(name)
        kind = unused
    commands: dict[bytes, tuple[object, ...]] = {
        b"string": ("SET", name, value),
        b"hash": ("HSET", name, "web1", value, "web2", value, "generation", value, "state", value),
        b"zset": ("ZADD", name, 1e300, value or b"x"),
        b"set": ("SADD", name, value),
        b"stream": ("XADD", name, "*", "kind", value, value or b"x", value),
        b"list": ("RPUSH", name, value),
    }
    try:
        client.execute_command(*commands.get(kind, ("SET", name, value)))
    except ResponseError as error:
        raise AssertionError(f"{name}, {kind!r}: {error}") from error


if __name__ == "__main__":
    sys.exit(alone(garbage(int(sys.argv[1]) if len(sys.argv) > 1 else 1)))
