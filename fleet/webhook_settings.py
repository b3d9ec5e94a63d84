"""The settings about messages to a receiver of your own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr, model_validator

from fleet.errors import SettingsError
from fleet.section import Positive, Section

Kind = Literal[
    "at-max",
    "canary-cut",
    "crash",
    "deploy-done",
    "deploy-failed",
    "no-data",
    "no-host",
    "proxy-missing",
    "start-failed",
    "widespread-failure",
]
KINDS: tuple[Kind, ...] = Kind.__args__  # type: ignore[attr-defined]  # of a Literal it has them
SHORTEST = 16
SECRET_RULE = f"must be {SHORTEST} to 200 printable ASCII characters without spaces"


def _believed(text: str) -> bool:
    return SHORTEST <= len(text) <= 200 and all("!" <= letter <= "~" for letter in text)


def _secret(value: SecretStr) -> SecretStr:
    if not _believed(value.get_secret_value()):
        raise ValueError(SECRET_RULE)
    return value


def _url(value: SecretStr) -> SecretStr:
    text = value.get_secret_value()
    try:
        parts = urlsplit(text)
        plain = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        plain = False
    if (
        not plain
        or "@" in parts.netloc
        or parts.fragment
        or not text.isascii()
        or not text.isprintable()
        or " " in text
    ):
        raise ValueError("must be an http:// or https:// url without user, password and fragment")
    return value


class WebhookSettings(Section):
    """Signed messages to a receiver of yours when something needs a look. Without `url` none are sent."""

    url: Annotated[SecretStr, AfterValidator(_url)] | None = Field(
        None, description="Messages are posted here; it is never shown, because it may hold a token."
    )
    secret: Annotated[SecretStr, AfterValidator(_secret)] | None = Field(
        None, description="Messages are signed with this; 16 or more printable characters without spaces."
    )
    secret_file: Path | None = Field(None, description="A file that holds the secret.")
    kinds: tuple[Kind, ...] = Field(KINDS, description="Only messages of these kinds are sent.")
    every_s: Positive = Field(
        60.0, le=86_400, description="At most one message of a kind in this time; it counts what came meanwhile."
    )
    timeout_s: Positive = Field(5.0, le=10, description="The receiver must answer 2xx within this.")
    tries: int = Field(10, ge=1, le=100, description="So many times a message is tried, ever more rarely.")

    @model_validator(mode="after")
    def _signed(self) -> Self:
        if self.url is not None and self.secret is None and self.secret_file is None:
            raise ValueError("url needs secret or secret_file: messages are always signed")
        return self

    def key(self) -> bytes:
        """What messages are signed with. Raises SettingsError, and shows nothing of it."""
        if self.secret is not None:
            return self.secret.get_secret_value().encode()
        if self.secret_file is None:
            raise SettingsError("webhooks.secret: must be set, or webhooks.secret_file")
        try:
            read = self.secret_file.expanduser().read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "not ASCII text"
            raise SettingsError(f"webhooks.secret_file: {self.secret_file} cannot be read: {reason}") from error
        if not _believed(read):
            raise SettingsError(f"webhooks.secret_file: {self.secret_file}: {SECRET_RULE}")
        return read.encode()
