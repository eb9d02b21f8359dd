"""Whether the ports that a compose project publishes are free on this machine, asked before anything starts."""

import re
import socket
import struct
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import httpx

from paperless.http_client import http_client

LOOPBACK = "127.0.0.1"
LOWEST, HIGHEST = 1, 65_535
VARIABLE = re.compile("PAPERLESS_[A-Z0-9_]+_PORT")
ANSWER_WITHIN_S = 2.0
# ApiVersions, version 0, correlation id 4711, no client id: what every Kafka client asks first.
API_VERSIONS = struct.pack(">ihhih", 10, 18, 0, 4711, -1)
CORRELATION = struct.pack(">i", 4711)
# The first byte of a TLS alert: what a broker that speaks TLS answers to plain text.
TLS_ALERT = b"\x15"

Use = Literal["free", "ours", "kafka", "taken"]


class PreflightError(Exception):
    """A variable names a port that cannot be published; one line for each, with the variable and what to do."""


class PublishedPort(NamedTuple):
    """A variable of docker-compose.yml and the port that it names."""

    variable: str
    port: int


def published_ports(environment: Mapping[str, str]) -> list[PublishedPort]:
    """Return the ports that the variables `PAPERLESS_…_PORT` name, in the order of their names.

    Raises:
        PreflightError: a value is no port.

    """
    named = {name: value for name, value in sorted(environment.items()) if VARIABLE.fullmatch(name)}
    wrong = [
        f"{name}={value}: no port; use a number from {LOWEST} to {HIGHEST}"
        for name, value in named.items()
        if not (value.isascii() and value.isdigit() and LOWEST <= int(value) <= HIGHEST)
    ]
    if wrong:
        raise PreflightError("\n".join(wrong))
    return [PublishedPort(name, int(value)) for name, value in named.items()]


def doubled(ports: Sequence[PublishedPort]) -> list[str]:
    """Return a line for each variable that names the port of one before it."""
    first: dict[int, str] = {}
    lines = []
    for variable, port in ports:
        if first.setdefault(port, variable) != variable:
            lines.append(f"{variable}={port}: {first[port]} has this port already; choose another one")
    return lines


def use_of(port: int) -> Use:
    """Say who listens on a port of 127.0.0.1: nobody, a service of ours, some Kafka broker, or something else."""
    try:
        with socket.create_connection((LOOPBACK, port), timeout=ANSWER_WITHIN_S):
            pass
    except ConnectionRefusedError:
        return "free"
    except OSError:
        # It listens, but its queue is full: nobody of ours is that busy before the start.
        return "taken"
    if _is_ours(port):
        return "ours"
    return "kafka" if _is_kafka(port) else "taken"


def _is_ours(port: int) -> bool:
    try:
        with http_client(f"http://{LOOPBACK}:{port}", timeout_s=ANSWER_WITHIN_S) as client:
            health: Any = client.get("/health").json()
    except (httpx.HTTPError, ValueError):
        return False
    return isinstance(health, dict) and "ready" in health


def _is_kafka(port: int) -> bool:
    try:
        with socket.create_connection((LOOPBACK, port), timeout=ANSWER_WITHIN_S) as connection:
            connection.sendall(API_VERSIONS)
            answer = connection.recv(8)
    except OSError:
        return False
    return answer[4:8] == CORRELATION or answer[:1] == TLS_ALERT


def check_ports(ports: Sequence[PublishedPort], uses: Iterable[Use]) -> list[str]:
    """Return what a user should know about ports that can be published nevertheless, a line for each.

    Args:
        ports: what the project publishes.
        uses: who listens there, in the same order. A service of ours is taken for this project's, which a second
            `docker compose up` finds running. A Kafka broker may be this project's or the user's own.

    Raises:
        PreflightError: a port is taken, or named twice.

    """
    asked = list(zip(ports, uses, strict=True))
    faults = doubled(ports) + [
        f"{variable}={port}: something else listens on {LOOPBACK}:{port}; stop it, or choose another port, for example "
        f"{variable}={_another(port)} docker compose up"
        for (variable, port), use in asked
        if use == "taken"
    ]
    if faults:
        raise PreflightError("\n".join(faults))
    return [
        f"{variable}={port}: a Kafka broker answers there; if it is not this project's, choose another port"
        for (variable, port), use in asked
        if use == "kafka"
    ]


def _another(port: int) -> int:
    return port + 10_000 if port + 10_000 <= HIGHEST else port - 10_000
