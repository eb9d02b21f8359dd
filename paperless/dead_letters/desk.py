"""Reads dead letters from a broker, and settles them there: what is to be done, the record itself, where it lies.

Each step is durable before the next begins, so whoever stops in between is continued by `replay`.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

from aiokafka import AIOKafkaProducer

from contracts.topics import APPLICATIONS_SUBMITTED, dead_letter_topics
from paperless.dead_letters.decisions import Decision, settled_already
from paperless.dead_letters.errors import DeadLetterError
from paperless.dead_letters.letters import Summary, settled_summary, summary
from paperless.verification.log_reader import LogReader
from runtime.dead_letters import MAX_DEAD_LETTER_BYTES, DeadLetter
from runtime.messages import Message
from runtime.settings import KafkaAccess
from runtime.settlements import DeadLetterLog, Settled, begun, done, written_back

# Settled together: one reading of their topics, three round trips.
TOGETHER = 2_000
Logs = Mapping[str, DeadLetterLog[Any]]
_TOPIC_OF = {source.name: name for name, source in dead_letter_topics()}


class Letters(NamedTuple):
    """The letters of a log without their values, its partition count, and what in their topics is no letter."""

    summaries: list[Summary]
    partitions: int
    strangers: list[str]


class Settling(NamedTuple):
    """What came of a decision: the position of the record written back, None for a drop, or why nothing was done."""

    position: str
    written_to: str | None
    refused: str | None = None


@asynccontextmanager
async def open_desk(access: KafkaAccess) -> AsyncIterator["Desk"]:
    """Open a desk; it closes with the context.

    Raises:
        DeadLetterError: the log has no topics, or this user may not see them.
        aiokafka.errors.KafkaError: the broker does not answer or refuses.

    """
    async with LogReader(access) as log:
        partitions = await log.partitions(APPLICATIONS_SUBMITTED.name)
        if not partitions:
            raise DeadLetterError(
                f"topic {APPLICATIONS_SUBMITTED.name} is missing, or this user may not see it; run `paperless topics`"
            )
        yield Desk(access, log, partitions)


class Desk:
    """The dead letters of one log.

    Args:
        access: the broker, as a user who may read dead letters; to settle them, also write what was refused.
        log: an open reader of it.
        partitions: its partition count.

    """

    def __init__(self, access: KafkaAccess, log: LogReader, partitions: int) -> None:
        self._access, self._log, self.partitions = access, log, partitions

    async def letters(self) -> Letters:
        """Return all letters, the oldest first."""
        logs = await self._read(_TOPIC_OF.values(), range(self.partitions), summary)
        summaries = [settled_summary(settled) for log in logs.values() for settled in log.letters()]
        summaries.sort(key=lambda letter: (letter.refused_at_ms, letter.position))
        return Letters(summaries, self.partitions, [line for log in logs.values() for line in log.strangers])

    async def whole(self, positions: Collection[str]) -> list[Settled[DeadLetter]]:
        """Return letters with all that they hold, in the order of topic and log.

        Raises:
            DeadLetterError: a position has no dead letter.

        """
        places = [position.rsplit("/", 2) for position in positions]
        topics = {_TOPIC_OF[topic] for topic, _, _ in places}
        numbers = {int(partition) for _, partition, _ in places} & set(range(self.partitions))
        logs = await self._read(topics, numbers, lambda letter: letter if letter.position in positions else None)
        found = [settled for log in logs.values() for settled in log.letters()]
        missing = set(positions) - {settled.letter.position for settled in found}
        if missing:
            named = ", ".join(sorted(missing))
            raise DeadLetterError(f"{named}: no dead letter of it; `paperless dlq list` has those that there are")
        return found

    async def _read(self, topics: Iterable[str], numbers: Collection[int], keep: Callable[[DeadLetter], Any]) -> Logs:
        return await self._log.dead_letters(sorted(topics), sorted(numbers), keep) if numbers else {}

    async def settle(self, decisions: Sequence[Decision]) -> AsyncIterator[list[Settling]]:
        """Carry decisions out, some at a time, and yield what came of each.

        Raises:
            aiokafka.errors.KafkaError: the broker does not take a record; what was begun can be finished later.

        """
        producer = AIOKafkaProducer(
            **self._access.client_options(), acks="all", max_request_size=MAX_DEAD_LETTER_BYTES + 64 * 1024
        )
        await producer.start()
        try:
            for start in range(0, len(decisions), TOGETHER):
                yield await self._settle(producer, decisions[start : start + TOGETHER])
        finally:
            await producer.stop()

    async def _settle(self, producer: Any, decisions: Sequence[Decision]) -> list[Settling]:
        new = [decision for decision in decisions if decision.settlement.offset < 0]
        offsets = await _send(producer, [(begun(each.settlement, _topic(each)), each.letter.partition) for each in new])
        ours = {each.letter.position: offset for each, (_, offset) in zip(new, offsets, strict=True)}
        # Somebody else may have begun at the same time: whose is first in the log holds.
        logs = await self._read({_topic(each) for each in new}, {each.letter.partition for each in new}, lambda _: None)
        lost = {position: line for position, offset in ours.items() if (line := _lost(logs, position, offset))}
        held = [each for each in decisions if each.letter.position not in lost]
        places = await self._write_back(producer, held)
        return [Settling(each.letter.position, *_came_of(each, places, lost)) for each in decisions]

    async def _write_back(self, producer: Any, decisions: Sequence[Decision]) -> dict[str, str]:
        """Return where each record lies now that goes back, by the position of its letter."""
        back = [each for each in decisions if each.settlement.action != "drop"]
        sent = await _send(producer, [(written_back(each.letter, each.settlement), each.partition) for each in back])
        places = {
            each.letter.position: f"{each.letter.topic}/{partition}/{offset}"
            for each, (partition, offset) in zip(back, sent, strict=True)
        }
        ends = [(each, places[each.letter.position]) for each in back]
        await _send(
            producer,
            [(done(each.letter.position, place, _topic(each)), each.letter.partition) for each, place in ends],
        )
        return places


def _topic(decision: Decision) -> str:
    return _TOPIC_OF[decision.letter.topic]


def _lost(logs: Logs, position: str, offset: int) -> str | None:
    """Return why a settlement that was written does not hold; None where it does."""
    settlement = logs[_TOPIC_OF[position.rsplit("/", 2)[0]]].settlement(position)
    return settled_already(settlement) if settlement and settlement.offset != offset else None


def _came_of(decision: Decision, places: Mapping[str, str], lost: Mapping[str, str]) -> tuple[str | None, str | None]:
    position = decision.letter.position
    return places.get(position), lost.get(position)


async def _send(producer: Any, messages: Sequence[tuple[Message, int]]) -> list[tuple[int, int]]:
    """Return partition and offset of each message once the broker has all of them."""
    sent = [
        await producer.send(topic, value, key=key, partition=partition, headers=headers)
        for (topic, key, value, headers), partition in messages
    ]
    metadata = await asyncio.gather(*sent)
    return [(each.partition, each.offset) for each in metadata]
