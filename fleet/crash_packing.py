"""Reads and packs a document without holding up the event loop: a small one in a thread, a large one in a process.

To parse 8 MB of JSON takes a tenth of a second, in which no other thread of this process runs. As a program, this
reads one line of JSON with id and proxy, then the document; it writes one line of JSON, then what is to be stored.
"""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

if __name__ == "__main__":  # started by its path, from any folder
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from fleet.crash import Capture, Source
from fleet.crash_document import pack, read_document

if TYPE_CHECKING:
    from collections.abc import Mapping

SMALL = 256 * 1024
PROCESS_S = 20.0


async def packed(raw: bytes, crash_id: str, proxy: Mapping[str, object]) -> tuple[Capture, bytes]:
    """What `pack` makes of the document. Raises ValueError, in one line, where it is none."""
    if len(raw) <= SMALL:
        return await asyncio.to_thread(_packed, raw, crash_id, proxy)
    head = json.dumps({"id": crash_id, "proxy": proxy}).encode() + b"\n"
    process = await asyncio.create_subprocess_exec(
        sys.executable, __file__, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    try:
        async with asyncio.timeout(PROCESS_S):
            said, _ = await process.communicate(head + raw)
    except TimeoutError as error:
        raise ValueError(f"a document of {len(raw)} bytes was not read in {PROCESS_S:g} s") from error
    finally:
        if process.returncode is None:
            process.kill()
    line, _, content = said.partition(b"\n")
    answer = json.loads(line or b'{"fault": "the document could not be read"}')
    if "fault" in answer:
        raise ValueError(answer["fault"])
    return Capture(**answer | {"source": Source(answer["source"])}), content


def _packed(raw: bytes, crash_id: str, proxy: Mapping[str, object]) -> tuple[Capture, bytes]:
    return pack(read_document(raw, crash_id), proxy)


def main() -> None:
    """One document from standard input to standard output."""
    given = json.loads(sys.stdin.buffer.readline())
    try:
        capture, content = _packed(sys.stdin.buffer.read(), given["id"], given["proxy"])
        answer = asdict(capture)
    except ValueError as error:
        answer, content = {"fault": str(error)}, b""
    sys.stdout.buffer.write(json.dumps(answer).encode() + b"\n" + content)


if __name__ == "__main__":
    main()
