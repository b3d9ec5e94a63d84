"""What `stoker doctor` says of the users of example/redis.acl, whole and with each of their rights taken away."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from fleet.clock import Clock
from fleet.store.address import address_of
from fleet.store.connection import connect
from stoker.doctor.finding import Finding, Grade, ok
from stoker.doctor.redis_server import check_redis
from tests.security.roles import EXAMPLE, ROLES, SERVERS, guarded

if TYPE_CHECKING:
    from collections.abc import Iterator

    import redis

    from fleet.settings import Settings

pytestmark = [pytest.mark.live, pytest.mark.timeout(60)]

# What every connection gives before it is asked for rights, and what ends the asking.
GIVEN = {"+ping", "+select", "+multi", "+exec"}


@pytest.fixture(scope="module", params=list(SERVERS))
def users(request: pytest.FixtureRequest) -> Iterator[dict[str, Settings]]:
    with guarded(request.param) as found:
        yield found


@pytest.fixture
def admin(users: dict[str, Settings]) -> Iterator[redis.Redis]:
    url = users["admin"].redis_url
    assert url is not None
    with closing(connect(address_of(users["admin"], url.get_secret_value()))) as found:
        yield found


def words(role: str) -> list[str]:
    """The user's rights in the example, its selectors in one piece each."""
    line = next(line for line in EXAMPLE.read_text().splitlines() if line.startswith(f"user stoker-{role} "))
    plain, *selectors = line.split(" (")
    return [*plain.split()[2:], *(f"({selector}" for selector in selectors)]


def rights(settings: Settings) -> Finding:
    (found,) = [one for one in check_redis(settings, Clock().now) if one.subject == "redis rights"]
    return found


@pytest.mark.parametrize("role", ROLES)
def test_each_user_of_the_example_is_known_by_its_role_and_lacks_nothing(
    users: dict[str, Settings], admin: redis.Redis, role: str
) -> None:
    admin.hset("stoker:{production}:backends", "x", "y")
    admin.xadd("stoker:{production}:orders", {"x": "y"})
    before = {key: admin.dump(key) for key in admin.keys("*")}
    findings = check_redis(users[role], Clock().now)
    assert [] == [one for one in findings if one.grade is Grade.WRONG]
    assert ok("redis rights", f"a user for {role}, which may do all that it needs to") in findings
    assert before == {key: admin.dump(key) for key in admin.keys("*")}


@pytest.mark.parametrize("role", ROLES)
def test_each_right_of_the_example_is_missed_where_it_was_forgotten(
    users: dict[str, Settings], admin: redis.Redis, role: str
) -> None:
    whole = words(role)
    overlooked = []
    for word in whole:
        if word[0] in "~%(+" and word not in GIVEN:
            admin.execute_command("ACL", "SETUSER", f"stoker-{role}", "reset", *(one for one in whole if one != word))
            found = rights(users[role])
            if ok("redis rights", f"a user for {role}, which may do all that it needs to") == found:
                overlooked.append(word)
    admin.execute_command("ACL", "SETUSER", f"stoker-{role}", "reset", *whole)
    assert [] == overlooked


def test_a_user_that_may_do_everything_is_for_every_part(users: dict[str, Settings]) -> None:
    assert ok("redis rights", "every command that the parts give is allowed") == rights(users["admin"])
