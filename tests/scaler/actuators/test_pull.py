"""What is said of an image that cannot be pulled, also by a real engine and a registry that wants a login."""

from __future__ import annotations

import base64
import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, ClassVar

import pytest

from scaler.actuators.ansible import unresolved
from scaler.actuators.pull import refusal

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.scaler.actuators.hands import Hand

HINT = "; if the image exists, its registry wants a login: run '{}' as the scaler's user"


class Locked(BaseHTTPRequestHandler):
    """A registry's front door that opens for nobody."""

    logins: ClassVar[set[str]] = set()

    def do_GET(self) -> None:
        self.logins.add(self.headers.get("Authorization", ""))
        self.send_response(401)
        self.send_header("WWW-Authenticate", 'Basic realm="shop"')
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_HEAD = do_GET  # noqa: N815

    def log_message(self, *_: object) -> None:
        """Nothing."""


@contextmanager
def locked_registry() -> Iterator[str]:
    """Where one listens."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Locked) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize(
    ("image", "words", "login"),
    [
        ("reg.example:5000/shop:2", 'Head "https://reg.example": no basic auth credentials', "reg.example:5000"),
        ("reg.example/a/shop:2", "unauthorized", "reg.example"),
        ("reg.example/shop@sha256:" + "0" * 64, "denied", "reg.example"),
    ],
)
def test_a_registry_that_wants_a_login_is_named_with_the_command(image: str, words: str, login: str) -> None:
    expected = f"image {image} cannot be pulled: {words}{HINT.format('docker login ' + login)}"
    assert expected == refusal(image, words)


def test_the_hub_is_the_default_of_the_command() -> None:
    words = "pull access denied for shop, repository does not exist or may require 'docker login'"
    assert f"image shop:2 cannot be pulled: {words}{HINT.format('docker login')}" == refusal("shop:2", words)


def test_any_other_trouble_asks_for_no_login() -> None:
    assert "image shop:2 cannot be pulled: manifest unknown" == refusal("shop:2", "manifest\nunknown")


def test_of_a_play_only_the_engines_own_words_are_told() -> None:
    said = (
        "Pull the images: Error pulling image reg.example/shop:2 - 500 Server Error for http+docker://localhost/v1.41/"
        'images/create?tag=2&fromImage=reg.example%2Fshop: Internal Server Error ("Head "https://reg.example": denied")'
    )
    expected = (
        'image reg.example/shop:2 cannot be pulled: alpha: Head "https://reg.example": denied; if the image exists, '
        "its registry wants a login: run 'docker login reg.example' on alpha, as the user of its plays"
    )
    assert expected == unresolved("reg.example/shop:2", "alpha", said)
    assert "image shop:2 on alpha: it burns" == unresolved("shop:2", "alpha", "it burns")


@pytest.mark.live
def test_a_real_engine_that_is_refused_says_where_to_log_in(containers: Hand) -> None:
    with locked_registry() as registry:
        image = f"{registry}/shop:2"
        definition = containers.good.model_copy(update={"image": image, "pull": "missing"})
        with pytest.raises(RuntimeError) as refused:
            containers.open().resolve(definition)
    said = str(refused.value)
    assert said.startswith(f"image {image} cannot be pulled: ")
    assert said.endswith(f"no basic auth credentials{HINT.format('docker login ' + registry)}")
    assert "\n" not in said


@pytest.mark.live
def test_a_login_after_the_start_counts_at_the_next_pull(
    containers: Hand, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    (tmp_path / "config.json").write_text('{"auths": {"elsewhere.example": {"auth": "YTpi"}}}')
    actuator, login = containers.open(), base64.b64encode(b"shop:secret").decode()
    with locked_registry() as registry:
        (tmp_path / "config.json").write_text(json.dumps({"auths": {registry: {"auth": login}}}))
        definition = containers.good.model_copy(update={"image": f"{registry}/shop:2", "pull": "missing"})
        with pytest.raises(RuntimeError, match="registry wants a login"):
            actuator.resolve(definition)
    assert f"Basic {login}" in Locked.logins
