"""Drives Debian's Chromium without a window, by its DevTools protocol."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import shutil
import signal
import subprocess
import tempfile
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Any

import aiohttp

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator
    from pathlib import Path

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--remote-debugging-port=0",
)
# Virtual key codes of the keys that have no character.
KEYS = {
    "Enter": (13, "\r"), "Escape": (27, ""), "ArrowLeft": (37, ""), "ArrowUp": (38, ""), "ArrowRight": (39, ""),
    "ArrowDown": (40, ""), "Home": (36, ""), "Tab": (9, ""), "F3": (114, ""), " ": (32, " "),
}  # fmt: skip
CONTROL, SHIFT = 2, 8


def installed() -> str | None:
    """Where Chromium is, or None."""
    return shutil.which("chromium") or shutil.which("chromium-browser")


@contextmanager
def running() -> Generator[str]:
    """Run a browser of one's own; gives the address of its DevTools socket."""
    program = installed()
    assert program, "chromium is not installed"
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        command = [program, *FLAGS, f"--user-data-dir={folder}", "about:blank"]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True) as process:
            try:
                assert process.stderr
                yield next(line.split()[-1] for line in process.stderr if line.startswith("DevTools listening on"))
            finally:
                os.killpg(process.pid, signal.SIGKILL)


@dataclass(slots=True)
class Page:
    """One tab."""

    socket: aiohttp.ClientWebSocketResponse
    context: str = ""
    session: str = ""
    faults: list[str] = field(default_factory=list)
    _ids: count[int] = field(default_factory=lambda: count(1))

    async def call(self, method: str, **params: object) -> dict[str, Any]:
        """Give one order and wait for its answer; what the page reports meanwhile is kept."""
        number = next(self._ids)
        order: dict[str, object] = {"id": number, "method": method, "params": params}
        if self.session:
            order["sessionId"] = self.session
        await self.socket.send_json(order)
        while True:
            message = await self._message()
            if message.get("id") == number:
                assert "error" not in message, message["error"]
                result: dict[str, Any] = message["result"]
                return result

    async def event(self, method: str) -> dict[str, Any]:
        """Wait until the page reports this."""
        while True:
            message = await self._message()
            if message.get("method") == method:
                return message

    async def _message(self) -> dict[str, Any]:
        message: dict[str, Any] = json.loads(await self.socket.receive_str())
        if message.get("method") == "Runtime.exceptionThrown":
            details = message["params"]["exceptionDetails"]
            self.faults.append(details.get("exception", {}).get("description", details["text"]))
        return message

    async def run(self, expression: str) -> Any:
        """The value of an expression in the page."""
        given = await self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in given, given["exceptionDetails"]["exception"]["description"]
        return given["result"].get("value")

    async def open(self, address: str) -> None:
        """Load an address and wait until its scripts have run."""
        await self.call("Page.navigate", url=address)
        await self.event("Page.loadEventFired")

    async def size(self, width: int, height: int, scale: float = 1) -> None:
        """Give the window a size."""
        await self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=scale, mobile=False
        )

    async def media(self, kind: str = "", **features: str) -> None:
        """Be a printer, or a screen whose user prefers something."""
        chosen = [{"name": name.replace("_", "-"), "value": value} for name, value in features.items()]
        await self.call("Emulation.setEmulatedMedia", media=kind, features=chosen)

    async def allow(self, *permissions: str) -> None:
        """Grant what a user would be asked for."""
        await self.call("Browser.grantPermissions", permissions=permissions, browserContextId=self.context)

    async def press(self, key: str, modifiers: int = 0) -> None:
        """Press and release one key."""
        code, text = KEYS.get(key, (ord(key.upper()) if len(key) == 1 else 0, key))
        shown = {} if modifiers & CONTROL or not text else {"text": text}
        given = {"key": key, "windowsVirtualKeyCode": code, "modifiers": modifiers, **shown}
        await self.call("Input.dispatchKeyEvent", type="keyDown", **given)
        await self.call("Input.dispatchKeyEvent", type="keyUp", **{**given, "text": ""})

    async def type(self, text: str) -> None:
        """Write into what has the focus."""
        await self.call("Input.insertText", text=text)

    async def click(self, x: float, y: float, modifiers: int = 0) -> None:
        """Click a place of the window."""
        for kind in ("mousePressed", "mouseReleased"):
            await self.call(
                "Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1, modifiers=modifiers
            )

    async def hover(self, x: float, y: float) -> None:
        """Move the pointer to a place of the window."""
        await self.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)

    async def picture(self, path: Path, *, whole: bool = False) -> None:
        """Save what is seen, or the whole page, as a PNG."""
        given = await self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        await asyncio.to_thread(path.write_bytes, base64.b64decode(given["data"]))


@asynccontextmanager
async def opened(devtools: str, width: int = 1200, height: int = 800) -> AsyncGenerator[Page]:
    """Open a tab in a browser; a script's uncaught error in it fails whoever closes it."""
    async with aiohttp.ClientSession() as client, client.ws_connect(devtools, max_msg_size=0) as socket:
        page = Page(socket)
        page.context = (await page.call("Target.createBrowserContext"))["browserContextId"]
        target = await page.call("Target.createTarget", url="about:blank", browserContextId=page.context)
        attached = await page.call("Target.attachToTarget", targetId=target["targetId"], flatten=True)
        page.session = attached["sessionId"]
        await page.call("Page.enable")
        await page.call("Runtime.enable")
        await page.size(width, height)
        yield page
        await page.call("Page.navigate", url="about:blank")
        assert page.faults == []
