"""What is said of a server, by its facts and by asking real ones."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from fleet.clock import Clock
from fleet.embedded import server_binary
from fleet.settings import Settings, load
from fleet.store.inspection import Server
from fleet.store.opening import open_inspection
from fleet.store.rights import OWN, Role
from stoker.doctor.finding import Grade, ok, wrong
from stoker.doctor.redis_server import check_redis, judged
from tests.valkey import free_port, serving

if TYPE_CHECKING:
    from pathlib import Path


GOOD = Server(
    shown="redis://db:6379",
    version="7.2.4",
    role="master",
    encrypted=True,
    local=False,
    persistent=True,
    saving_fails=False,
    policy="noeviction",
    memory_limit=100,
    memory_used=50,
    time_s=1000.0,
    refused=dict.fromkeys(Role, ()),
)


def found(**values: Any) -> dict[str, tuple[Grade, str]]:
    findings = judged(replace(GOOD, **values), 1000.0, own=False)
    assert all(bool(one.remedy) == (one.grade in {Grade.NOTE, Grade.WRONG}) for one in findings)
    return {one.subject: (one.grade, one.text) for one in findings if one.grade is not Grade.OK}


def test_a_valkey_is_told_by_its_own_version() -> None:
    findings = judged(replace(GOOD, version="9.1.2", product="Valkey"), 1000.0, own=False)
    assert ok("redis version", "Valkey 9.1.2") == findings[0]


def test_of_a_good_server_nothing_is_wrong() -> None:
    assert {} == found()


@pytest.mark.parametrize(
    ("values", "subject", "grade"),
    [
        ({"version": "6.0.16"}, "redis version", Grade.WRONG),
        ({"version": ""}, "redis version", Grade.NOTE),
        ({"role": "slave"}, "redis role", Grade.WRONG),
        ({"persistent": False}, "redis persistence", Grade.NOTE),
        ({"persistent": None}, "redis persistence", Grade.NOTE),
        ({"saving_fails": True}, "redis persistence", Grade.WRONG),
        ({"policy": "allkeys-lru"}, "redis eviction", Grade.WRONG),
        ({"policy": "volatile-ttl"}, "redis eviction", Grade.NOTE),
        ({"memory_used": 95}, "redis eviction", Grade.NOTE),
        ({"policy": ""}, "redis eviction", Grade.NOTE),
        ({"time_s": 1010.0}, "redis clock", Grade.NOTE),
        ({"time_s": None}, "redis clock", Grade.WRONG),
        ({"refused": dict.fromkeys(Role, ("EVALSHA",))}, "redis rights", Grade.WRONG),
        ({"encrypted": False}, "redis tls", Grade.NOTE),
    ],
)
def test_each_fault_is_one_finding_that_says_what_to_do(values: dict[str, Any], subject: str, grade: Grade) -> None:
    assert {subject: grade} == {name: graded for name, (graded, _) in found(**values).items()}


def test_without_a_limit_no_policy_evicts() -> None:
    assert {} == found(policy="allkeys-lru", memory_limit=0)


def test_a_server_of_this_machine_needs_no_encryption() -> None:
    assert {} == found(encrypted=False, local=True)


@pytest.mark.parametrize(
    ("roles", "user"),
    [
        ({Role.SCALER}, "scaler"),
        ({Role.SCALER, Role.PROXY}, "scaler and proxy"),
        ({Role.WEBHOOKS}, "webhooks"),
        ({Role.OPERATOR}, "operator"),
        (set[Role](), "reader"),
    ],
)
def test_a_user_is_judged_by_the_role_that_it_was_made_for(roles: set[Role], user: str) -> None:
    own = {**OWN, Role.OPERATOR: "XADD orders", Role.READER: ""}
    refused = {role: () if role in roles or not own[role] else (own[role], "EVALSHA x") for role in Role}
    rights = judged(replace(GOOD, refused=refused), 1000.0, own=False)[-2]
    assert ok("redis rights", f"a user for {user}, which may do all that it needs to") == rights


def test_what_a_role_lacks_is_told_with_where_its_rights_stand() -> None:
    needs = tuple(f"HSET {number}" for number in range(7))
    refused = {**dict.fromkeys(Role, ("XADD orders", *OWN.values())), Role.PROXY: needs}
    rights = judged(replace(GOOD, refused=refused), 1000.0, own=False)[-2]
    told = "a user for proxy, which may not give HSET 0, HSET 1, HSET 2, HSET 3, HSET 4 and 2 more"
    assert wrong("redis rights", told, "allow it what stoker-proxy may in example/redis.acl, and no more") == rights


def test_a_real_server_is_judged_and_nothing_is_written(store_settings: Settings) -> None:
    before = open_inspection(store_settings)
    keys: int = before.client.dbsize()
    findings = check_redis(store_settings, lambda: 0.0)
    assert {"redis clock"} == {one.subject for one in findings if one.grade is not Grade.OK}
    assert keys == before.client.dbsize()
    before.close()


@pytest.mark.live
def test_a_user_with_too_few_rights_and_a_server_with_a_bad_policy_are_told(tmp_path: Path) -> None:
    port = free_port()
    argv = [server_binary(), "--port", str(port), "--bind", "127.0.0.1", "--dir", str(tmp_path), "--save", ""]
    limits = ["--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru"]
    poor = ["--user", "poor", "on", ">a-long-password", "~*", "&*", "+@all", "-evalsha", "-publish", "-config"]
    with serving([*argv, *limits, *poor], port):
        url = f"redis://poor:a-long-password@127.0.0.1:{port}"
        told = {one.subject: one for one in check_redis(load(None, redis_url=url), Clock().now)}
    lacking = "EVALSHA proxy:*, PUBLISH changes, PUBLISH wake, EVALSHA webhooks"
    assert f"this user may not give {lacking}" == told["redis rights"].text
    assert "ACL SETUSER <user> +evalsha +publish ~<fleet>:* &<fleet>:*" == told["redis rights"].remedy
    assert {"redis rights": Grade.WRONG, "redis eviction": Grade.WRONG, "redis persistence": Grade.NOTE} == {
        one.subject: one.grade for one in told.values() if one.grade is not Grade.OK
    }
    assert "a-long-password" not in repr(told)


def test_a_server_that_is_not_there_is_one_finding(tmp_path: Path) -> None:
    settings = load(None, redis_url=f"redis://127.0.0.1:{free_port()}", state_dir=tmp_path)
    [finding] = check_redis(settings, lambda: 0.0)
    assert (Grade.WRONG, True) == (finding.grade, finding.text.endswith("unreachable: Connection refused"))


@pytest.mark.live
def test_a_wrong_password_is_not_told_to_be_a_server_that_is_down(tmp_path: Path) -> None:
    port = free_port()
    argv = [server_binary(), "--port", str(port), "--bind", "127.0.0.1", "--dir", str(tmp_path), "--save", ""]
    with serving([*argv, "--requirepass", "a-long-password"], port):
        for user in ("", ":a-wrong-password@"):
            [finding] = check_redis(load(None, redis_url=f"redis://{user}127.0.0.1:{port}"), Clock().now)
            remedy = "correct redis_url (or STOKER_REDIS_URL), or the file named by redis_password_file"
            assert (Grade.WRONG, remedy) == (finding.grade, finding.remedy)
            assert "a-wrong-password" not in finding.text


def test_without_a_url_and_a_fleet_there_is_nothing_to_check(tmp_path: Path) -> None:
    [finding] = check_redis(load(None, state_dir=tmp_path), lambda: 0.0)
    assert Grade.SKIPPED is finding.grade
