"""The only place where files are opened: inputs are read whole, outputs appear whole or not at all."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def read_bytes(name: str | os.PathLike[str]) -> bytes:
    """The content of a file, or of standard input where the name is `-`."""
    if name == "-":
        return sys.stdin.buffer.read()
    with open(name, "rb") as file:  # noqa: PTH123 pathlib takes longer to load than a small profile to read
        return file.read()


def write_text(name: str, pieces: Iterable[str]) -> None:
    """Write UTF-8 to a file by way of one beside it, or to standard output where the name is `-`."""
    if name == "-":
        out = sys.stdout.buffer
        for piece in pieces:
            out.write(piece.encode("utf-8", "backslashreplace"))
        out.flush()
        return
    write_bytes(name, (piece.encode("utf-8", "backslashreplace") for piece in pieces))


def write_bytes(name: str, pieces: Iterable[bytes]) -> None:
    """Write a file by way of one beside it, so that a failure leaves the old file as it was."""
    if name == "-":
        for piece in pieces:
            sys.stdout.buffer.write(piece)
        sys.stdout.buffer.flush()
        return
    if os.path.exists(name) and not os.path.isfile(name):  # noqa: PTH110, PTH113 as in read_bytes
        with open(name, "wb") as device:  # noqa: PTH123
            device.writelines(pieces)
        return
    partial = f"{name}.{os.getpid()}.partial"
    try:
        with open(partial, "wb") as file:  # noqa: PTH123
            file.writelines(pieces)
        os.replace(partial, name)  # noqa: PTH105
    except BaseException as error:
        if os.path.exists(partial):  # noqa: PTH110
            os.unlink(partial)  # noqa: PTH108
        if isinstance(error, OSError) and error.filename == partial:
            raise OSError(error.errno, error.strerror, name) from error
        raise
