"""Reads a log from its start to its end as it is now, partition by partition."""

from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from typing import Any, NamedTuple, Self

from aiokafka import AIOKafkaConsumer, TopicPartition

from contracts.records import application_of, short_digest
from contracts.topics import dead_letter_topics
from paperless.verification.positions import LoggedRecord, RefusedRecord, State, Submission
from runtime.dead_letters import DeadLetter
from runtime.log_positions import readable_end
from runtime.settings import KafkaAccess
from runtime.settlements import Action, DeadLetterLog, Kept, Settled, Settlement
from runtime.unreadable import UnreadableRecord, read

MAX_RECORDS = 5_000
_STATES: dict[Action, State] = {"repair": "repaired", "replay": "replayed", "drop": "dropped"}
# An idle fetch returns after this time and tells the high-water mark of an empty partition.
FETCH_WAIT_MS = 50


class LogPiece(NamedTuple):
    """The next consumer records of a partition, and how many records there are in all, as far as is known."""

    partition: int
    records: list[Any]
    total: int


class LogReader:
    """Reads partitions of a log outside any group; an async context manager.

    Raises:
        aiokafka.errors.KafkaError: on entering, when the broker does not answer.

    """

    def __init__(self, access: KafkaAccess) -> None:
        self._access = access
        self._consumer: Any = None

    async def __aenter__(self) -> Self:
        self._consumer = AIOKafkaConsumer(
            **self._access.client_options(),
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            # As the services read: what a transaction of another client has taken back was never filed.
            isolation_level="read_committed",
            fetch_max_wait_ms=FETCH_WAIT_MS,
        )
        try:
            await self._consumer.start()
        except BaseException:
            await self._consumer.stop()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._consumer.stop()

    async def read(self, topics: Iterable[str], partition: int) -> dict[str, list[Any]]:
        """Return all consumer records of one partition of some topics, from the log's start to its end as it is now."""
        wanted = list(topics)
        by_topic: dict[str, list[Any]] = {topic: [] for topic in wanted}
        async for place, records in self._pieces([TopicPartition(topic, partition) for topic in wanted]):
            by_topic[place.topic] += records
        return by_topic

    async def partitions(self, topic: str) -> int:
        """Return a topic's partition count, 0 where there is no such topic or none that this user may see."""
        # `topics()` asks the same and keeps the names alone; `partitions_for_topic` knows the topics that are read.
        cluster = await self._consumer._client.fetch_all_metadata()  # noqa: SLF001
        return len(cluster.partitions_for_topic(topic) or ())

    async def dead_letters(
        self, topics: Iterable[str], partitions: Iterable[int], keep: Callable[[DeadLetter], Kept | None]
    ) -> dict[str, DeadLetterLog[Kept]]:
        """Return what dead-letter topics come to in some of their partitions; for `keep` see `DeadLetterLog`."""
        logs = {topic: DeadLetterLog(keep) for topic in topics}
        numbers = list(partitions)
        async for place, records in self._pieces([TopicPartition(topic, at) for topic in logs for at in numbers]):
            logs[place.topic].add(records)
        return logs

    async def refused(self, partition: int) -> list[RefusedRecord]:
        """Return a partition's dead letters of every topic."""
        logs = await self.dead_letters([name for name, _ in dead_letter_topics()], [partition], _refused)
        return [_settled(settled) for log in logs.values() for settled in log.letters()]

    async def logged(self, topic: str, partition: int) -> AsyncIterator[list[LoggedRecord]]:
        """Yield a partition of a topic in pieces, in order."""
        async for _, records in self._pieces([TopicPartition(topic, partition)]):
            yield [
                LoggedRecord(
                    record.partition,
                    record.offset,
                    record.key,
                    record.value,
                    unreadable=isinstance(record, UnreadableRecord),
                )
                for record in records
            ]

    async def until_now(self, topic: str, starts: Mapping[int, int]) -> AsyncIterator[LogPiece]:
        """Yield records of a topic from these offsets by partition on, to where each partition ended at first sight."""
        places = {TopicPartition(topic, number): offset for number, offset in starts.items()}
        ends: dict[TopicPartition, int] = {}
        async for place, records in self._pieces(list(places), places, ends):
            readable = [record for record in records if record.offset < ends[place]]
            total = sum(end - places[each] for each, end in ends.items())
            yield LogPiece(place.partition, readable, total)

    async def _pieces(
        self,
        targets: list[TopicPartition],
        starts: Mapping[TopicPartition, int] | None = None,
        ends: dict[TopicPartition, int] | None = None,
    ) -> AsyncIterator[tuple[TopicPartition, list[Any]]]:
        """Yield records of partitions, from these offsets or else from the log's start.

        With `ends` to where each partition ended when it was first fetched, which is put there before its records are
        yielded; else to where it ends by then.
        """
        self._consumer.assign(targets)
        begin = await self._consumer.beginning_offsets(targets)
        for target in targets:
            self._consumer.seek(target, max(begin[target], (starts or {}).get(target, 0)))
        left = set(targets)
        while left:
            fetched = await read(self._consumer, *left, timeout_ms=FETCH_WAIT_MS, max_records=MAX_RECORDS)
            seen = {target: end for target in left if (end := readable_end(self._consumer, target)) is not None}
            if ends is not None:
                ends.update({target: end for target, end in seen.items() if target not in ends})
                seen = {target: ends[target] for target in seen}
            for target, records in fetched.items():
                yield target, records
            left -= {target for target, end in seen.items() if await self._consumer.position(target) >= end}


def _refused(letter: DeadLetter) -> RefusedRecord:
    application = application_of(letter.key, letter.value)
    return RefusedRecord(letter.topic, letter.partition, letter.offset, letter.reason, application)


def _settled(settled: Settled[RefusedRecord]) -> RefusedRecord:
    settlement = settled.settlement
    if settlement is None:
        return settled.letter
    written_back = None
    if settlement.action == "repair":
        key, value = settlement.key or b"", settlement.value or b""
        written_back = Submission(key.decode(errors="replace"), short_digest(value))
    return settled.letter._replace(state=state_of(settlement), written_back=written_back)


def state_of(settlement: Settlement | None) -> State:
    """Return what became of a dead letter."""
    if settlement is None:
        return "open"
    if not settlement.finished:
        return "begun"
    return _STATES[settlement.action]
