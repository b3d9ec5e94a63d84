"""The settings about crashes, and the token that opens an app's profiles."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator, Field, SecretStr

from fleet.errors import SettingsError
from fleet.section import Positive, Section

if TYPE_CHECKING:
    from pathlib import Path

# The app's middleware asks for the same.
PROFILE_TOKEN = re.compile(r"[A-Za-z0-9._~-]{16,200}")
# What the app's middleware reads from its own environment: a shell for both may hold them.
MIDDLEWARE_VARIABLES = {f"STOKER_PROFILE_{name}" for name in ("EVERY", "SLOW_MS", "MESSAGES", "DIR")}
TOKEN_RULE = "must be 16 to 200 letters, digits and . _ ~ -"  # noqa: S105  # a rule, not a token


def _token(value: SecretStr) -> SecretStr:
    if not PROFILE_TOKEN.fullmatch(value.get_secret_value()):
        raise ValueError(TOKEN_RULE)
    return value


ProfileToken = Annotated[SecretStr, AfterValidator(_token)]


class CrashSettings(Section):
    """What is kept of requests that failed. The app's middleware has settings of its own."""

    profile_share: float = Field(
        0.0, ge=0, le=1, description="The proxy asks that this share of requests be profiled; needs profile_token."
    )
    replay: bool = Field(
        False, description="Send a failed GET or HEAD once more, for rack-mini-profiler's graph; mitmproxy only."
    )
    replay_every_s: Positive = Field(10.0, description="At most one such replay in this time.")
    keep: int = Field(10_000, ge=100, le=100_000, description="So many entries of the log of crashes are kept.")
    keep_documents: int = Field(200, ge=1, le=10_000, description="So many profiles and backtraces are kept.")
    keep_s: float = Field(604_800.0, ge=60, allow_inf_nan=False, description="Nothing of a crash is kept for longer.")


def read_token(path: Path) -> str:
    """What that file holds, without the white space around it. Raises SettingsError, and shows nothing of it."""
    try:
        read = path.expanduser().read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not ASCII text"
        raise SettingsError(f"profile_token_file: {path} cannot be read: {reason}") from error
    if not PROFILE_TOKEN.fullmatch(read):
        raise SettingsError(f"profile_token_file: {path}: {TOKEN_RULE}")
    return read
