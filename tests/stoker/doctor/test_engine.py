from __future__ import annotations

import gc
import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest

from fleet.settings import Settings, load
from stoker.doctor.engine import check_engine
from stoker.doctor.finding import Grade

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(autouse=True)
def no_settings_from_outside(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)


@contextmanager
def an_engine(answers: dict[str, tuple[int, Any]]) -> Iterator[str]:
    """Something that answers like an engine: by the end of the path, else 404."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = next(
                (answer for end, answer in answers.items() if self.path.endswith(end)), (404, {"message": "no"})
            )
            body = json.dumps(found[1]).encode()
            self.send_response(found[0])
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"tcp://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


VERSION = {"/version": (200, {"Version": "27.1", "ApiVersion": "1.46"})}
THERE = {"/images/app:1/json": (200, {"Id": "sha256:0123456789abcdef"})}
LOGIN = {"/distribution/app:1/json": (401, {"message": "login needed"})}
PULLS: dict[str, tuple[int, Any]] = {"/distribution/app:1/json": (200, {"Descriptor": {}, "Platforms": []})}


def grades(engine: str, **values: object) -> dict[str, tuple[Grade, str]]:
    found = load(None, **{"actuator.docker_host": engine, "instance.image": "app:1", **values})
    return {one.subject: (one.grade, one.text) for one in check_engine(found)}


def test_an_engine_with_the_image_is_well() -> None:
    with an_engine({**VERSION, **THERE}) as engine:
        assert {
            "engine": (Grade.OK, "version 27.1, API 1.46"),
            "image": (Grade.OK, "app:1 is there (0123456789ab)"),
        } == grades(engine)


def test_an_image_that_is_not_there_must_be_pullable() -> None:
    with an_engine({**VERSION, **PULLS}) as engine:
        assert (Grade.OK, "app:1 can be pulled") == grades(engine)["image"]
        assert (Grade.WRONG, "app:1 is not there and instance.pull is never") == (
            grades(engine, **{"instance.pull": "never"})["image"]
        )
    with an_engine({**VERSION, **LOGIN}) as engine:
        assert (Grade.WRONG, "app:1 cannot be pulled: login needed") == grades(engine)["image"]


def test_an_image_that_is_always_pulled_must_be_pullable_though_it_is_there() -> None:
    with an_engine({**VERSION, **THERE, **LOGIN}) as engine:
        assert Grade.WRONG is grades(engine, **{"instance.pull": "always"})["image"][0]


def test_a_network_that_is_not_there_is_named() -> None:
    with an_engine({**VERSION, **THERE}) as engine:
        told = grades(engine, **{"instance.network": "shop"})["network"]
    assert (Grade.WRONG, "instance.network shop is not there") == told


def test_an_old_engine_is_refused() -> None:
    with an_engine({"/version": (200, {"Version": "19.03", "ApiVersion": "1.40"}), **THERE}) as engine:
        assert Grade.WRONG is grades(engine)["engine"][0]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # the SDK's own socket
def test_no_engine_is_one_finding_that_says_what_to_do(tmp_path: Path) -> None:
    chosen = load(None, **{"actuator.docker_host": f"unix://{tmp_path}/none.sock", "instance.image": "app:1"})
    [finding] = check_engine(chosen)
    gc.collect()
    assert (Grade.WRONG, True) == (finding.grade, finding.remedy.startswith("start the engine"))


def test_a_missing_env_file_is_not_the_engine_s_fault(tmp_path: Path) -> None:
    chosen = load(None, **{"instance.image": "app:1", "instance.env_file": tmp_path / "none.env"})
    [finding] = check_engine(chosen)
    assert (Grade.SKIPPED, "instance.env_file has to be corrected first") == (finding.grade, finding.text)


def test_the_hosts_of_an_inventory_are_named_and_how_to_ask_them(tmp_path: Path) -> None:
    inventory = tmp_path / "hosts.yml"
    inventory.write_text("stoker: {hosts: {alpha: {stoker_address: 10.0.0.11}}}\n")
    hosts, image = check_engine(load(None, **{"actuator.kind": "ansible", "actuator.inventory": inventory}))
    assert (Grade.OK, "; 1 hosts: alpha") == (hosts.grade, hosts.text[hosts.text.index(";") :])
    assert f"`ansible -i {inventory} stoker -m ping`" in image.text


def test_a_command_that_is_not_installed_is_found() -> None:
    def process(*command: str) -> Settings:
        return load(None, **{"actuator.kind": "process", "instance.command": command})

    assert [Grade.OK] == [one.grade for one in check_engine(process("sh", "{port}"))]
    assert [Grade.WRONG] == [one.grade for one in check_engine(process("nobody-has-this", "{port}"))]


def test_an_inventory_that_is_not_there_is_found(tmp_path: Path) -> None:
    chosen = load(None, **{"actuator.kind": "ansible", "actuator.inventory": tmp_path / "none"})
    assert [Grade.WRONG] == [one.grade for one in check_engine(chosen)]
