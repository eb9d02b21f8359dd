"""Where a member reads on: its owner's offsets held against where the log begins and ends, and gaps that are none."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

import structlog
from aiokafka import TopicPartition
from aiokafka.errors import GroupAuthorizationFailedError, KafkaError, TopicAuthorizationFailedError
from tenacity import retry, retry_if_exception, wait_random_exponential

from runtime.errors import FatalError

log = structlog.get_logger(__name__)

# A member that was overtaken asks again so late; the coordinator tells it within a heartbeat's interval.
OVERTAKEN_S = 0.5
OwnerOffsets = Callable[[list[TopicPartition]], Awaitable[Mapping[TopicPartition, int | None]]]


def _no_answer(error: BaseException) -> bool:
    """Tell whether to ask again: that a broker or coordinator is away, moves or has only begun to serve is no answer.

    The client has many errors for it, and not all of them say that they pass.
    """
    return isinstance(error, KafkaError) and not isinstance(
        error, GroupAuthorizationFailedError | TopicAuthorizationFailedError
    )


_patiently = retry(
    retry=retry_if_exception(_no_answer),
    wait=wait_random_exponential(multiplier=0.1, max=5.0),
    before_sleep=lambda state: log.warning(
        "no broker says where to read on, asking again",
        attempt=state.attempt_number,
        error=repr(state.outcome.exception()) if state.outcome else None,
    ),
)


class LogPositions:
    """Asks a consumer's brokers about its partitions.

    Args:
        consumer: returns aiokafka's consumer.
        end_reliable: the broker knows where the log ends.
        after_loss: what an operator should do when the log does not have what is to be read.

    """

    def __init__(self, consumer: Callable[[], Any], *, end_reliable: bool, after_loss: str) -> None:
        self._consumer, self._end_reliable, self._after_loss = consumer, end_reliable, after_loss

    async def starts(self, assigned: Iterable[TopicPartition], owner: OwnerOffsets) -> dict[TopicPartition, int]:
        """Return where to start reading: where the owner of the offsets left off, else where the log begins.

        Raises:
            FatalError: an offset lies outside the log: records were deleted unread, or this is another log.

        """
        partitions = list(assigned)
        # The owner first: while it is asked, another member may go on, so a log that was asked before would be older.
        stored = await _patiently(owner)(partitions)
        first = await self._first(partitions)
        end = await self._end(partitions) if self._end_reliable else {}
        starts = {}
        for tp in partitions:
            offset = stored[tp]
            starts[tp] = first[tp] if offset is None else offset
            if not first[tp] <= starts[tp] <= end.get(tp, starts[tp]):
                log_is = f"{first[tp]} to {end.get(tp, 'its end')}"
                raise FatalError(
                    f"{_place(tp)}: offset {offset} is outside the log, which is {log_is}; {self._after_loss}"
                )
        return starts

    async def check_gap(self, tp: TopicPartition, expected: int, offset: int, owner: OwnerOffsets) -> bool:
        """Return whether there never was a record between two offsets: markers of transactions take offsets, too.

        False where another member has read on since: this one lost the partition and has not heard of it yet.

        Raises:
            FatalError: the log begins only after the expected offset: its records were deleted unread.

        """
        first = (await self._first([tp]))[tp]
        if first <= expected:
            return True
        committed = (await _patiently(owner)([tp]))[tp]
        if committed is not None and committed >= first:
            log.warning("another member has read on", partition=_place(tp), expected=expected, committed=committed)
            await asyncio.sleep(OVERTAKEN_S)
            return False
        gone = f"{_place(tp)}: offsets {expected} to {min(first, offset) - 1}"
        raise FatalError(f"{gone} are gone from the log, unread; {self._after_loss}")

    @_patiently
    async def _first(self, partitions: list[TopicPartition]) -> Mapping[TopicPartition, int]:
        offsets: Mapping[TopicPartition, int] = await self._consumer().beginning_offsets(partitions)
        return offsets

    @_patiently
    async def _end(self, partitions: list[TopicPartition]) -> Mapping[TopicPartition, int]:
        offsets: Mapping[TopicPartition, int] = await self._consumer().end_offsets(partitions)
        return offsets


def readable_end(consumer: Any, tp: TopicPartition) -> int | None:
    """Return the offset below which a consumer's records may be read, as its last fetch saw it; None before the first.

    It is the high-water mark, or where a transaction is open: that holds back what follows it.
    """
    mark: int | None = consumer.highwater(tp)
    stable: int | None = consumer.last_stable_offset(tp)
    return mark if mark is None or stable is None or stable < 0 else min(mark, stable)


def _place(tp: TopicPartition) -> str:
    return f"{tp.topic}/{tp.partition}"
