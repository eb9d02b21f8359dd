"""Dead letters: the record as it came, with the reason and its source position; and the limit that stops the line."""

from collections import deque
from collections.abc import Sequence
from hashlib import blake2b

from contracts.cloudevents import Headers
from runtime.messages import Message, Record

# Kafka's default message.max.bytes is 1,048,588; headers and the key need room beside the value.
MAX_DEAD_LETTER_BYTES = 1_000_000


class TooManyDeadLettersError(RuntimeError):
    """So many records are refused that the consumer, not the records, is likely wrong: nothing of the batch counts."""


def dead_letter(record: Record, *, topic: str, reason: str, detail: str) -> Message:
    """Return the dead letter of a record; the source position identifies it, whatever is done with it.

    A value too large for the topic is replaced by its digest; the position says where it still is.
    """
    value = record.value
    headers: Headers = [
        ("dlq_reason", reason.encode()),
        ("dlq_detail", detail[:500].encode()),
        ("dlq_topic", record.topic.encode()),
        ("dlq_partition", str(record.partition).encode()),
        ("dlq_offset", str(record.offset).encode()),
        ("dlq_timestamp", str(record.timestamp).encode()),
    ]
    if value is not None and len(value) > MAX_DEAD_LETTER_BYTES:
        headers.append(("dlq_value_bytes", str(len(value)).encode()))
        headers.append(("dlq_value_blake2b", blake2b(value, digest_size=16).hexdigest().encode()))
        value = None
    headers.extend(header for header in _source_headers(record.headers))
    return Message(topic, record.key, value, headers)


def _source_headers(headers: Sequence[tuple[str, bytes]]) -> Headers:
    return [(name, value) for name, value in headers if not name.startswith("dlq_")]


class DeadLetterLimit:
    """Trips when a run of refused records, or their share among the last ones, is beyond belief.

    Args:
        max_run: refused records in a row.
        max_share: refused share of the last `sample` records, judged once as many were seen.

    """

    def __init__(self, *, max_run: int = 500, max_share: float = 0.5, sample: int = 1_000) -> None:
        self._max_run, self._max_share, self._sample = max_run, max_share, sample
        self._run = 0
        self._seen: deque[bool] = deque(maxlen=sample)
        self._refused = 0

    def note(self, *, refused: bool) -> None:
        """Count one record.

        Raises:
            TooManyDeadLettersError: the limit is reached.

        """
        if len(self._seen) == self._sample:
            self._refused -= self._seen[0]
        self._seen.append(refused)
        self._refused += refused
        self._run = self._run + 1 if refused else 0
        share = self._refused / self._sample if len(self._seen) == self._sample else 0.0
        if self._run >= self._max_run or share > self._max_share:
            msg = (
                f"{self._run} records refused in a row, {self._refused} of the last {len(self._seen)}: "
                "this looks like a bad deploy or a wrong topic; fix it and start again, nothing was passed over"
            )
            raise TooManyDeadLettersError(msg)
