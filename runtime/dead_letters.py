"""Dead letters: the record as it came, with the reason and its source position; and the limit that stops the line."""

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import blake2b
from typing import NamedTuple

import structlog

from contracts.errors import Reject
from runtime.errors import FatalError
from runtime.messages import Headers, Message, Record
from runtime.settings import ServiceSettings
from runtime.unreadable import UnreadableRecord

log = structlog.get_logger(__name__)

# Kafka's default message.max.bytes is 1,048,588; headers and the key need room beside the value.
MAX_DEAD_LETTER_BYTES = 1_000_000
# The prefix of the headers that a dead letter adds to its record's own.
_OWN = "dlq_"
# Of each topic and reason: a client that sends nothing but such records must not fill the logs.
REFUSALS_LOGGED_EVERY_S = 10.0


class NoDeadLetterError(ValueError):
    """A record is no dead letter; says which, and what it lacks."""


class TooManyDeadLettersError(FatalError):
    """So many records are refused that the consumer, not the records, is likely wrong: nothing of the batch counts."""


class Refusals:
    """Says why records are refused, and logs it: of each topic and reason the first at once, then seldom.

    Args:
        now: the monotonic time in seconds.
        name_of: returns by which id a person would look a record up, from its key and value, if that is not personal.

    """

    def __init__(
        self, now: Callable[[], float], name_of: Callable[[bytes | None, bytes | None], str | None] = lambda *_: None
    ) -> None:
        self._now, self._name_of = now, name_of
        # By topic and reason: when the next line is due, and how many records were refused since the last one.
        self._lines: dict[tuple[str, str], tuple[float, int]] = {}

    def refusal_of(self, record: Record, error: Exception) -> Reject:
        """Return why a record is refused: the handler's reason, `unreadable`, or `handler_error` for a bug of ours."""
        place = f"{record.topic}/{record.partition}/{record.offset}"
        if isinstance(record, UnreadableRecord):
            error = record.refusal
        if not isinstance(error, Reject):
            log.error("our own bug on one record", place=place, exc_info=error)
            return Reject("handler_error", repr(error))
        now, kind = self._now(), (record.topic, error.reason)
        due_at, unsaid = self._lines.get(kind, (now, 0))
        if now < due_at:
            self._lines[kind] = due_at, unsaid + 1
        else:
            self._lines[kind] = now + REFUSALS_LOGGED_EVERY_S, 0
            name = self._name_of(record.key, record.value)
            about = {"reason": error.reason, "detail": error.detail, "id": name}
            log.warning("record refused", place=place, **about, others_before=unsaid)
        return error


def dead_letter(record: Record, *, topic: str, reason: str, detail: str) -> Message:
    """Return the dead letter of a record; the source position identifies it, whatever is done with it.

    What is too large for the topic is left out, a value for its digest; the position says where it still is.
    """
    key, value = record.key, record.value
    headers: Headers = [
        ("dlq_reason", reason.encode()),
        ("dlq_detail", detail[:500].encode()),
        ("dlq_topic", record.topic.encode()),
        ("dlq_partition", str(record.partition).encode()),
        ("dlq_offset", str(record.offset).encode()),
        ("dlq_timestamp", str(record.timestamp).encode()),
    ]
    source = [(name, value) for name, value in record.headers if not name.startswith(_OWN)]
    around = len(key or b"") + _bytes(source)
    if value is not None and len(value) + around > MAX_DEAD_LETTER_BYTES:
        digest = blake2b(value, digest_size=16).hexdigest()
        headers += [("dlq_value_bytes", str(len(value)).encode()), ("dlq_value_blake2b", digest.encode())]
        value = None
    if around > MAX_DEAD_LETTER_BYTES:
        headers.append(("dlq_left_out", b"key and headers"))
        key, source = None, []
    return (topic, key, value, [*headers, *source])


