"""The parts themselves, each as its user of example/redis.acl: the server has refused none of them anything."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import ExitStack, closing, contextmanager
from typing import TYPE_CHECKING

import pytest

from fleet.backend import Phase
from fleet.store.address import address_of
from fleet.store.connection import connect
from fleet.store.opening import open_desk
from stoker.configured import sample_command
from tests.addon.rig import MAIN, MITMDUMP
from tests.haproxy.rig import until
from tests.security.roles import guarded
from tests.valkey import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from fleet.settings import Settings

pytestmark = [pytest.mark.live, pytest.mark.timeout(120)]

CONFIG = """state_dir = "{folder}"
[proxy]
listen_port = {port}
[actuator]
kind = "process"
[instance]
command = {command}
[policy]
max = 3
[life]
stop_grace_s = 2
[metrics]
scaler_port = "none"
mitmproxy_port = "none"
[webhooks]
url = "http://127.0.0.1:{port}/hook"
secret = "sixteen-and-more-letters"
"""


@contextmanager
def running(argv: list[str], settings: Settings, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """That process with that user's url, until the end of the block."""
    assert settings.redis_url is not None
    variables = dict(os.environ) | {"STOKER_REDIS_URL": settings.redis_url.get_secret_value()}
    with log.open("wb") as out:
        process = subprocess.Popen(argv, env=variables, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
    try:
        yield process
    finally:
        # The scaler stops its instances.
        process.send_signal(signal.SIGINT)
        process.wait()


@pytest.mark.parametrize("server", ["valkey", pytest.param("redis", marks=pytest.mark.long)])
async def test_scaler_data_plane_courier_and_people_are_refused_nothing(server: str, tmp_path: Path) -> None:
    port, config = free_port(), tmp_path / "stoker.toml"
    config.write_text(CONFIG.format(folder=tmp_path / "state", port=port, command=json.dumps(sample_command())))
    stoker = [sys.executable, "-m", "stoker"]
    told = ["--config", str(config)]
    plane = [str(MITMDUMP), "-q", "-s", str(MAIN), "--mode", f"reverse:http://stoker@127.0.0.1:{port}"]
    parts = {
        "scaler": [*stoker, "scaler", *told],
        "proxy": [*plane, "--set", f"stoker_config={config}", "--set", f"confdir={tmp_path / 'confdir'}"],
        "webhooks": [*stoker, "webhooks", *told],
    }
    with guarded(server) as users, ExitStack() as stack:
        for role, argv in parts.items():
            stack.enter_context(running(argv, users[role], tmp_path / f"{role}.log"))
        desk = stack.enter_context(closing(open_desk(users["reader"])))

        def serving(count: int) -> bool:
            status = desk.status()
            backends = status.snapshot.backends if status.snapshot else {}
            return (
                bool(status.sighting.readings)
                and len(backends) == count
                and all(one.phase is Phase.SERVING for one in backends.values())
            )

        for count in (1, 3, 1):
            with running([*stoker, "scale", str(count), *told], users["operator"], tmp_path / "operator.log") as one:
                assert 0 == one.wait(), (tmp_path / "operator.log").read_text()
            await until(lambda count=count: serving(count), f"{count} serve", 60.0)  # type: ignore[misc]
        redis_url = users["admin"].redis_url
        assert redis_url is not None
        with closing(connect(address_of(users["admin"], redis_url.get_secret_value()))) as admin:
            refused = {(entry["username"], entry["object"]) for entry in admin.acl_log()}
        # The client library introduces itself to newer servers, and does without; older ones do not know the command.
        assert set() == {one for one in refused if one[1] != "client|setinfo"}
