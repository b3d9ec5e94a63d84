"""Draw the README's picture from a real run of the demo: bench/draw_demo.py docs/demo.svg."""

from __future__ import annotations

import asyncio
import io
import re
import sys
from pathlib import Path

from rich.console import Console

from fleet.clock import Clock
from stoker.demo.client import Client
from stoker.demo.load import Load
from stoker.demo.record import Record, Shape, judge
from stoker.demo.run import Demo, serving_desk
from stoker.demo.screen import picture
from stoker.demo.stage import MAX, stage

SECONDS = 45.0
WIDTH = 96
SHOWN_AT_S = 36.0
REMOTE_FONTS = re.compile(r"@font-face \{.*?\}", re.DOTALL)  # a picture loads nothing


def main(path: Path) -> None:
    now = Clock().now
    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True)

    def show(record: Record) -> None:
        if record.samples[-1].at_s < SHOWN_AT_S:
            console.export_text(clear=True)
            console.print(picture(record, "process instances behind http://127.0.0.1:8080", MAX, WIDTH))

    with stage("process") as found:
        load = Load(Client(found.settings.proxy.listen_address, found.settings.proxy.listen_port), now)
        demo = Demo(found, asyncio.run(serving_desk(found)), load, Record(Shape(SECONDS), now()), now)
        asyncio.run(demo.run(show))
    path.write_text(REMOTE_FONTS.sub("", console.export_svg(title="stoker demo")), encoding="utf-8")
    print(judge(demo.record, load.ended, load.first_answers))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
