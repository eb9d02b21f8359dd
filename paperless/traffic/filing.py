"""Files applications that are made already, as fast as the broker takes them."""

from collections.abc import Iterable, Sequence
from datetime import date

from paperless.traffic.manifest import DaySent
from paperless.traffic.sender import Sender, Tally
from runtime.broker import RestartableProducer, open_producer
from runtime.clock import SystemClock
from runtime.publisher import Publisher
from runtime.settings import KafkaAccess

# Second of the day, and key and value of the record.
Filed = tuple[int, tuple[bytes, bytes]]


async def file_days(days: Sequence[tuple[date, Sequence[Filed]]], access: KafkaAccess, partitions: int) -> None:
    """Send the submissions of some days in their order, and return when the broker has them all.

    Raises:
        aiokafka.errors.KafkaError: the broker does not answer at first; later it is tried until it does.

    """
    producer = RestartableProducer(lambda: open_producer(access, client_id="paperless-driver", idempotent=False))
    await producer.start()
    try:
        tally = Tally({day: DaySent(day=day, planned=len(filed)) for day, filed in days})
        sender = Sender(Publisher(producer, producer.renew), partitions, tally, SystemClock(), lambda: None)
        for day, filed in days:
            await _file(day, filed, sender)
        await sender.drain()
    finally:
        await producer.stop()


async def _file(day: date, filed: Iterable[Filed], sender: Sender) -> None:
    for second, record in filed:
        if sender.add(day, second, record):
            await sender.hand_over()
    await sender.hand_over()
