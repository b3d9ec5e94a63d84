"""Image pulls with a deadline: starts that wait for one image share one pull, and a late pull goes on behind them."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from docker import APIClient


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
        for line in self._client.pull(image, stream=True, decode=True):
            if "error" in line:
                raise RuntimeError(f"image {image} cannot be pulled: {line['error']}")
