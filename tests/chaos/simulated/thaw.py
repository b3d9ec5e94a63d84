"""Makes the frozen values of the machine cheap to build, for processes that run thousands of simulated hours.

A frozen dataclass sets each field through `object.__setattr__`, which is a fifth of such a run. Nothing else changes:
the same fields, defaults, equality and hash. That nobody writes to them is held by mypy and by every other test.
"""

from __future__ import annotations

import sys
from dataclasses import MISSING, fields, is_dataclass


def thaw(*packages: str) -> None:
    """Let every frozen dataclass of the loaded modules of these packages be built by plain assignments."""
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] in packages:
            for kind in list(vars(module).values()):
                if isinstance(kind, type) and is_dataclass(kind) and kind.__module__ == name and _plain(kind):
                    _thaw(kind)


def _plain(kind: type) -> bool:
    """Whether its `__init__` only sets its fields, and whether it is still frozen."""
    frozen = kind.__dataclass_params__.frozen and "__setattr__" in vars(kind)  # type: ignore[attr-defined]
    return frozen and not hasattr(kind, "__post_init__") and all(one.init and not one.kw_only for one in fields(kind))


def _thaw(kind: type) -> None:
    known: dict[str, object] = {"MISSING": MISSING}
    heads, body = ["self"], list[str]()
    for one in fields(kind):
        made = value = one.name
        if one.default is not MISSING:
            known[f"_{value}"], made = one.default, f"{value}=_{value}"
        elif one.default_factory is not MISSING:
            known[f"_{value}"], made = one.default_factory, f"{value}=MISSING"
            body.append(f"    if {value} is MISSING: {value} = _{value}()")
        heads.append(made)
        body.append(f"    self.{one.name} = {value}")
    exec("\n".join([f"def __init__({', '.join(heads)}):", *(body or ["    pass"])]), known)  # noqa: S102  # as dataclasses
    kind.__init__ = known["__init__"]  # type: ignore[misc]
    del kind.__setattr__, kind.__delattr__
