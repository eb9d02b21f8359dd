"""Writes an application to the log within a bounded time, and says where it lies."""

import asyncio
from typing import Any, Final, NamedTuple

import structlog
from aiokafka.errors import KafkaError

from runtime.broker import RestartableProducer
from runtime.messages import Message

log = structlog.get_logger(__name__)

RENEW_WITHIN_S: Final = 5.0


class Filed(NamedTuple):
    """Where the broker has a record, on all its replicas in sync."""

    partition: int
    offset: int


class NotFiledError(Exception):
    """The broker has not said in time that it has the record; it may have it all the same."""


class Outbox:
    """Sends single records.

    Args:
        producer: of the process.
        within_s: how long to wait for the broker.

    """

    def __init__(self, producer: RestartableProducer, within_s: float) -> None:
        self._producer, self._within_s = producer, within_s
        self._renewing: asyncio.Task[None] | None = None

    async def file(self, message: Message, partition: int) -> Filed:
        """Write a record.

        Raises:
            NotFiledError: the broker does not answer in time, or refuses.

        """
        if self._producer() is None:
            raise NotFiledError("the broker was not reached yet")
        try:
            async with asyncio.timeout(self._within_s):
                metadata = await self._send(message, partition)
        except TimeoutError:
            raise NotFiledError(f"the broker did not acknowledge within {self._within_s:g} s") from None
        except KafkaError as error:
            log.warning("an application is not acknowledged", error=repr(error))
            if not getattr(error, "retriable", False):
                self._renew()
            raise NotFiledError(f"the broker does not take records ({type(error).__name__})") from error
        return Filed(metadata.partition, metadata.offset)

    async def _send(self, message: Message, partition: int) -> Any:
        topic, key, value, headers = message
        sent = await self._producer().send(topic, value=value, key=key, partition=partition, headers=headers)
        # Who waits may be cancelled; what is on its way goes on.
        return await asyncio.shield(sent)

    def _renew(self) -> None:
        """Replace a producer that has used up the sequence numbers of what failed."""
        if self._renewing is None or self._renewing.done():
            self._renewing = asyncio.create_task(self._renewed())

    async def _renewed(self) -> None:
        try:
            await self._producer.renew(RENEW_WITHIN_S)
        except KafkaError as error:
            log.warning("no new producer yet", error=repr(error))
