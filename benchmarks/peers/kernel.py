"""The kernel: raw batches through FastStream, closed batches out, commits on a timer behind what is published.

At least once: offsets are committed after the broker has everything that they caused.
"""

import asyncio
from collections.abc import Callable, Mapping

from pydantic_settings import SettingsConfigDict

from benchmarks.peers.copying import decoded, encoded, headers
from benchmarks.peers.job import SESSION_MS, Job, Meter
from runtime.broker import open_broker
from runtime.messages import Effects, HandlerResult, Record, RecordHandler, State
from runtime.metrics import KERNEL_METRICS
from runtime.partition_state import PendingOptions
from runtime.processor import StreamProcessor
from runtime.resources import ProcessResources
from runtime.settings import ServiceSettings


class HopSettings(ServiceSettings):
    """A service's settings on the embedded broker."""

    model_config = SettingsConfigDict(env_prefix="HOP_", frozen=True, extra="forbid")
    idempotent_producer: bool = False
    end_offsets_reliable: bool = False
    session_timeout_ms: int = SESSION_MS


class HopHandler:
    """Decodes and copies."""

    def __init__(self, target: str) -> None:
        self._target = target

    def on_record(self, record: Record, pending: Mapping[bytes, State]) -> HandlerResult:  # noqa: ARG002  `RecordHandler`
        """Return the copy."""
        copy = decoded(record.value or b"")
        return (self._target, record.key, encoded(copy), headers(copy.key))

    def on_deadline(self, key: bytes, state: State) -> Effects:  # noqa: ARG002  `RecordHandler`
        """Nothing stays open."""
        raise AssertionError


async def main(job: Job) -> None:
    """Copy the log."""
    settings = HopSettings(kafka_servers=job.servers, group_id=job.group)
    resources = ProcessResources.of("hop", settings, KERNEL_METRICS, lambda: None)
    meter = Meter(job.records)
    kernel = StreamProcessor(
        Begun(HopHandler(job.target), meter),
        resources,
        topics=[job.source],
        pending=PendingOptions(opens=job.source),
        dead_letter_topic=lambda topic: f"{topic}.dlq",
    )
    await run_kernel(kernel, resources, meter)


class Begun:
    """A handler whose first record starts the clock; from its second batch on the kernel calls the handler itself."""

    def __init__(self, handler: RecordHandler, meter: Meter) -> None:
        self._handler, self._meter = handler, meter
        self.on_record: Callable[[Record, Mapping[bytes, State]], HandlerResult] = self._first
        self.on_deadline = handler.on_deadline

    def _first(self, record: Record, pending: Mapping[bytes, State]) -> HandlerResult:
        self._meter.begin()
        self.on_record = self._handler.on_record
        return self.on_record(record, pending)


async def run_kernel(kernel: StreamProcessor, resources: ProcessResources, meter: Meter) -> None:
    """Run a kernel until enough is published, as a service's app does, and print the measurement."""
    broker = open_broker(resources.settings)
    kernel.attach(broker)
    await resources.producer.start()
    await broker.start()
    await kernel.start()
    try:
        await meter.watch(lambda: int(resources.publisher.sent[()]))
    finally:
        await kernel.drain()
        await broker.stop()
        await resources.producer.stop()
    meter.report()


if __name__ == "__main__":
    asyncio.run(main(Job.from_command_line()))
