"""The embedded broker behind one small adapter, so that it can be replaced in a day."""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from paperless.local.broker_kinds import BrokerKind, embedded_kind
from paperless.local.errors import BrokerError
from paperless.local.ports import HOST, is_free
from paperless.local.processes import Child, with_tail

START_WITHIN_S = 20.0
STOP_GRACE_S = 2.0
POLL_S = 0.05


class EmbeddedBroker:
    """A broker on 127.0.0.1 that keeps its log in memory: it lives and dies with its process. `stop` may come twice.

    Without a `kind` it is the one that this machine has. `start` returns when it answers. It raises
    `UnsupportedPlatformError` where no binary exists, and `BrokerError`, with the end of its log, when it does not
    answer Kafka metadata within `start_within_s` seconds.
    """

    def __init__(
        self, port: int, log_path: Path, kind: BrokerKind | None = None, *, start_within_s: float = START_WITHIN_S
    ) -> None:
        self.kind = kind or embedded_kind()
        self.address = f"{HOST}:{port}"
        self.log_path = log_path
        self.child: Child | None = None
        self._start_within_s = start_within_s

    async def start(self) -> None:
        # Otherwise the broker that has it might answer for ours before ours has ended.
        if not is_free(int(self.address.rpartition(":")[2])):
            raise BrokerError(f"the embedded broker cannot have {self.address}: the port is in use; name another one")
        self.child = Child(self.kind.command(self.address), _environment(), self.log_path)
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


def _environment() -> dict[str, str]:
    # Tansu reads STORAGE_ENGINE, CLUSTER_ID and OTEL_* from the environment, and Go GOGC; a stray one must not change a
    # run.
    return {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
