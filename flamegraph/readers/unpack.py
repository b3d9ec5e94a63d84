"""Undo what is wrapped round a profile: gzip, and encodings that are not UTF-8."""

from __future__ import annotations

import codecs
from typing import Final

from flamegraph.profile import ProfileError

# A bomb of a megabyte holds this much; no sound profile that one wants to look at does.
MAX_UNPACKED: Final = 2 << 30
GZIP: Final = b"\x1f\x8b"
# A piece of this size unpacks to at most 66 MB.
PIECE: Final = 1 << 16


def plain(data: bytes, limit: int = MAX_UNPACKED) -> bytes:
    """The bytes of the profile itself, in UTF-8 where it is text; raises ProfileError over `limit` bytes."""
    if data[:2] == GZIP:
        data = gunzip(data, limit)
    if data[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        return data.decode("utf-16", "replace").encode()
    return data.removeprefix(codecs.BOM_UTF8)


def gunzip(data: bytes, limit: int) -> bytes:
    """Unpack every member of a gzip file; bytes of another kind after one are ignored, as gzip does."""
    import zlib

    pieces: list[bytes] = []
    size = at = 0
    while data[at : at + 2] == GZIP:
        unpacker = zlib.decompressobj(wbits=31)
        while not unpacker.eof:
            fed = data[at : at + PIECE]
            if not fed:
                raise ProfileError(f"gzip data that is cut off after {size} unpacked bytes")
            try:
                pieces.append(unpacker.decompress(fed))
            except zlib.error:
                raise ProfileError(f"gzip data that is broken after {size} unpacked bytes") from None
            size += len(pieces[-1])
            at += len(fed)
            if size > limit:
                raise ProfileError(f"unpacks to more than {limit >> 20} MB")
        at -= len(unpacker.unused_data)
    return b"".join(pieces)
