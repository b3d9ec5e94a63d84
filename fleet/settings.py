"""Every setting: name, type, default, sentence and rule; TOML and environment in, frozen Settings out."""

from __future__ import annotations

import ipaddress
import os
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    Field,
    SecretStr,
    ValidationError,
    model_validator,
)
from pydantic_settings import BaseSettings, InitSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict
from pydantic_settings import SettingsError as NotParsedError

from fleet.access_settings import AccessLogSettings
from fleet.backend import APP_NAME, HOST_NAME
from fleet.canary_settings import AlertSettings, CanarySettings
from fleet.crash_settings import MIDDLEWARE_VARIABLES, CrashSettings, ProfileToken, read_token
from fleet.errors import SettingsError
from fleet.haproxy_settings import HaproxySettings
from fleet.metrics_settings import MetricsSettings
from fleet.schedule_settings import ScheduleSettings
from fleet.section import NotNegative, Positive, Section
from fleet.webhook_settings import WebhookSettings

if TYPE_CHECKING:
    from collections.abc import Mapping


DEFAULT_FILE = Path("stoker.toml")
SECRETS = {"env", "redis_url", "profile_token", "url", "secret", "token"}  # what no error shows the value of
PRIVATE_NETWORKS = ("127.0.0.0/8", "::1/128", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7")


def _app_name(value: str) -> str:
    if not APP_NAME.fullmatch(value):
        raise ValueError("must be lower-case letters, digits and hyphens, begin and end with a letter, 32 at most")
    return value


def _publish_address(value: str) -> str:
    if ipaddress.ip_address(value).is_unspecified:
        raise ValueError("must be one address of this host, not all of them")
    return value


def _network(value: str) -> str:
    if ipaddress.ip_network(value).is_link_local:
        raise ValueError("must not be link-local")
    return value


def _host_name(value: str) -> str:
    if not HOST_NAME.fullmatch(value):
        raise ValueError("must be a host's name")
    return value


Name = Annotated[str, AfterValidator(_app_name)]
PublishAddress = Annotated[str, AfterValidator(_publish_address)]
NetworkText = Annotated[str, AfterValidator(_network)]
HostName = Annotated[str, AfterValidator(_host_name)]


def _none(value: object) -> object:
    return None if value == "none" else value


Port = Annotated[int, Field(ge=1, le=65535)]
Target = Annotated[Positive | None, BeforeValidator(_none)]  # TOML and the environment have no null
Ratio = Annotated[float, Field(ge=0, lt=1)]


class PolicySettings(Section):
    """How many instances there should be."""

    kind: Literal["target", "threshold"] = Field("target", description="Which rule decides.")
    min: int = Field(1, ge=0, le=10_000, description="Never fewer serving instances than this.")
    max: int = Field(10, ge=1, le=10_000, description="Never more starting, warming and serving ones than this.")
    target_rps: Target = Field(
        10.0, description='Requests a second that one instance should carry; "none": not a signal.'
    )
    target_in_flight: Target = Field(
        None, description='Requests at once that one instance should carry; "none": not a signal.'
    )
    stable_window_s: Positive = Field(60.0, le=3600, description="The rate is averaged over this for calm decisions.")
    panic_window_s: Positive = Field(4.0, le=600, description="The rate is averaged over this to notice a burst.")
    panic_threshold: float = Field(2.0, gt=1, le=10, description="A burst is this many times what serves can carry.")
    tolerance: Ratio = Field(0.1, description="A load within this share of the capacity changes nothing.")
    stabilisation_s: NotNegative = Field(120.0, description="Down only to the largest need seen in this time.")
    step_up_factor: float = Field(10.0, ge=1, description="One step up multiplies by at most this ...")
    step_up_add: int = Field(4, ge=1, description="... or adds this many; the larger of the two.")
    step_down_factor: float = Field(2.0, gt=1, description="One step down divides by at most this.")
    up_rps: Positive = Field(12.0, description="threshold: one more above this rate per serving instance.")
    down_rps: Positive = Field(6.0, description="threshold: one less when the rest would stay below this rate.")
    schedules: tuple[ScheduleSettings, ...] = Field((), description="Times in which the minimum is higher.")

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if self.min > self.max:
            raise ValueError(f"min must be at most max ({self.max}), was {self.min}")
        if self.target_rps is None and self.target_in_flight is None:
            raise ValueError("target_rps or target_in_flight must be set, were both none")
        if self.panic_window_s >= self.stable_window_s:
            raise ValueError(f"panic_window_s must be below stable_window_s ({self.stable_window_s:g})")
        if self.down_rps >= self.up_rps:
            raise ValueError(f"down_rps must be below up_rps ({self.up_rps:g}), was {self.down_rps:g}")
        for number, one in enumerate(self.schedules):
            if one.min > self.max:
                raise ValueError(f"schedules.{number}.min must be at most max ({self.max}), was {one.min}")
        return self


class LifeSettings(Section):
    """Deadlines and probes in an instance's life."""

    tick_s: Positive = Field(1.0, le=60, description="The scaler looks and decides this often.")
    start_timeout_s: Positive = Field(
        60.0, description="An instance must be started in this time, and then be ready in it."
    )
    drain_timeout_s: Positive = Field(30.0, description="Requests in flight on a draining instance may take this.")
    stop_grace_s: NotNegative = Field(10.0, description="Between the signal to end and the kill.")
    stop_timeout_s: Positive = Field(60.0, description="A stop that is not over after this is tried again.")
    backoff_s: Positive = Field(1.0, description="Wait after a failed start; doubles with each one more.")
    backoff_max_s: Positive = Field(300.0, description="The longest wait after failed starts.")
    parallel_starts: int = Field(4, ge=1, le=64, description="Starts and stops under way at once.")
    surge: int = Field(
        1, ge=0, le=100, description="Instances above max during a deploy, or while a failing one is replaced."
    )
    settle_s: NotNegative = Field(
        5.0, le=3600, description="A deploy's first instance must serve well for this before an old one goes."
    )
    probe_path: str = Field("/up", pattern=r"^/[!-~]*$", description="Asked over HTTP; 2xx means ready.")
    probe_warming_s: Positive = Field(0.1, description="A warming instance is probed this often.")
    probe_serving_s: Positive = Field(10.0, description="A serving instance is probed this often.")
    probe_timeout_s: Positive = Field(2.0, description="A probe without an answer by then has failed.")
    probe_failures: int = Field(3, ge=1, description="So many failed probes in a row: failing, and replaced.")
    proxy_forget_s: Positive = Field(60.0, description="A missing mitmproxy plane blocks scale-down this long.")
    census_s: Positive | None = Field(
        None, description="What really runs is counted this often; none: 10, and 60 with actuator ansible."
    )


class InstanceSettings(Section):
    """What one instance is. `command` alone is used by the process actuator, and must name `{port}`."""

    image: str = Field("", pattern=r"^[A-Za-z0-9._/:@-]{0,255}$", description="The image that docker and ansible run.")
    command: tuple[str, ...] = Field((), description="The command; with actuator process, `{port}` in it is replaced.")
    port: Port = Field(3000, description="The port on which the app listens inside its container.")
    env: dict[str, str] = Field(default_factory=dict, description="Environment variables; values are never logged.")
    env_file: Path | None = Field(None, description="A file of KEY=value lines, read at each start.")
    network: str | None = Field(None, pattern=r"^[A-Za-z0-9_.-]{1,64}$", description="An engine network to join.")
    volumes: tuple[str, ...] = Field((), description="source:target[:ro] mounts.")
    memory: str | None = Field(None, pattern=r"^[0-9]+[bkmg]?$", description="Memory limit, such as 512m.")
    cpus: Positive | None = Field(None, description="Processors, such as 0.5.")
    user: str | None = Field(None, pattern=r"^[A-Za-z0-9_.:-]{1,64}$", description="The user inside the container.")
    pull: Literal["missing", "always", "never"] = Field("missing", description="When the image is pulled.")
    pull_timeout_s: Positive = Field(300.0, description="A pull may take this, beside the start's own deadline.")
    log_size: str = Field("10m", pattern=r"^[0-9]+[kmg]$", description="A container's log is rotated at this size.")


class ActuatorSettings(Section):
    """Who starts and stops instances."""

    kind: Literal["docker", "ansible", "process"] = Field("docker", description="How instances are run.")
    publish_address: PublishAddress = Field("127.0.0.1", description="The app's port is published on this address.")
    docker_host: str | None = Field(None, description="The engine's address; none takes DOCKER_HOST or its socket.")
    call_timeout_s: Positive = Field(30.0, description="One call of the engine may take this.")
    inventory: Path | None = Field(None, description="Ansible's inventory; its hosts run the instances.")
    group: HostName = Field("stoker", description="The group of the inventory on whose hosts instances run.")
    playbooks: Path | None = Field(None, description="A folder with your own scale_up.yml and scale_down.yml.")
    extra_vars: dict[str, str | int | float | bool] = Field(
        default_factory=dict, description="Variables handed to your playbooks."
    )
    play_timeout_s: Positive = Field(120.0, description="One play may take this.")


class ProxySettings(Section):
    """What both data planes share."""

    kind: Literal["mitmproxy", "haproxy"] = Field("mitmproxy", description="The data plane that `stoker up` runs.")
    id: str | None = Field(
        None, pattern=r"^[A-Za-z0-9._-]{1,128}$", description="This proxy's id; none: kind-host-port."
    )
    listen_address: str = Field("127.0.0.1", description="`stoker up` listens here.")
    listen_port: Port = Field(8080, description="`stoker up` listens on this port.")
    balance: Literal["round_robin", "least_in_flight"] = Field("round_robin", description="Who gets the next request.")
    hold_s: NotNegative = Field(30.0, description="A request waits this long for a backend, then gets 503.")
    hold_max: int = Field(1000, ge=0, description="So many requests wait at once; one more gets 503.")
    hold_release: int = Field(
        4, ge=1, description="Held requests let go at a time, per serving instance; each second doubles it."
    )
    drain_s: NotNegative = Field(30.0, description="At its own end the proxy lets requests in flight take this.")
    backend_networks: tuple[NetworkText, ...] = Field(PRIVATE_NETWORKS, description="Backends outside are not used.")
    trusted_proxies: tuple[str, ...] = Field((), description="Networks whose X-Forwarded-* headers are believed.")

    @model_validator(mode="after")
    def _networks(self) -> Self:
        for text in self.trusted_proxies:
            ipaddress.ip_network(text)
        return self


class WebSettings(Section):
    """The web page; it is read-only and asks nobody for a password."""

    enabled: bool = Field(True, description="`stoker up` serves the page too.")
    listen_address: str = Field("127.0.0.1", description="The page is served here.")
    listen_port: Port = Field(8090, description="The page is served on this port.")
    hosts: tuple[HostName, ...] = Field((), description="Names, beside localhost, by which browsers may ask for it.")


class Settings(BaseSettings):
    """All of stoker.toml. An environment variable STOKER_X, or STOKER_TABLE__X, wins over the file."""

    model_config = SettingsConfigDict(
        env_prefix="STOKER_", env_nested_delimiter="__", frozen=True, extra="forbid", validate_default=True
    )

    fleet: Name = Field("stoker", description="One installation of Stoker; every key and label carries it.")
    app: Name = Field("production", description="The app that is scaled; instances are called after it.")
    redis_url: SecretStr | None = Field(
        None, description="redis://, rediss://, unix:// or redis+sentinel://; none: `stoker up` runs its own Valkey."
    )
    redis_password_file: Path | None = Field(None, description="A file that holds the password of redis_url.")
    profile_token: ProfileToken | None = Field(
        None, description="Opens the app's profiles to Stoker; 16 or more of A-Z a-z 0-9 . _ ~ -; none: not asked for."
    )
    profile_token_file: Path | None = Field(None, description="A file that holds profile_token.")
    redis_ca_file: Path | None = Field(None, description="The authority that signed the server of a rediss:// url.")
    state_dir: Path = Field(
        Path("~/.local/state/stoker"), description="Snapshots, traces, logs and process files live here."
    )
    scaler_id: str | None = Field(None, pattern=r"^[A-Za-z0-9._-]{1,128}$", description="This scaler; none: host-pid.")
    trace_size: int = Field(64_000_000, ge=100_000, description="Bytes after which a trace is rotated.")
    policy: PolicySettings = PolicySettings()
    life: LifeSettings = LifeSettings()
    instance: InstanceSettings = InstanceSettings()
    actuator: ActuatorSettings = ActuatorSettings()
    proxy: ProxySettings = ProxySettings()
    haproxy: HaproxySettings = HaproxySettings()
    web: WebSettings = WebSettings()
    metrics: MetricsSettings = MetricsSettings()
    access_log: AccessLogSettings = AccessLogSettings()
    crashes: CrashSettings = CrashSettings()
    webhooks: WebhookSettings = WebhookSettings()
    canary: CanarySettings = CanarySettings()
    alerts: AlertSettings = AlertSettings()

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if self.actuator.kind == "ansible" and self.actuator.inventory is None:
            raise ValueError("actuator.inventory must name a file when actuator.kind is ansible")
        if (
            self.actuator.kind == "process"
            and self.instance.command
            and "{port}" not in " ".join(self.instance.command)
        ):
            raise ValueError("instance.command must contain {port} when actuator.kind is process")
        return self

    def token(self) -> str | None:
        """`profile_token`, or what profile_token_file holds now; raises SettingsError where that cannot be."""
        if self.profile_token is not None:
            return self.profile_token.get_secret_value()
        return read_token(self.profile_token_file) if self.profile_token_file else None

    @property
    def networks(self) -> tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]:
        """`proxy.backend_networks`, parsed."""
        return tuple(ipaddress.ip_network(text) for text in self.proxy.backend_networks)

    @property
    def state_path(self) -> Path:
        """The folder of this fleet's files."""
        return self.state_dir.expanduser() / self.fleet


