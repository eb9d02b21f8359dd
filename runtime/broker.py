"""Broker options, spelled out once: the libraries' defaults are made for speed, not for keeping records."""

import asyncio
import contextlib
from collections.abc import Callable, Iterable
from typing import Any, Never

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from faststream.kafka import KafkaBroker
from faststream.security import BaseSecurity, SASLPlaintext, SASLScram512

from runtime.errors import FatalError
from runtime.settings import KafkaAccess, ServiceSettings

log = structlog.get_logger(__name__)

# Half of the default 1 MiB keeps many partitions' batches in memory small; a batch holds a few hundred records.
MAX_BATCH_BYTES = 256 * 1024
# A broker that is cut off does not say so: each request to it costs this time before another one is asked.
REQUEST_TIMEOUT_MS = 15_000
# How often a client is asked whether any broker that it knows still answers.
KNOWN_BROKERS_CHECKED_S = 10.0


def open_broker(settings: ServiceSettings) -> KafkaBroker:
    """Return an unconnected broker that hands records over raw: no per-record parsing, no dependency injection."""
    return KafkaBroker(
        settings.kafka_servers.split(","),
        security=faststream_security(settings),
        client_id=settings.client_id,
        request_timeout_ms=REQUEST_TIMEOUT_MS,
        apply_types=False,
        allow_auto_create_topics=False,
        logger=None,
    )


def faststream_security(access: KafkaAccess) -> BaseSecurity:
    """Return the options of aiokafka's clients as FastStream takes them: by kind."""
    options = access.client_options()
    kind = SASLScram512 if options["sasl_mechanism"] == "SCRAM-SHA-512" else SASLPlaintext
    return (
        kind(options["sasl_plain_username"], options["sasl_plain_password"], ssl_context=options["ssl_context"])
        if "SASL" in options["security_protocol"]
        else BaseSecurity(ssl_context=options["ssl_context"])
    )


def open_producer(access: KafkaAccess, *, client_id: str, idempotent: bool) -> AIOKafkaProducer:
    """Return an unstarted producer that waits for all replicas in sync; create it inside a running loop."""
    return AIOKafkaProducer(
        **access.client_options(),
        client_id=client_id,
        acks="all",
        enable_idempotence=idempotent,
        max_batch_size=MAX_BATCH_BYTES,
        linger_ms=0,
        request_timeout_ms=REQUEST_TIMEOUT_MS,
    )


async def keep_bootstrapped(client: Any, every_s: float) -> Never:
    """Go back to the bootstrap servers whenever no broker that an aiokafka client knows answers.

    It knows those of its last metadata and asks no others: of a cluster that comes back, it may be told of one broker
    and never find the rest when that one goes. Java's clients do the same since KIP-899.
    """
    while True:
        await asyncio.sleep(every_s)
        if not await client.force_metadata_update():
            log.warning("no broker that is known answers, asking the bootstrap servers")
            with contextlib.suppress(KafkaError):
                await client.bootstrap()


class RestartableProducer:
    """A producer that exists only while the loop runs (aiokafka's is made inside it) and that can be replaced."""

    def __init__(
        self, make: Callable[[], Any] = lambda: None, *, checked_every_s: float = KNOWN_BROKERS_CHECKED_S
    ) -> None:
        self._make, self._checked_every_s = make, checked_every_s
        self._producer: Any = None
        self._bootstrapped: asyncio.Task[Never] | None = None
        self._renewing = asyncio.Lock()

    def __call__(self) -> Any:
        """Return the running producer."""
        return self._producer

    async def start(self) -> None:
        """Create and start the producer."""
        self._producer = self._make()
        await self._producer.start()
        self._bootstrapped = asyncio.create_task(keep_bootstrapped(self._producer.client, self._checked_every_s))

    async def renew(self, within_s: float = 5.0) -> None:
        """Replace the producer after an error that it cannot survive; what it holds unsent is its caller's to repeat.

        Who asks while another's renewal is under way waits for that one.

        Args:
            within_s: how long to wait for the old one, which without a broker waits for what is no longer wanted.

        Raises:
            aiokafka.errors.KafkaError: the broker does not answer; call again before sending.

        """
        if self._renewing.locked():
            async with self._renewing:
                return
        async with self._renewing:
            await asyncio.wait({asyncio.create_task(self.stop())}, timeout=within_s)
            await self.start()

    async def check_topics(self, topics: Iterable[str], partitions: int) -> None:
        """Refuse a log of another shape: an application's partition depends on the partition count.

        Raises:
            FatalError: a topic is missing or has another partition count.

        """
        # All topics: asking for one by name may create it, with the broker's own partition count.
        cluster = await self._producer.client.fetch_all_metadata()
        for topic in topics:
            count = len(cluster.partitions_for_topic(topic) or ())
            if count == 0:
                raise FatalError(f"topic {topic} is missing; run `paperless topics` (or its user may not see it)")
            if count != partitions:
                raise FatalError(
                    f"topic {topic} has {count} partitions, {partitions} are expected: the count is fixed for a log's "
                    f"life; set the service's partitions to {count}, or use a broker of its own"
                )

    async def stop(self) -> None:
        """Send what is left and stop; nothing happens when it never started."""
        if self._bootstrapped is not None:
            self._bootstrapped.cancel()
        if self._producer is not None:
            await self._producer.stop()
