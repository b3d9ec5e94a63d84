"""For `mitmdump -s`: removes the default addons that Stoker would leave out, and does nothing else."""

from __future__ import annotations

import sys
from pathlib import Path

from mitmproxy import ctx

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from addon.lean import ACTS_WITH


class Pruned:
    """Removes them once mitmdump runs."""

    def running(self) -> None:
        """Cut the chain."""
        out = [ctx.master.addons.get(name) for name in ACTS_WITH]
        ctx.master.addons.chain = [addon for addon in ctx.master.addons.chain if addon not in out]


addons = [Pruned()]
