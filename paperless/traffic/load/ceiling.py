"""The driver's own ceiling: the same generator with a producer that acknowledges at once."""

import asyncio
import time
from typing import Any

from aiokafka.producer.message_accumulator import BatchBuilder

from paperless.traffic.load.generator import Generator
from paperless.traffic.load.lanes import Lanes
from paperless.traffic.load.recorder import Recorder
from paperless.traffic.load.result import Ceiling
from paperless.traffic.load.supply import Supply
from runtime.broker import MAX_BATCH_BYTES

APPLICATIONS = 6_000
_RATE = 1_000_000.0


class InstantProducer:
    """Builds the batches that a real one would send, and has each of them acknowledged at once."""

    def __call__(self) -> "InstantProducer":
        return self

    async def renew(self) -> None:
        """Nothing to replace."""

    def create_batch(self) -> BatchBuilder:
        return BatchBuilder(MAX_BATCH_BYTES, 0)

    async def send_batch(self, *_: Any, **__: Any) -> "asyncio.Future[None]":
        done = asyncio.get_running_loop().create_future()
        done.set_result(None)
        return done


async def driver_ceiling(partitions: int) -> Ceiling:
    """Return what the driver can do on this machine; about half a second."""
    supply = Supply(seed=0, applications=APPLICATIONS, partitions=partitions)
    supply.make(1)
    began = time.monotonic()
    supply.make(APPLICATIONS - 1)
    made = time.monotonic()
    recorder = Recorder()
    lanes = Lanes(InstantProducer(), partitions, lambda numbers: recorder.acknowledge(numbers, time.monotonic()))
    generator = Generator(supply, lanes, recorder, time.monotonic)
    start = time.monotonic()
    await generator.open_loop(start, iter([number / _RATE for number in range(APPLICATIONS)]))
    await lanes.idle()
    handed = time.monotonic() - start
    await lanes.close()
    return Ceiling(made_per_s=round((APPLICATIONS - 1) / (made - began)), handed_per_s=round(APPLICATIONS / handed))
