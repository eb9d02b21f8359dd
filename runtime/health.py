"""Whether a consumer does its work; a ping of the broker would stay true for a stuck handler or a dead fetch loop."""

from aiokafka import TopicPartition

from runtime.broker_contact import BROKER_UNREACHABLE
from runtime.consumer import PartitionConsumer
from runtime.metrics import Metrics

# A batch takes well under a second; one that takes this long waits for something that does not come.
BUSY_LIMIT_S = 30.0
POLL_LIMIT_S = 15.0
# As long as a batch may take: progress is looked for against what is left to do, whatever keeps it from being made.
PROGRESS_LIMIT_S = 30.0


def measure(member: PartitionConsumer, metrics: Metrics) -> None:
    """Set the gauges to what holds now: a stuck member still tells how it is."""
    metrics.clear("consumer_lag_records", "window_open_records", "window_oldest_seconds")
    now = member.clock.now()
    for number, state in member.partitions.items():
        partition, since = str(number), state.pending.oldest_since()
        metrics.gauge("window_open_records", len(state.pending), partition=partition)
        metrics.gauge("window_oldest_seconds", 0 if since is None else now - since, partition=partition)
        for topic, offset in state.next_offsets.items():
            lag = max(0, (member.highwater(topic, number) or 0) - offset)
            metrics.gauge("consumer_lag_records", lag, topic=topic, partition=partition)
    metrics.gauge("partitions_assigned", len(member.partitions))
    metrics.gauge("partitions_paused", len(member.consumer.paused()) if member.consumer else 0)
    metrics.gauge("member_ready", not unready_reasons(member))
    metrics.gauge("publishing_failing", member.publisher.failing)


def positions(member: PartitionConsumer) -> dict[str, dict[str, int]]:
    """Return the offset of the next record by topic and partition: from them one sees that it gets on."""
    owned = sorted(member.partitions.items())
    return {
        topic: {str(number): each.next_offsets[topic] for number, each in owned if topic in each.next_offsets}
        for topic in member.topics
    }


def unready_reasons(member: PartitionConsumer) -> list[str]:
    """Return why a member does not do its work; empty when it does."""
    now = member.clock.now()
    reasons = []
    if member.contact.lost:
        reasons.append(BROKER_UNREACHABLE)
    if member.fatal is not None:
        reasons.append(f"stopped: {member.fatal}")
    if not member.partitions:
        reasons.append("no partition is assigned")
    if member.busy_since is not None and now - member.busy_since > BUSY_LIMIT_S:
        reasons.append(f"one batch is being handled for {now - member.busy_since:.0f} s")
    elif member.partitions and now - member.progressed_at > PROGRESS_LIMIT_S:
        reasons.append(f"records wait, and none was handled for {now - member.progressed_at:.0f} s")
    if member.ticker is None or member.ticker.done():
        reasons.append("the ticker is not running")
    if member.publisher.failing:
        reasons.append("the broker does not take records")
    if member.trouble is not None:
        reasons.append(member.trouble)
    # Of a broker that is away nothing can be fetched: the cause is named already.
    return reasons if member.contact.lost else reasons + _silent_partitions(member, now)


def _silent_partitions(member: PartitionConsumer, now: float) -> list[str]:
    """Return a reason for each topic with partitions that were not fetched, and for how long the longest was not."""
    if member.consumer is None or not member.partitions:
        return []
    paused = member.consumer.paused()
    silent: dict[str, dict[int, float]] = {}
    for number, state in sorted(member.partitions.items()):
        for topic in state.next_offsets:
            polled = member.polled_at(topic, number)
            if polled is not None and now - polled > POLL_LIMIT_S and TopicPartition(topic, number) not in paused:
                silent.setdefault(topic, {})[number] = now - polled
    return [
        f"{topic}/{','.join(map(str, seconds))} was not fetched for {max(seconds.values()):.0f} s"
        for topic, seconds in sorted(silent.items())
    ]
