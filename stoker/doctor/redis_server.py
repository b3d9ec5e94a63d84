"""Whether the store is one that a fleet can rely on."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from fleet.embedded import running_url
from fleet.errors import SettingsError, StoreUnavailableError
from fleet.store.opening import open_inspection
from fleet.store.rights import Role, held
from stoker.doctor.finding import Finding, note, ok, skipped, wrong

if TYPE_CHECKING:
    from collections.abc import Callable

    from fleet.settings import Settings
    from fleet.store.inspection import Server

OLDEST = (6, 2)
SKEW_S = 2.0
FULL = 0.9
MEGABYTE = 1_000_000
SHOWN = 5


def check_redis(settings: Settings, now: Callable[[], float]) -> list[Finding]:
    """Reach it, and judge what it says of itself."""
    if settings.redis_url is None and running_url(settings.state_path) is None:
        return [skipped("redis", "redis_url is not set: `stoker up` runs a Valkey of its own, which is not running")]
    try:
        with closing(open_inspection(settings)) as inspection:
            server = inspection.look()
    except (StoreUnavailableError, SettingsError) as error:
        return [wrong("redis", str(error), _remedy(str(error)))]
    return [ok("redis", f"answers at {server.shown}"), *judged(server, now(), own=settings.redis_url is None)]


def _remedy(error: str) -> str:
    if "password" in error and "must be a url" not in error:
        return "correct redis_url (or STOKER_REDIS_URL), or the file named by redis_password_file"
    if "unreachable" in error:
        return "start it, or correct redis_url; then see that this host may reach it"
    return "correct redis_url"


def judged(server: Server, now: float, *, own: bool) -> list[Finding]:
    """Every fact about the server in one finding; `own` is the server that `stoker up` runs."""
    findings = [_version(server), _role(server), _persistence(server), _eviction(server)]
    findings += [_clock(server, now), _rights(server)]
    return findings if own else [*findings, _tls(server)]


def _version(server: Server) -> Finding:
    numbers = server.version.split(".")
    known = tuple(int(part) for part in numbers[:2] if part.isdigit())
    if len(known) < len(OLDEST):
        return note(
            "redis version", "this user may not ask for it", "allow INFO, or see yourself that it is 6.2 or newer"
        )
    if known < OLDEST:
        return wrong("redis version", f"{server.version} is too old", "use Redis 6.2 or newer, or Valkey")
    return ok("redis version", f"{server.product} {server.version}")


def _role(server: Server) -> Finding:
    if server.role in {"slave", "replica"}:
        return wrong(
            "redis role", "it is a replica, which takes no writes", "name the primary, or use redis+sentinel://"
        )
    return ok("redis role", server.role or "not told")


def _persistence(server: Server) -> Finding:
    subject = "redis persistence"
    if server.saving_fails:
        return wrong(subject, "its last save to disk failed", "free disk space or mend its folder; its log says why")
    if server.persistent is None:
        return note(subject, "this user may not ask for it", "see yourself that appendonly or save is set")
    if not server.persistent:
        return note(subject, "nothing is saved: its restart forgets orders and history", "set appendonly yes")
    return ok(subject, "what it holds survives its restart")


def _eviction(server: Server) -> Finding:
    subject, policy = "redis eviction", server.policy
    if not policy:
        return note(subject, "this user may not ask for it", "see yourself that maxmemory-policy is noeviction")
    if not server.memory_limit:
        return ok(subject, f"no memory limit, {server.memory_used / MEGABYTE:.0f} MB used")
    if policy.startswith("allkeys"):
        return wrong(subject, f"{policy}: it may drop the fleet's registry", "set maxmemory-policy noeviction")
    if policy.startswith("volatile"):
        return note(subject, f"{policy}: it may drop proxies' reports and leases", "set maxmemory-policy noeviction")
    if server.memory_used > FULL * server.memory_limit:
        share = server.memory_used / server.memory_limit
        return note(subject, f"{share:.0%} of maxmemory are used; full, it takes no writes", "raise maxmemory")
    return ok(subject, policy)


def _clock(server: Server, now: float) -> Finding:
    if server.time_s is None:
        return wrong("redis clock", "this user may not give the command TIME", "allow it: ACL SETUSER <user> +time")
    skew_s = server.time_s - now
    if abs(skew_s) > SKEW_S:
        ahead = "ahead of" if skew_s > 0 else "behind"
        text = f"{abs(skew_s):.0f} s {ahead} this machine's: times in the history look wrong"
        return note("redis clock", text, "synchronise both clocks (chrony, systemd-timesyncd)")
    return ok("redis clock", "agrees with this machine's")


def _rights(server: Server) -> Finding:
    """Judged by the role that the user was made for, so that nobody gives a least-rights user more than it needs."""
    subject, roles = "redis rights", held(server.refused)
    everything, names = roles == tuple(Role), " and ".join(roles)
    lacking = list(dict.fromkeys(need for role in roles for need in server.refused[role]))
    told = ", ".join(lacking[:SHOWN]) + (f" and {len(lacking) - SHOWN} more" if len(lacking) > SHOWN else "")
    if everything and lacking:
        return wrong(subject, f"this user may not give {told}", f"ACL SETUSER <user> {_allowed(lacking)}")
    if lacking:
        users = " and ".join(f"stoker-{role}" for role in roles)
        remedy = f"allow it what {users} may in example/redis.acl, and no more"
        return wrong(subject, f"a user for {names}, which may not give {told}", remedy)
    if everything:
        return ok(subject, "every command that the parts give is allowed")
    return ok(subject, f"a user for {names}, which may do all that it needs to")


def _allowed(lacking: list[str]) -> str:
    """How a user that may do everything else is given these."""
    commands = dict.fromkeys(f"+{need.split()[0].lower()}" for need in lacking)
    return f"{' '.join(commands)} ~<fleet>:* &<fleet>:*"


def _tls(server: Server) -> Finding:
    if server.encrypted:
        return ok("redis tls", "encrypted, and its certificate was verified")
    if server.local:
        return ok("redis tls", "not needed on this machine")
    return note("redis tls", "password and data pass the network in the clear", "use rediss://, or a private network")
