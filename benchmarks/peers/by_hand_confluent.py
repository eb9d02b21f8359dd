"""Hand-written on confluent-kafka (librdkafka): many records in at once, its own batching out, commits on a timer.

At least once, as the kernel: before a commit the producer is flushed, which waits for the delivery of everything; a
failed delivery ends the run. Reports of what went well are switched off, since they cost a call per record.
"""

import time
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition

from benchmarks.peers.copying import COMMIT_S, MAX_RECORDS, decoded, encoded, headers
from benchmarks.peers.job import HEARTBEAT_MS, SESSION_MS, Job, Meter
from runtime.garbage_collector import tune_garbage_collector


class Copier:
    """Reads, copies, commits."""

    def __init__(self, job: Job) -> None:
        self._job, self._meter = job, Meter(job.records)
        self._consumer = Consumer(
            {
                "bootstrap.servers": job.servers,
                "group.id": job.group,
                "enable.auto.commit": False,
                "auto.offset.reset": "earliest",
                "partition.assignment.strategy": "range",
                "session.timeout.ms": SESSION_MS,
                "heartbeat.interval.ms": HEARTBEAT_MS,
            }
        )
        self._producer = Producer(
            {
                "bootstrap.servers": job.servers,
                "acks": "all",
                "linger.ms": 5,
                "delivery.report.only.error": True,
                # More than is read between two commits, so that nothing waits for room.
                "queue.buffering.max.messages": 1_000_000,
            }
        )
        self._failed: KafkaError | None = None

    def run(self) -> None:
        """Copy the log."""
        self._consumer.subscribe([self._job.source])
        tune_garbage_collector()
        positions: dict[int, int] = {}
        taken, commit_at = 0, time.monotonic() + COMMIT_S
        while not self._meter.finished:
            messages = self._consumer.consume(MAX_RECORDS, timeout=0.02)
            if messages:
                self._meter.begin()
            for message in messages:
                self._copy(message, positions)
            taken += len(messages)
            self._producer.poll(0)
            if positions and time.monotonic() >= commit_at:
                self._commit(positions)
                commit_at = time.monotonic() + COMMIT_S
            # What the producer still holds is not with the broker.
            self._meter.reached(taken - len(self._producer))
        self._commit(positions)
        self._consumer.close()
        self._meter.report()

    def _copy(self, message: Message, positions: dict[int, int]) -> None:
        error = message.error()
        if error is not None:
            raise KafkaException(error)
        hop = decoded(message.value() or b"")
        made: Any = headers(hop.key)
        partition, offset = message.partition() or 0, message.offset() or 0
        self._producer.produce(
            self._job.target,
            encoded(hop),
            message.key(),
            partition,
            on_delivery=self._on_delivery,
            headers=made,
        )
        positions[partition] = offset + 1

    def _on_delivery(self, error: KafkaError | None, _: Message) -> None:
        self._failed = error

    def _commit(self, positions: dict[int, int]) -> None:
        left = self._producer.flush(30)
        if left or self._failed:
            raise SystemExit(f"{left} records are not delivered: {self._failed}; look at the broker's log")
        source = self._job.source
        offsets = [TopicPartition(source, partition, offset) for partition, offset in positions.items()]
        self._consumer.commit(offsets=offsets, asynchronous=False)


if __name__ == "__main__":
    Copier(Job.from_command_line()).run()
