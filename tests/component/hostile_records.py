"""Hostile records of every kind for the topics that services read, and what must become of each. A seed in, bytes out.

What is wrong below the record (codec, check sum, counts, offsets) makes a batch of its own. All else stands in batches
together, under any codec and with any headers, a good record here and there between them.
"""

import json
from collections.abc import Iterator, Sequence
from random import Random
from typing import Any, NamedTuple

from contracts.records import partition_of
from contracts.topics import Topic
from tests.component.hostile_batches import BATCHES, GOOD, Fate, Hostile, as_they_are, built
from tests.component.hostile_values import HARMLESS, HEADERS, VALUES, application, changes

GOOD_SHARE, BROKEN_BATCHES = 0.05, 0.5
CODECS = (0, 0, 1, 2, 3, 4)


class HostileBatch(NamedTuple):
    """What one request writes to a partition; the kind of a batch that is in order is empty."""

    kind: str
    partition: int
    data: bytes
    fates: tuple[Fate, ...]


# Places: a good value under another key, or elsewhere.
PLACES = ("no key", "another key", "a key that is no text", "an empty key", "another partition")


def _placed(topic: Topic, place: str, key: bytes, value: bytes, partitions: int) -> tuple[int, Hostile]:
    own = partition_of(key, partitions)
    number = (own + 1) % partitions if place == "another partition" else own
    keys = {"no key": None, "another key": key[:-1] + b"x", "a key that is no text": b"\xff\xfe", "an empty key": b""}
    verdict = GOOD if topic.moved_by else "key_mismatch"
    return number, Hostile(f"place: {place}", verdict, key.decode(), keys.get(place, key), value, [])


class Stream:
    """The hostile stream of one topic; the same seed gives the same bytes."""

    def __init__(self, topic: Topic, *, seed: int, partitions: int, broker: str, timestamp_ms: int) -> None:
        self.topic, self.partitions, self._timestamp_ms = topic, partitions, timestamp_ms
        self._draw = Random(f"{topic.name}/{seed}")
        self._changes, self._batches = (
            self._cycle(changes(topic)),
            self._cycle([name for name, kind in BATCHES.items() if broker not in kind.hangs]),
        )
        self._places, self._headers = self._cycle(PLACES), self._cycle(list(HEADERS))
        self._harmless = self._cycle(list(HARMLESS))

    def _cycle(self, kinds: Sequence[Any]) -> Iterator[Any]:
        while True:
            yield from self._draw.sample(kinds, len(kinds))

    def batches(self, records: int) -> Iterator[HostileBatch]:
        """Yield batches until so many records are written; each partition's last one is good."""
        waiting: dict[int, list[Hostile]] = {number: [] for number in range(self.partitions)}
        written = 0
        while written < records:
            number, record = self._record()
            waiting[number].append(record)
            written += 1
            if len(waiting[number]) >= self._draw.choice((1, 5, 20, 60)):
                yield self._plain(number, waiting.pop(number))
                waiting[number] = []
                if self._draw.random() < BROKEN_BATCHES:
                    yield self._broken(number)
                    written += 3
        for number in range(self.partitions):
            yield self._plain(number, [*waiting[number], self._good_on(number)])

    def _plain(self, number: int, records: list[Hostile]) -> HostileBatch:
        return HostileBatch(
            "", number, built(self._dated(records), self._draw.choice(CODECS)), tuple(as_they_are(records))
        )

    def _broken(self, number: int) -> HostileBatch:
        name = next(self._batches)
        kind = BATCHES[name]
        records = self._dated([self._on(number, good=self._draw.random() < 0.3) for _ in range(3)])
        fates = [fate._replace(kind=f"batch: {name}") for fate in kind.fates(records)]
        return HostileBatch(name, number, kind.write(records), tuple(fates))

    def _dated(self, records: list[Hostile]) -> list[Hostile]:
        return [record._replace(timestamp=self._timestamp_ms) for record in records]

    def _on(self, number: int, *, good: bool) -> Hostile:
        if good:
            return self._good_on(number)
        while True:
            place, record = self._hostile()
            if place == number:
                return record

    def _good_on(self, number: int) -> Hostile:
        while True:
            place, record = self._good()
            if place == number:
                return record

    def _record(self) -> tuple[int, Hostile]:
        draw = self._draw.random()
        if draw < GOOD_SHARE:
            return self._good()
        return self._misplaced() if draw < 2 * GOOD_SHARE else self._hostile()

    def _value(self) -> tuple[bytes, dict[str, Any]]:
        event = application(self._draw)
        return event["application_id"].encode(), VALUES[self.topic.name](event, self._draw)

    def _good(self) -> tuple[int, Hostile]:
        (key, value), kind = self._value(), next(self._harmless)
        headers = HEADERS[next(self._headers)]
        return partition_of(key, self.partitions), Hostile(
            f"good: {kind}", GOOD, key.decode(), key, HARMLESS[kind](value), headers
        )

    def _misplaced(self) -> tuple[int, Hostile]:
        key, value = self._value()
        place, headers = next(self._places), HEADERS[next(self._headers)]
        number, record = _placed(self.topic, place, key, json.dumps(value).encode(), self.partitions)
        return number, record._replace(headers=headers)

    def _hostile(self) -> tuple[int, Hostile]:
        (key, value), (kind, verdict, change) = self._value(), next(self._changes)
        headers = HEADERS[next(self._headers)]
        return partition_of(key, self.partitions), Hostile(kind, verdict, key.decode(), key, change(value), headers)
