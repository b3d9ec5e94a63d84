"""The page's own files, read once; their common version tells an open page that it has become an old one."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING

from starlette.responses import Response

if TYPE_CHECKING:
    from starlette.requests import Request

TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
PAGE = "page.html"
VERSION_MARK = b"@version@"


@dataclass(frozen=True, slots=True)
class Files:
    """Every file by its name, and the version of them all."""

    contents: Mapping[str, bytes]
    version: str

    def answer(self, request: Request, name: str) -> Response:
        """The file, or that the browser has it already, or that there is none."""
        content = self.contents.get(name)
        if content is None:
            return Response("no such file\n", 404, media_type="text/plain")
        headers = {"ETag": f'"{self.version}"', "Cache-Control": "no-cache"}
        if request.headers.get("if-none-match") == headers["ETag"]:
            return Response(status_code=304, headers=headers)
        return Response(content, headers={**headers, "Content-Type": TYPES[_suffix(name)]})


def read_files() -> Files:
    """All of `stoker/web/assets`."""
    folder = files("stoker.web") / "assets"
    found = {one.name: one.read_bytes() for one in folder.iterdir() if _suffix(one.name) in TYPES}
    digest = hashlib.sha256(b"".join(name.encode() + found[name] for name in sorted(found)))
    version = digest.hexdigest()[:16]
    found[PAGE] = found[PAGE].replace(VERSION_MARK, version.encode())
    return Files(found, version)


def _suffix(name: str) -> str:
    return name[name.rfind(".") :]
