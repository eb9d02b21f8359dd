"""The golden messages: what once stood on the wire, kept as files; the record each one was."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from contracts.records import partition_of
from contracts.topics import ALL, DEFAULT_PARTITIONS, Topic

EXAMPLES = Path(__file__).resolve().parents[2] / "contracts" / "examples"
# The key that sealed the contexts in the files.
SIGNING_KEY = b"dev-only"


class Golden(NamedTuple):
    """One golden message; it is a record as a consumer gets it."""

    topic: str
    name: str
    key: bytes
    value: bytes
    partition: int
    offset: int = 0
    timestamp: int = 0
    headers: tuple[tuple[str, bytes], ...] = ()

    @property
    def record(self) -> Any:
        """Itself, as a `Record`: that protocol's attributes can be set, a tuple's cannot."""
        return self

    @property
    def fields(self) -> dict[str, Any]:
        fields: dict[str, Any] = json.loads(self.value)
        return fields


def golden(topic: Topic, name: str) -> Golden:
    return _read(topic, EXAMPLES / topic.name / f"{name}.json")


def of_topic(topic: Topic) -> list[Golden]:
    return [_read(topic, path) for path in sorted((EXAMPLES / topic.name).glob("*.json"))]


def every() -> Iterator[tuple[Topic, Golden]]:
    return ((topic, message) for topic in ALL for message in of_topic(topic))


def _read(topic: Topic, path: Path) -> Golden:
    fields = json.loads(path.read_text("utf-8"))
    # The wire's form: no spaces, letters as they are.
    value = json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode()
    key = fields["application_id"].encode()
    return Golden(topic.name, path.stem, key, value, partition_of(key, DEFAULT_PARTITIONS))