class LeftOut(NamedTuple):
    """A value too large for its dead letter: how many bytes it has, and 32 hexadecimal digits of its blake2b."""

    size: int
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """A refused record as its dead letter keeps it.

    Attributes:
        topic: where the record was refused, with `partition` and `offset` its source position.
        reason: a slug; of `contracts.errors.Reject`.
        detail: names field and place, at most 500 characters.
        key: of the record; also None where it was left out (`key_left_out`).
        value: of the record; also None where it was left out (`value_left_out`).
        headers: of the record; empty where they were left out with the key.
        value_left_out: what is known of a value that was too large; it still lies at the source position.
        key_left_out: key and headers were too large; they still lie at the source position.
        sent_at_ms: the record's own timestamp, epoch milliseconds.
        refused_at_ms: the dead letter's, epoch milliseconds.

    """

    topic: str
    partition: int
    offset: int
    reason: str
    detail: str
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]
    value_left_out: LeftOut | None
    key_left_out: bool
    sent_at_ms: int
    refused_at_ms: int

    @property
    def position(self) -> str:
        """The source position as it is written everywhere: `topic/partition/offset`."""
        return f"{self.topic}/{self.partition}/{self.offset}"


def read_dead_letter(record: Record) -> DeadLetter:
    """Return what `dead_letter` wrote.

    Raises:
        NoDeadLetterError: a header that every dead letter has is missing, or is none of ours.

    """
    place = f"{record.topic}/{record.partition}/{record.offset}"
    headers = {name: value for name, value in record.headers if name.startswith(_OWN)}
    try:
        size, digest = headers.get("dlq_value_bytes"), headers.get("dlq_value_blake2b", b"")
        return DeadLetter(
            topic=headers["dlq_topic"].decode(),
            partition=int(headers["dlq_partition"]),
            offset=int(headers["dlq_offset"]),
            reason=headers["dlq_reason"].decode(),
            detail=headers["dlq_detail"].decode(),
            key=record.key,
            value=record.value,
            headers=tuple((name, value) for name, value in record.headers if not name.startswith(_OWN)),
            value_left_out=None if size is None else LeftOut(int(size), digest.decode()),
            key_left_out="dlq_left_out" in headers,
            sent_at_ms=int(headers["dlq_timestamp"]),
            refused_at_ms=record.timestamp,
        )
    except KeyError as error:
        raise NoDeadLetterError(f"{place}: no dead letter, header {error} is missing") from error
    except (ValueError, AttributeError, TypeError) as error:
        raise NoDeadLetterError(f"{place}: no dead letter, a header is none of ours ({error})") from error


def _bytes(headers: Headers) -> int:
    # Kafka's headers may have no value at all.
    return sum(len(name.encode()) + len(value or b"") for name, value in headers)


class DeadLetterLimit:
    """Trips when a run of refused records, or their share of a sample, is beyond belief.

    Args:
        max_run: refused records in a row.
        max_share: refused share of a sample.
        sample: records per sample; a new one starts when it is full.

    """

    def __init__(self, *, max_run: int = 500, max_share: float = 0.5, sample: int = 1_000) -> None:
        self._max_run, self._max_share, self._sample = max_run, max_share, sample
        self._run = self._seen = self._refused = 0

    def accept(self, records: int = 1) -> None:
        """Count good records."""
        if records:
            self._run = 0
            self._seen += records

    def refuse(self) -> None:
        """Count one refused record.

        Raises:
            TooManyDeadLettersError: the limit is reached.

        """
        if self._seen >= self._sample:
            self._seen = self._refused = 0
        self._run += 1
        self._seen += 1
        self._refused += 1
        if self._run >= self._max_run or self._refused > self._max_share * self._sample:
            raise TooManyDeadLettersError(
                f"{self._run} records refused in a row, {self._refused} of the last {self._seen}: "
                "this looks like a bad deploy or a wrong topic; fix it and start again, nothing was passed over"
            )


def limit_of(settings: ServiceSettings) -> DeadLetterLimit:
    """Return the limit that a process is told."""
    return DeadLetterLimit(max_run=settings.dead_letter_max_run, max_share=settings.dead_letter_max_share)
