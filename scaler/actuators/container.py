"""An instance definition in the words of Docker's API, and an address out of what the engine says of a container."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from docker import APIClient

    from fleet.settings import InstanceSettings

LOG_FILES = 2
ID = "sha256:"  # an image by its id is on the engine or nowhere: there is no registry to pull it from


def creation(
    client: APIClient,
    definition: InstanceSettings,
    variables: Mapping[str, str],
    labels: Mapping[str, str],
    publish_address: str,
) -> dict[str, Any]:
    """The body of a create call: the app's port is published on an ephemeral port of `publish_address`."""
    host: dict[str, Any] = {
        "port_bindings": {definition.port: (publish_address, None)},
        "restart_policy": {"Name": "no"},
        "log_config": {
            "Type": "json-file",
            "Config": {"max-size": definition.log_size, "max-file": str(LOG_FILES)},
        },
        "binds": list(definition.volumes),
    }
    if definition.memory is not None:
        host["mem_limit"] = definition.memory
    if definition.cpus is not None:
        host["nano_cpus"] = round(definition.cpus * 1e9)
    if definition.network is not None:
        host["network_mode"] = definition.network
    config: dict[str, Any] = client.create_container_config(
        definition.image,
        command=list(definition.command),
        user=definition.user,
        ports=[definition.port],
        environment=dict(variables),
        labels=dict(labels),
        host_config=client.create_host_config(**host),
    )
    return config


def published_url(ports: Mapping[str, list[dict[str, str]] | None], port: int) -> str | None:
    """The url behind a port in an inspection's `NetworkSettings.Ports`, None where it is not published."""
    for binding in ports.get(f"{port}/tcp") or ():
        return address_url(binding["HostIp"], int(binding["HostPort"]))
    return None


def listed_url(ports: Sequence[Mapping[str, Any]], port: str) -> str | None:
    """The url behind a port in a listing's `Ports`, None where it is not published."""
    for entry in ports:
        if entry["Type"] == "tcp" and str(entry["PrivatePort"]) == port and entry.get("PublicPort"):
            return address_url(entry["IP"], entry["PublicPort"])
    return None


def address_url(address: str, port: int) -> str:
    """`http://ip:port`, an IPv6 address in brackets."""
    ip = ipaddress.ip_address(address)
    return f"http://[{ip}]:{port}" if ip.version == 6 else f"http://{ip}:{port}"


def pinned_image(image: str, image_id: str, digests: Sequence[str]) -> str:
    """What the name stands for: `name@sha256:...` as its registry gave it, else the id. One that is pinned stays."""
    if "@" in image or image.startswith(ID):
        return image
    name = image.rpartition(":")[0] if ":" in image.rpartition("/")[2] else image
    return next((digest for digest in digests if digest.partition("@")[0] == name), image_id)
