"""Where each request is written down."""

from __future__ import annotations

from pydantic import Field

from fleet.section import Section


class AccessLogSettings(Section):
    """One JSON object a line for each request. HAProxy writes its own: haproxy.access_log says where to."""

    file: str | None = Field(
        None, min_length=1, description="Of mitmproxy: a file, or - for standard output; none: nothing is written."
    )
    query: bool = Field(
        False, description="Of both planes: paths are written with their query, which may hold secrets."
    )
    rotate_size: int = Field(100_000_000, ge=1000, description="Bytes after which mitmproxy's file is put aside.")
    keep: int = Field(5, ge=0, le=1000, description="So many files that were put aside are kept.")
