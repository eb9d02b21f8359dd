"""Where applications stand, found in the log when somebody asks; what is kept can be read again at any time."""

import asyncio
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Final

from aiokafka import TopicPartition

from contracts.records import partition_of
from contracts.topics import ALL, APPLICATIONS_SUBMITTED, dead_letter_topics
from runtime.dead_letters import NoDeadLetterError, read_dead_letter
from runtime.messages import Record
from services.portal.batches import next_offset, records_of, unpacked
from services.portal.models import Reason, Status
from services.portal.recent import Reader, RecentSubmissions, record_at
from services.portal.status import DEAD_LETTERS, settled, status_of

# Of producers' clocks: a record that an application caused may seem to be so much older than its submission.
CLOCKS_APART_MS: Final = 10_000
# Some 10 KB each.
TRAILS_KEPT: Final = 1_000
# Readers at once: each holds a piece of every topic in memory.
READERS: Final = 4
TOPICS: Final = (*(topic.name for topic in ALL), *(name for name, _ in dead_letter_topics()))
_LETTERS: Final = APPLICATIONS_SUBMITTED.dead_letter("intake")
# The newest of each partition, where a record may lie that names an application and is no submission of it.
_LETTERS_SEARCHED: Final = 1_000


class Trail:
    """What is known of one application, and where to read on.

    Attributes:
        records: its own, in the order in which they were read.
        complete: nothing was left to read.

    """

    def __init__(self, key: bytes, positions: Mapping[TopicPartition, int], records: Sequence[Record] = ()) -> None:
        self.records, self.complete = list(records), False
        self._key, self._positions = key, dict(positions)
        self._seen = {(record.topic, record.partition, record.offset) for record in records}
        self._reading = asyncio.Lock()

    def status(self, reasons: Mapping[str, Reason]) -> Status:
        return status_of(self._key.decode(), self.records, reasons)

    async def read_on(self, log: Reader, reasons: Mapping[str, Reason], most: int) -> None:
        """Read what came since the last time: until the outcome is final, the log ends, or `most` records are read.

        Raises:
            LogAwayError: the log cannot be read.

        """
        async with self._reading:
            left, read = dict(self._positions), 0
            while left and read < most:
                if self._is_final(reasons):
                    break
                read += await self._read_pieces(log, left)
            self.complete = not left or self._is_final(reasons)

    def _is_final(self, reasons: Mapping[str, Reason]) -> bool:
        status = self.status(reasons)
        return status.decided is not None and settled(status)

    async def _read_pieces(self, log: Reader, left: dict[TopicPartition, int]) -> int:
        """Read a piece of each partition that is left, and take those off that have ended; return how many records."""
        pieces, read = await log.fetch(dict(left)), 0
        for place in list(left):
            fetched, asked = pieces.get(place), left[place]
            if fetched is None:
                left[place] = self._positions[place] = (await log.starts([place]))[place]
                continue
            found = (
                unpacked(place, fetched, asked)
                if place.topic in DEAD_LETTERS
                else records_of(place, fetched, asked, self._key)
            )
            for record in found:
                self._take(record)
            left[place] = self._positions[place] = next_offset(fetched, asked)
            read += left[place] - asked
            if left[place] >= fetched.end or left[place] == asked:
                del left[place]
        return read

    def _take(self, record: Record) -> None:
        position = (record.topic, record.partition, record.offset)
        if position not in self._seen and self._is_of_this(record):
            self._seen.add(position)
            self.records.append(record)

    def _is_of_this(self, record: Record) -> bool:
        if record.topic not in DEAD_LETTERS or record.key == self._key:
            return record.key == self._key
        try:
            letter = read_dead_letter(record)
        except NoDeadLetterError:
            return False
        return (letter.topic, letter.partition, letter.offset) in self._seen or self._key in (record.value or b"")


class Applications:
    """Finds applications by their ids.

    Args:
        log: where their records are.
        partitions: the partition count of the log.
        recent: how many of a partition's newest submissions are searched by id.
        most: how many records are read for one answer.
        reasons: names and source of each rule.

    """

    def __init__(self, log: Reader, *, partitions: int, recent: int, most: int, reasons: Mapping[str, Reason]) -> None:
        self._log, self._partitions, self._most, self.reasons = log, partitions, most, reasons
        self.recent_in_all = recent * partitions
        self._each_recent, self._recent = recent, dict[int, RecentSubmissions]()
        self._trails: OrderedDict[str, Trail] = OrderedDict()
        self._places = asyncio.Semaphore(READERS)

    def partition(self, application_id: str) -> int:
        return partition_of(application_id.encode(), self._partitions)

    async def submission(self, application_id: str) -> Record | None:
        """Return the first submission of an application among the newest.

        Raises:
            LogAwayError: the log cannot be read.

        """
        number = self.partition(application_id)
        recent = self._recent.setdefault(number, RecentSubmissions(self._log, number, self._each_recent))
        async with self._places:
            return await recent.find(application_id)

    async def trail(self, application_id: str, offset: int | None = None) -> Trail | None:
        """Return what is known of an application by now; None where nothing is.

        Args:
            application_id: the application's.
            offset: of its submission, where that is known: it need not be among the newest then.

        Raises:
            LogAwayError: the log cannot be read.

        """
        trail = self._trails.get(application_id) or await self._begin(application_id, offset)
        if trail is None:
            return await self._refused_elsewhere(application_id.encode())
        self._trails[application_id] = trail
        self._trails.move_to_end(application_id)
        if len(self._trails) > TRAILS_KEPT:
            self._trails.popitem(last=False)
        async with self._places:
            await trail.read_on(self._log, self.reasons, self._most)
        return trail

    async def _begin(self, application_id: str, offset: int | None) -> Trail | None:
        key, number = application_id.encode(), self.partition(application_id)
        place = TopicPartition(APPLICATIONS_SUBMITTED.name, number)
        submission = await record_at(self._log, place, offset, key) if offset is not None else None
        submission = submission or await self.submission(application_id)
        if submission is None:
            return None
        others = [TopicPartition(topic, number) for topic in TOPICS if topic != place.topic]
        positions = await self._log.since(others, submission.timestamp - CLOCKS_APART_MS)
        return Trail(key, {**positions, place: submission.offset}, [submission])

    async def _refused_elsewhere(self, key: bytes) -> Trail | None:
        """Return the trail of an application that only a dead letter names: its record lay under another key."""
        places = [TopicPartition(_LETTERS, number) for number in range(self._partitions)]
        ends, starts = await self._log.ends(places), await self._log.starts(places)
        trail = Trail(key, {place: max(starts[place], ends[place] - _LETTERS_SEARCHED) for place in places})
        async with self._places:
            await trail.read_on(self._log, self.reasons, self._most)
        return trail if trail.records else None
