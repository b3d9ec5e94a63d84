"""How every part logs: one line of key=value on a terminal, one JSON object a line anywhere else, never a secret."""

from __future__ import annotations

import logging
import re
import sys
from typing import TYPE_CHECKING, TextIO

import structlog
from pydantic import SecretStr

if TYPE_CHECKING:
    from structlog.typing import EventDict, Processor, WrappedLogger

SECRET_KEY = re.compile(r"passw|secret|credential|authorization|cookie|api_?key|^env$", re.IGNORECASE)
URL_CREDENTIALS = re.compile(r"(?<=://)[^\s/@]*:[^\s@]*(?=@)")
HIDDEN = "***"


def configure(*, stream: TextIO | None = None, level: int = logging.INFO) -> None:
    """Set up logging for this process; the default stream is standard error, because output may be piped on.

    What parts that also live in foreign processes, and libraries, tell the standard logging gets the same form;
    of libraries, only warnings.
    """
    chosen = stream or sys.stderr
    common: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        hide_secrets,
    ]
    structlog.configure(
        processors=[*common, _renderer(chosen)],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(chosen),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(chosen)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=common,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, _renderer(chosen)],
        )
    )
    logging.basicConfig(handlers=[handler], level=max(level, logging.WARNING), force=True)


def hide_secrets(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Hide the values under telling names, and the user and password in any url."""
    return {key: HIDDEN if SECRET_KEY.search(key) else _hidden(value) for key, value in event.items()}


def _hidden(value: object) -> object:
    match value:
        case SecretStr():
            return HIDDEN
        case str():
            return URL_CREDENTIALS.sub(HIDDEN, value)
        case dict():
            return {key: HIDDEN if SECRET_KEY.search(str(key)) else _hidden(item) for key, item in value.items()}
        case list() | tuple():
            return [_hidden(item) for item in value]
        case Exception():
            return URL_CREDENTIALS.sub(HIDDEN, str(value))
        case _:
            return value


def _renderer(stream: TextIO) -> Processor:
    if stream.isatty():
        return structlog.processors.LogfmtRenderer(key_order=["timestamp", "level", "event"])
    return structlog.processors.JSONRenderer(default=str)
