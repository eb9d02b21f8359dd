"""Quix Streams: a StreamingDataFrame from one topic to another. Runs in an environment of its own (.venv-peers).

At least once, its default: a checkpoint on a timer flushes the producer and then commits. Nothing is stateful. Records
are decoded and encoded by the event's model, through the serializers that the library offers for it, so the work is the
same; the partitioner is set so that keys stay where they are. What is left to its defaults: commits every 5 s,
confluent-kafka's batching. Idempotence is off, since the embedded broker has none (the kernel does the same there).
"""

from quixstreams import Application
from quixstreams.models import JSONDeserializer, JSONSerializer

from benchmarks.peers.copying import decoded, encoded
from benchmarks.peers.job import HEARTBEAT_MS, SESSION_MS, Job, Meter
from runtime.garbage_collector import tune_garbage_collector


def main(job: Job) -> None:
    """Copy the log."""
    meter = Meter(job.records)
    processed = 0

    def count(topic: str, partition: int, offset: int) -> None:  # noqa: ARG001  the library's signature
        nonlocal processed
        meter.begin()
        processed += 1
        # Its own count of deliveries is private: what is processed is counted as published, in its favour.
        meter.reached(processed)
        if meter.finished:
            app.stop()

    app = Application(
        broker_address=job.servers,
        consumer_group=job.group,
        auto_offset_reset="earliest",
        auto_create_topics=False,
        consumer_extra_config={"session.timeout.ms": SESSION_MS, "heartbeat.interval.ms": HEARTBEAT_MS},
        producer_extra_config={"enable.idempotence": False, "acks": "all", "partitioner": "murmur2"},
        on_message_processed=count,
        loglevel="WARNING",
    )
    source = app.topic(job.source, value_deserializer=JSONDeserializer(loads=decoded))
    target = app.topic(job.target, value_serializer=JSONSerializer(dumps=encoded))
    app.dataframe(source).to_topic(target)
    tune_garbage_collector()
    app.run()
    meter.report()


if __name__ == "__main__":
    main(Job.from_command_line())
