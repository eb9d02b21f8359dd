"""Reads the log on demand: any partition from any offset, outside any group, many readers at once.

A consumer has one position for each partition; requests of people have theirs. So fetches are sent by themselves, over
aiokafka's client.
"""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any, Final, Never

import structlog
from aiokafka import TopicPartition
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import (
    KafkaError,
    LeaderNotAvailableError,
    NoError,
    OffsetOutOfRangeError,
    TopicAuthorizationFailedError,
    for_code,
)
from aiokafka.protocol.fetch import FetchRequest
from aiokafka.protocol.offset import OffsetRequest

from runtime.broker import REQUEST_TIMEOUT_MS
from runtime.errors import FatalError
from runtime.settings import KafkaAccess
from services.portal.batches import Fetched

log = structlog.get_logger(__name__)

# Of one partition in one fetch: some thousand records, and a few ms of this process.
PIECE_BYTES: Final = 1024 * 1024
# Apache Kafka answers at once where it need not have any bytes. The embedded broker answers with nothing at all where
# it may not wait, and with as much as it finds in this time.
_WAIT_MS, _MIN_BYTES, _READ_COMMITTED = 10, 0, 1
_NEWEST, _OLDEST = -1, -2
AGAIN_S: Final = 0.1
# What /health says follows from the last of these, so 5 s after the broker has gone it is said.
PING_EVERY_S, PING_WITHIN_S = 1.0, 2.0


class LogAwayError(Exception):
    """The broker does not answer in time; says why, as far as it is known."""


