"""Faust-streaming: an agent that sends each event of a topic to another. Has an environment of its own (.venv-peers).

At least once, its default: a timer flushes the producer and then commits what the agent is done with. Nothing is
stateful. Records are decoded and encoded by the event's model, so the work is the same; they are sent to the partition
that they come from. What is left to its defaults: commits every 2.8 s, no linger. Its leader election and
its web server are off.
"""

import asyncio
from typing import Any

import faust

from benchmarks.peers.copying import decoded, encoded, headers
from benchmarks.peers.job import HEARTBEAT_MS, SESSION_MS, Job, Meter


async def main(job: Job) -> None:
    """Copy the log."""
    published, meter = 0, Meter(job.records)
    app = faust.App(
        job.group,
        broker=f"kafka://{job.servers}",
        key_serializer="raw",
        value_serializer="raw",
        consumer_auto_offset_reset="earliest",
        broker_session_timeout=SESSION_MS / 1_000,
        broker_heartbeat_interval=HEARTBEAT_MS / 1_000,
        topic_allow_declare=False,
        topic_disable_leader=True,
        web_enabled=False,
    )
    source, target = app.topic(job.source), app.topic(job.target)

    def count(_: Any) -> None:
        """Take note that the broker has a copy."""
        nonlocal published
        published += 1

    async def copy(stream: Any) -> None:
        async for event in stream.events():
            meter.begin()
            hop = decoded(event.value)
            partition, named = event.message.partition, headers(hop.key)
            await target.send(key=event.key, value=encoded(hop), partition=partition, headers=named, callback=count)

    app.agent(source)(copy)
    await meter.run(app, lambda: published)


if __name__ == "__main__":
    asyncio.run(main(Job.from_command_line()))