def load(path: Path | None = None, **overrides: object) -> Settings:
    """Read a file (default: stoker.toml where there is one) and the environment; `overrides` win over both.

    A dotted key names a table: `load(None, **{"policy.max": 4})`. Raises SettingsError, one line a fault, for a file
    that cannot be read, an unknown key or variable, a wrong type or a broken rule.
    """
    chosen = path or (DEFAULT_FILE if DEFAULT_FILE.exists() else None)
    content = _read(chosen) if chosen else {}
    _refuse_unknown_variables(os.environ)
    try:
        return _layered(_nested(overrides), content)
    except ValidationError as error:
        raise SettingsError("\n".join(_line(chosen, fault) for fault in error.errors())) from error
    except NotParsedError as error:
        raise SettingsError(f"environment: {error}; lists and tables are written as JSON") from error


def _layered(overrides: dict[str, Any], content: dict[str, Any]) -> Settings:
    class Layered(Settings):
        @classmethod
        def settings_customise_sources(
            cls,
            settings_cls: type[BaseSettings],
            *sources: PydanticBaseSettingsSource,
            **named: PydanticBaseSettingsSource,
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            del sources
            over, under = InitSettingsSource(settings_cls, overrides), InitSettingsSource(settings_cls, content)
            return over, named["env_settings"], under

    return Layered()


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: not TOML: {error}") from error


def _nested(overrides: Mapping[str, object]) -> dict[str, Any]:
    content: dict[str, Any] = {}
    for dotted, value in overrides.items():
        table, _, key = dotted.rpartition(".")
        (content.setdefault(table, {}) if table else content)[key] = value
    return content


def _refuse_unknown_variables(environment: Mapping[str, str]) -> None:
    known = {f"STOKER_{name.upper()}" for name in Settings.model_fields} | MIDDLEWARE_VARIABLES
    for table, model in Settings.model_fields.items():
        if isinstance(model.default, Section):
            known |= {f"STOKER_{table}__{key}".upper() for key in type(model.default).model_fields}
    unknown = sorted(name for name in environment if name.startswith("STOKER_") and name not in known)
    if unknown:
        raise SettingsError(f"environment: {unknown[0]} is not a setting; docs/settings.md lists them")


def _line(path: Path | None, fault: Any) -> str:  # noqa: ANN401  # pydantic's own dict of a fault
    key = ".".join(part if part.isprintable() else repr(part) for part in map(str, fault["loc"])) or "settings"
    where = _where(path, fault["loc"])
    if fault["type"] == "extra_forbidden":
        return f"{where}{key} is not a setting; docs/settings.md lists them"
    rule = "must be a table" if fault["type"] == "model_type" else fault["msg"].removeprefix("Value error, ")
    secret = isinstance(fault["input"], dict | BaseModel) or SECRETS & set(fault["loc"])
    shown = "" if secret else f", was {fault['input']!r}"
    return f"{where}{key}: {rule[:1].lower()}{rule[1:]}{shown}"


def _where(path: Path | None, loc: tuple[str | int, ...]) -> str:
    """The environment stands over the file: what it gives is looked for there first."""
    names = {f"STOKER_{'__'.join(map(str, loc[:depth]))}".upper() for depth in (1, 2)}
    return "environment: " if names & os.environ.keys() else f"{path}: " if path else ""