class Log:
    """The log as a reader of single partitions has it; also says whether the broker is there.

    Args:
        access: how to reach the broker.
        client_id: shown in the broker's logs.
        topics: all that is read or written; each must have `partitions` partitions.
        partitions: the partition count of the log.
        within_s: how long one reading may take, all tries included.

    """

    def __init__(
        self, access: KafkaAccess, *, client_id: str, topics: Iterable[str], partitions: int, within_s: float
    ) -> None:
        self._access, self._client_id, self._within_s = access, client_id, within_s
        self._topics, self.partitions = tuple(topics), partitions
        self._client: Any = None
        self.trouble: str | None = "the broker was not reached yet"

    async def watch(self, found: Callable[[], Awaitable[None]]) -> Never:
        """Find the broker, call `found` once, and go on asking whether it is there.

        Raises:
            FatalError: a topic is missing or has another partition count.

        """
        self._client = AIOKafkaClient(
            **self._access.client_options(), client_id=self._client_id, request_timeout_ms=REQUEST_TIMEOUT_MS
        )
        ready = False
        while True:
            try:
                async with asyncio.timeout(None if ready is False else PING_WITHIN_S):
                    await self._ping(first=not ready)
                if not ready:
                    await found()
                    ready = True
                self.trouble = None
            except (KafkaError, OSError, TimeoutError) as error:
                self._away(error)
            await asyncio.sleep(PING_EVERY_S)

    def _away(self, error: BaseException) -> None:
        if self.trouble is None:
            log.warning("the broker does not answer", error=repr(error))
        self.trouble = f"the broker at {self._access.kafka_servers} does not answer"

    async def _ping(self, *, first: bool) -> None:
        if first:
            await self._client.bootstrap()
            # All topics: asking for one by name may create it, with the broker's own partition count.
            cluster = await self._client.fetch_all_metadata()
            self._check(cluster)
            await self._client.set_topics(self._topics)
        elif not await self._client.force_metadata_update():
            # Of a cluster that comes back, the brokers that are known may be gone.
            await self._client.bootstrap()

    def _check(self, cluster: Any) -> None:
        for topic in self._topics:
            count = len(cluster.partitions_for_topic(topic) or ())
            if count != self.partitions:
                raise FatalError(
                    f"topic {topic} has {count} partitions, {self.partitions} are expected; run `paperless topics`, or "
                    "set PORTAL_PARTITIONS to the count of the log"
                )

    async def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.close()

    async def ends(self, places: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """Return where each partition ends; on the embedded broker up to a batch too low. Raises as `fetch`."""
        return await self._patiently(lambda: self._offsets(dict.fromkeys(places, _NEWEST)))

    async def starts(self, places: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """Return where each partition begins. Raises as `fetch`."""
        return await self._patiently(lambda: self._offsets(dict.fromkeys(places, _OLDEST)))

    async def since(self, places: Iterable[TopicPartition], epoch_ms: int) -> dict[TopicPartition, int]:
        """Return the first offset of each partition that is not older; its end, where none is. Raises as `fetch`."""
        wanted = list(places)
        found = await self._patiently(lambda: self._offsets(dict.fromkeys(wanted, epoch_ms)))
        none = [place for place in wanted if place not in found]
        return found | (await self.ends(none) if none else {})

    async def fetch(
        self, positions: Mapping[TopicPartition, int], piece_bytes: int = PIECE_BYTES
    ) -> dict[TopicPartition, Fetched]:
        """Return a piece of each partition from its offset on; what is left out has been deleted there.

        Raises:
            LogAwayError: the broker does not give it in time.

        """
        return await self._patiently(lambda: self._fetch(positions, piece_bytes))

    async def _patiently(self, ask: Callable[[], Awaitable[dict[TopicPartition, Any]]]) -> dict[TopicPartition, Any]:
        if self._client is None or self.trouble is not None:
            raise LogAwayError(self.trouble or "the broker was not reached yet")
        why = "no answer"
        try:
            async with asyncio.timeout(self._within_s):
                while True:
                    try:
                        return await ask()
                    except TopicAuthorizationFailedError as error:
                        raise LogAwayError(f"the portal's user may not read {error}") from error
                    except (KafkaError, OSError) as error:
                        why = repr(error)
                    with suppress(KafkaError):
                        await self._client.force_metadata_update()
                    await asyncio.sleep(AGAIN_S)
        except TimeoutError:
            raise LogAwayError(f"the log could not be read within {self._within_s:g} s ({why})") from None

    def _by_leader(self, places: Iterable[TopicPartition]) -> dict[int, dict[str, list[TopicPartition]]]:
        found: dict[int, dict[str, list[TopicPartition]]] = defaultdict(lambda: defaultdict(list))
        for place in places:
            leader = self._client.cluster.leader_for_partition(place)
            if leader is None or leader == -1:
                raise LeaderNotAvailableError(place)
            found[leader][place.topic].append(place)
        return found

    async def _offsets(self, times: Mapping[TopicPartition, int]) -> dict[TopicPartition, int]:
        found = {}
        for leader, by_topic in self._by_leader(times).items():
            asked = [(topic, [(place.partition, times[place]) for place in of]) for topic, of in by_topic.items()]
            response = await self._client.send(leader, OffsetRequest(-1, _READ_COMMITTED, asked))
            for topic, parts in response.topics:
                for number, code, timestamp, offset in parts:
                    place = TopicPartition(topic, number)
                    _raise_for(code, place)
                    # No record is as young as that: -1, or on the embedded broker its beginning without a time.
                    if times[place] < 0 or (offset >= 0 and timestamp >= 0):
                        found[place] = offset
        return found

    async def _fetch(self, positions: Mapping[TopicPartition, int], piece_bytes: int) -> dict[TopicPartition, Fetched]:
        asking = [
            self._fetch_from(leader, by_topic, positions, piece_bytes)
            for leader, by_topic in self._by_leader(positions).items()
        ]
        pieces = await asyncio.gather(*asking)
        return {place: fetched for piece in pieces for place, fetched in piece.items()}

    async def _fetch_from(
        self,
        leader: int,
        by_topic: Mapping[str, list[TopicPartition]],
        positions: Mapping[TopicPartition, int],
        piece_bytes: int,
    ) -> dict[TopicPartition, Fetched]:
        asked = [
            (topic, [(place.partition, positions[place], piece_bytes) for place in of])
            for topic, of in by_topic.items()
        ]
        whole = piece_bytes * sum(map(len, by_topic.values()))
        request = FetchRequest(_WAIT_MS, _MIN_BYTES, whole, _READ_COMMITTED, asked)
        response = await self._client.send(leader, request)
        found = {}
        said = {TopicPartition(topic, part[0]) for topic, parts in response.topics for part in parts}
        if len(said) < sum(map(len, by_topic.values())):
            raise KafkaError("the broker left partitions out of its answer")
        for topic, parts in response.topics:
            for number, code, high_water, stable, *rest in parts:
                place = TopicPartition(topic, number)
                if for_code(code) is OffsetOutOfRangeError:
                    continue
                _raise_for(code, place)
                end = high_water if stable < 0 else min(high_water, stable)
                aborted = next((each for each in rest if isinstance(each, list)), [])
                found[place] = Fetched(bytes(rest[-1] or b""), end, aborted)
        return found


def _raise_for(code: int, place: TopicPartition) -> None:
    error = for_code(code)
    if error is not NoError:
        raise error(f"{place.topic}/{place.partition}")
