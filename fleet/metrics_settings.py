"""Where the parts tell Prometheus of themselves."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, Field

from fleet.section import Section


def _off(value: object) -> object:
    return None if value in ("none", 0, "0") else value


# TOML and the environment have no null.
OptionalPort = Annotated[Annotated[int, Field(ge=1, le=65535)] | None, BeforeValidator(_off)]


class MetricsSettings(Section):
    """/metrics, /healthz and /readyz of each part, on a port of its own; read-only, and without a password."""

    listen_address: str = Field("127.0.0.1", description="The parts listen here.")
    scaler_port: OptionalPort = Field(9180, description='Of the scaler; "none": does not listen.')
    haproxy_port: OptionalPort = Field(9181, description='Of HAProxy\'s agent; "none": does not listen.')
    mitmproxy_port: OptionalPort = Field(9182, description='Of the mitmproxy data plane; "none": does not listen.')
