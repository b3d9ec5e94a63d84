"""Fold what Rails does around the app: the chain of middleware into one frame, framework plumbing into another."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Final

from flamegraph.filters import Stack, change_stacks
from flamegraph.groups import FOLDED
from flamegraph.profile import Frame, Profile

MIDDLEWARE, PLUMBING = map(Frame, FOLDED)

# Gems whose code runs around the app's and is seldom what one looks for.
GEMS: Final = (
    "action(?:pack|view|cable|mailer|mailbox|text)|active(?:support|record|model|job|storage)|railties|rails|rack"
    "|rack-[a-z_-]+|puma|unicorn|passenger|thin|webrick|falcon|bootsnap|zeitwerk|concurrent-ruby|i18n|sprockets"
    "|sprockets-rails|turbolinks|warden|loofah|globalid|lograge|request_store|tzinfo|mail|stackprof|flamegraph"
)
IN_GEM: Final = re.compile(rf"(?:^|/)gems/(?:{GEMS})-\d|^gem:(?:{GEMS})(?:-\d|:)|^(?:{GEMS}) \(\d")
# Debian and others put a gem's files in one folder for all, so a constant's name must do.
NAMED: Final = re.compile(
    r"(?:block (?:\(\d+ levels\) )?in )?(?:#<Class:)?"
    r"(?:Action(?:Controller|Dispatch|View|Pack|Cable|Mailer)|Active(?:Support|Record|Model)|AbstractController"
    r"|Rails|Rack|Puma)::"
)
CALL: Final = re.compile(r"(?:^|[#. ])(?:call|call!|_call|call_app|_call!|serve|dispatch)$")
NO_PLACE: Final = ("<", "(")


def fold_noise(profile: Profile) -> Profile:
    """Replace each run of such frames by one that says so, two where a chain of middleware leads into plumbing."""
    frames = [*profile.frames, MIDDLEWARE, PLUMBING]
    middleware, plumbing = len(frames) - 2, len(frames) - 1
    noise = {index for index, frame in enumerate(profile.frames) if is_noise(frame)}
    calls = {index for index in noise if CALL.search(profile.frames[index].name)}
    # C functions and Ruby's own internals belong to their caller.
    floating = {index for index, frame in enumerate(profile.frames) if frame.file.startswith(NO_PLACE)}

    def folded(stack: Stack) -> Stack:
        kept: list[int] = []
        run: list[int] = []
        for frame in (*stack, -1):
            if frame in noise or (run and frame in floating):
                run.append(frame)
                continue
            if run:
                last_call = max((at for at, each in enumerate(run) if each in calls), default=-1)
                kept += [middleware] * (last_call >= 0) + [plumbing] * (last_call < len(run) - 1)
                run = []
            kept.append(frame)
        return tuple(kept[:-1])

    return replace(change_stacks(profile, folded), frames=frames)


def is_noise(frame: Frame) -> bool:
    """Whether a frame is the framework's or a server's, by its gem or by its name."""
    return bool(IN_GEM.search(frame.file) or NAMED.match(frame.name))
