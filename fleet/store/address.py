"""Where the Redis server is: `redis_url` taken apart, in a form that can be shown and one that can be connected to."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from fleet.errors import SettingsError

if TYPE_CHECKING:
    from fleet.settings import Settings

SCHEMES = ("redis", "rediss", "unix", "redis+sentinel")
DEFAULT_PORT = 6379
DEFAULT_SENTINEL_PORT = 26379
ESCAPES = "in a password / ? # @ : are written %2F %3F %23 %40 %3A"
FORM = "redis://, rediss://, unix:/// or redis+sentinel://host:port,host:port/service"


@dataclass(frozen=True, slots=True)
class Address:
    """One server, or the sentinels that know it. `shown` is what people may read: it carries no secret."""

    shown: str
    options: dict[str, Any] = field(repr=False)
    sentinels: tuple[tuple[str, int], ...] = ()
    sentinel_options: dict[str, Any] = field(default_factory=dict, repr=False)
    service: str = ""


def address_of(settings: Settings, url: str) -> Address:
    """Read the url and the files that belong to it.

    Raises SettingsError, in one line that never carries the url's password.
    """
    parts = _split(url)
    user, password, hosts = _authority(parts.netloc)
    query = dict(parse_qsl(parts.query))
    unknown = set(query) - {"db", "sentinel_password"}
    if unknown:
        raise SettingsError(f"redis_url: {min(unknown)} is not an option of it; db and sentinel_password are")
    options: dict[str, Any] = {"username": user, "password": _password(settings) or password}
    match parts.scheme:
        case "unix":
            options |= {"path": unquote(parts.path), "db": _number("db", query.get("db", "0"))}
            return Address(f"unix://{parts.path}", options)
        case "redis+sentinel":
            service, _, path_db = parts.path.strip("/").partition("/")
            if not service:
                raise SettingsError("redis_url: the service's name must follow the sentinels, as in /mymaster")
            options["db"] = _number("db", query.get("db") or path_db or "0")
            sentinels = tuple(_host_port(text, DEFAULT_SENTINEL_PORT) for text in hosts.split(","))
            return Address(
                f"redis+sentinel://{hosts}/{service}",
                options,
                sentinels,
                {"password": query.get("sentinel_password")},
                service,
            )
        case _:
            host, port = _host_port(hosts, DEFAULT_PORT)
            db = _number("db", query.get("db") or parts.path.strip("/") or "0")
            options |= {"host": host, "port": port, "db": db}
            if parts.scheme == "rediss":
                options |= _tls(settings)
            return Address(f"{parts.scheme}://{hosts}/{db}", options)


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
    except ValueError:
        # Without the cause, whose text holds parts of the url.
        raise SettingsError(f"redis_url: must be a url such as {FORM}") from None
    if parts.scheme not in SCHEMES or not (parts.path if parts.scheme == "unix" else parts.netloc):
        raise SettingsError(f"redis_url: must be a url such as {FORM}")
    if parts.fragment or "@" in parts.path + parts.query:
        raise SettingsError(f"redis_url: must be a url such as {FORM}; {ESCAPES}")
    return parts


def _authority(netloc: str) -> tuple[str | None, str | None, str]:
    credentials, _, hosts = netloc.rpartition("@")
    user, _, password = credentials.partition(":")
    return unquote(user) or None, unquote(password) or None, hosts


def _host_port(text: str, default: int) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if not colon or text.endswith("]"):
        return text.strip("[]") or "localhost", default
    return host.strip("[]") or "localhost", _number("port", port)


def _number(what: str, text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 5:
        # The value is not shown: it may be a piece of a password.
        raise SettingsError(f"redis_url: its {what} must be a number; {ESCAPES}")
    return int(text)


def _password(settings: Settings) -> str | None:
    path = settings.redis_password_file
    if path is None:
        return None
    try:
        return path.read_text(encoding="utf-8").strip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise SettingsError(f"redis_password_file: {path} cannot be read: {reason}") from error


def _tls(settings: Settings) -> dict[str, Any]:
    path = settings.redis_ca_file
    if path is not None and not path.is_file():
        raise SettingsError(f"redis_ca_file: must name a file, was {str(path)!r}")
    return {"ssl_ca_certs": str(path) if path else None, "ssl_check_hostname": True}
