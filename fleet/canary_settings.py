"""The settings about canaries, and about alerts from outside that cut them off."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr

from fleet.errors import SettingsError
from fleet.section import NotNegative, Section

# What a Bearer token may be made of (RFC 6750), and long enough that nobody guesses it.
TOKEN = re.compile(r"[A-Za-z0-9._~+/-]{16,200}=*")
TOKEN_RULE = "must be 16 to 200 letters, digits and . _ ~ + / -"  # noqa: S105  # a rule, not a token


def _token(value: SecretStr) -> SecretStr:
    if not TOKEN.fullmatch(value.get_secret_value()):
        raise ValueError(TOKEN_RULE)
    return value


class CanarySettings(Section):
    """How a release on trial is judged."""

    warmup_s: NotNegative = Field(
        30.0, le=3600, description="So long after a canary begins to serve its times are not judged; errors are."
    )


class AlertSettings(Section):
    """`POST /alert` on the scaler cuts a canary off, for a monitoring system. Without a token nothing listens."""

    listen_address: str = Field("127.0.0.1", description="The scaler listens here for alerts.")
    port: int = Field(9183, ge=1, le=65535, description="The scaler listens on this port for alerts.")
    token: Annotated[SecretStr, AfterValidator(_token)] | None = Field(
        None, description="Who sends it as Authorization: Bearer is believed; 16 or more of A-Z a-z 0-9 . _ ~ + / -."
    )
    token_file: Path | None = Field(None, description="A file that holds the token.")

    def read_token(self) -> str | None:
        """The token, None where none is set. Raises SettingsError, and shows nothing of it."""
        if self.token is not None:
            return self.token.get_secret_value()
        if self.token_file is None:
            return None
        try:
            read = self.token_file.expanduser().read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "not ASCII text"
            raise SettingsError(f"alerts.token_file: {self.token_file} cannot be read: {reason}") from error
        if not TOKEN.fullmatch(read):
            raise SettingsError(f"alerts.token_file: {self.token_file}: {TOKEN_RULE}")
        return read
