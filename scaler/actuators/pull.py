"""Image pulls with a deadline: starts that wait for one image share one pull, and a late pull goes on behind them."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING

from docker.auth import resolve_repository_name
from docker.errors import APIError

from scaler.actuators.excerpt import one_line

if TYPE_CHECKING:
    from docker import APIClient

# In the words of engines and registries; of an image that is not there some say the same as of one that is private.
DENIED = ("no basic auth credentials", "unauthorized", "denied", "authentication required")
HUB = "docker.io"


class Puller:
    """Pulls images through one engine. The SDK knows no timeout for a pull, so each runs in a thread of its own."""

    def __init__(self, client: APIClient) -> None:
        self._client = client
        self._lock = threading.Lock()
        self._pulls: dict[str, Future[None]] = {}

    def pull(self, image: str, timeout_s: float) -> None:
        """Have the image pulled. Raises RuntimeError, one line, if it cannot be or is not within the time."""
        with self._lock:
            pull = self._pulls.get(image)
            if pull is None:
                pull = self._pulls[image] = Future()
                threading.Thread(target=self._run, args=(image, pull), name=f"pull {image}", daemon=True).start()
        try:
            pull.result(timeout_s)
        except TimeoutError as error:
            raise RuntimeError(f"image {image} was not pulled within {timeout_s:g} s") from error

    def _run(self, image: str, pull: Future[None]) -> None:
        try:
            self._download(image)
        except Exception as error:  # noqa: BLE001  # a thread's error belongs to those who wait for it
            pull.set_exception(error)
        else:
            pull.set_result(None)
        finally:
            with self._lock:
                del self._pulls[image]

    def _download(self, image: str) -> None:
        self._client.reload_config()  # a login since the last pull counts
        try:
            for line in self._client.pull(image, stream=True, decode=True):
                if "error" in line:
                    raise RuntimeError(refusal(image, str(line["error"])))
        except APIError as error:
            raise RuntimeError(refusal(image, error.explanation or str(error))) from error


def refusal(image: str, words: str, where: str = "as the scaler's user") -> str:
    """Why an image cannot be pulled, in one line, with what to do where its registry wants a login."""
    told = one_line(f"image {image} cannot be pulled: {words}")
    if not any(sign in words.lower() for sign in DENIED):
        return told
    registry, _ = resolve_repository_name(image)
    login = "docker login" if registry == HUB else f"docker login {registry}"
    return f"{told}; if the image exists, its registry wants a login: run '{login}' {where}"
