from __future__ import annotations

import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from mitmproxy import ctx
from mitmproxy.addons import anticache, default_addons, dumper, modifyheaders, next_layer, termlog
from mitmproxy.test import taddons

from addon.lean import ACTS_WITH, Lean

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def lean(**options: object) -> Iterator[tuple[Lean, taddons.context]]:
    """A chain with three idle addons and one that always acts."""
    made = Lean()
    addons = [anticache.AntiCache(), modifyheaders.ModifyHeaders(), next_layer.NextLayer(), dumper.Dumper(), made]
    with taddons.context(termlog.TermLog(), *addons, loadcore=False) as context:
        context.options.update(flow_detail=0, **options)
        made.running()
        yield made, context
        made.done()


def chain() -> list[str]:
    return [type(addon).__name__ for addon in ctx.master.addons.chain]


async def test_addons_without_anything_to_do_are_left_out_and_named(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    with lean():
        assert chain() == ["TermLog", "NextLayer", "Lean"]
    assert "stoker: left out of the hooks: anticache, modifyheaders, dumper" in caplog.messages


async def test_everything_is_put_back_at_the_end() -> None:
    with lean() as (made, _):
        made.done()
        assert chain() == ["TermLog", "AntiCache", "ModifyHeaders", "NextLayer", "Dumper", "Lean"]


async def test_an_addon_whose_option_is_set_stays() -> None:
    with lean(anticache=True):
        assert chain() == ["TermLog", "AntiCache", "NextLayer", "Lean"]


async def test_an_addon_comes_back_to_its_place_with_its_option_when_that_is_set_later() -> None:
    with lean() as (_, context):
        context.options.update(modify_headers=["/x/y"])
        assert chain() == ["TermLog", "ModifyHeaders", "NextLayer", "Lean"]
        back = ctx.master.addons.get("modifyheaders")
        assert [b"x"] == [spec.subject for spec in back.replacements]
        context.options.update(modify_headers=[])
        assert chain() == ["TermLog", "NextLayer", "Lean"]


async def test_nothing_is_left_out_when_that_is_off() -> None:
    with lean(stoker_lean=False):
        assert chain() == ["TermLog", "AntiCache", "ModifyHeaders", "NextLayer", "Dumper", "Lean"]
        assert "handle_lifecycle" not in vars(ctx.master.addons)


async def test_what_others_add_and_remove_meanwhile_is_respected() -> None:
    with lean() as (_, context):
        added = type("Added", (), {})()
        ctx.master.addons.add(added)
        ctx.master.addons.remove(ctx.master.addons.get("anticache"))
        context.options.update(stoker_lean=False)
        assert chain() == ["TermLog", "ModifyHeaders", "NextLayer", "Dumper", "Lean", "Added"]


async def test_a_users_addon_of_the_same_name_stays() -> None:
    mine = type("Save", (), {"name": "save"})()
    made = Lean()
    with taddons.context(termlog.TermLog(), mine, made, loadcore=False):
        made.running()
        assert mine in ctx.master.addons.chain
        made.done()


@pytest.mark.parametrize(("verbosity", "quiet"), [(None, True), ("info", False)])
async def test_connections_are_not_logged_unless_the_user_asks(verbosity: str | None, quiet: bool) -> None:
    with lean(**({"termlog_verbosity": verbosity} if verbosity else {})):
        level = logging.WARNING if quiet else logging.NOTSET
        assert logging.getLogger("mitmproxy.proxy.server").level == level


async def test_every_name_and_option_is_mitmproxys_own() -> None:
    with taddons.context(*default_addons(), dumper.Dumper(), loadcore=False) as context:
        for name, options in ACTS_WITH.items():
            assert type(context.master.addons.get(name)).__module__.startswith("mitmproxy.addons.")
            assert all(option in context.options for option in options)
