"""A dead letter in a list: what is asked of it, and which are meant."""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

from contracts.events import APPLICATION_ID_PATTERN
from contracts.records import application_of
from contracts.topics import dead_letter_topics
from paperless.dead_letters.errors import DeadLetterError
from paperless.verification.log_reader import state_of
from paperless.verification.positions import OPEN, State
from runtime.dead_letters import DeadLetter
from runtime.settlements import Settled, attempts_of

_APPLICATION_ID = re.compile(APPLICATION_ID_PATTERN)
_POSITION = re.compile(r"([A-Za-z0-9._-]+)/([0-9]{1,9})/([0-9]{1,18})")
SOURCES = {source.name for _, source in dead_letter_topics()}


class Summary(NamedTuple):
    """What a list has of a dead letter; without its value, of which there may be many.

    `applications` are the ids that its value and its key name; `attempt` is how often its record was written back
    before it was refused here; `written_to` the position of what was written back since.
    """

    position: str
    topic: str
    reason: str
    detail: str
    applications: tuple[str, ...]
    refused_at_ms: int
    attempt: int
    state: State = "open"
    written_to: str | None = None

    @property
    def is_open(self) -> bool:
        """Whether something is left to do about it."""
        return self.state in OPEN

    def to_json(self) -> dict[str, Any]:
        return {**self._asdict(), "applications": list(self.applications)}


def summary(letter: DeadLetter) -> Summary:
    """Return a letter without its value."""
    named = (application_of(None, letter.value), application_of(letter.key, None))
    return Summary(
        letter.position,
        letter.topic,
        letter.reason,
        letter.detail,
        tuple(dict.fromkeys(name for name in named if name)),
        letter.refused_at_ms,
        attempts_of(letter),
    )


def settled_summary(settled: Settled[Summary]) -> Summary:
    """Return it with what became of it."""
    settlement = settled.settlement
    return settled.letter._replace(state=state_of(settlement), written_to=settlement.written_to if settlement else None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which letters are meant: all that fit everything that is given.

    Attributes:
        topic: of the refused record.
        reason: why it was refused.
        application: named by its value or its key.
        since_ms: refused at or after this moment, epoch milliseconds.

    """

    topic: str | None = None
    reason: str | None = None
    application: str | None = None
    since_ms: int | None = None

    def __contains__(self, letter: Summary) -> bool:
        return (
            self.topic in {None, letter.topic}
            and self.reason in {None, letter.reason}
            and (self.application is None or self.application in letter.applications)
            and (self.since_ms is None or letter.refused_at_ms >= self.since_ms)
        )


def counts(letters: Iterable[Summary]) -> dict[tuple[str, str], Counter[State]]:
    """Return how many there are by topic and reason, and of these by what became of them; the most frequent first."""
    table: dict[tuple[str, str], Counter[State]] = {}
    for letter in letters:
        table.setdefault((letter.topic, letter.reason), Counter())[letter.state] += 1
    return dict(sorted(table.items(), key=lambda item: (-item[1].total(), item[0])))


def checked_position(text: str) -> str:
    """Return a position `topic/partition/offset` as every letter writes its own.

    Raises:
        DeadLetterError: it is none, or of a topic without dead letters.

    """
    match = _POSITION.fullmatch(text)
    if match is None:
        raise DeadLetterError(f"{text!r}: no position; write TOPIC/PARTITION/OFFSET as `paperless dlq list` does")
    topic, partition, offset = match.groups()
    if topic not in SOURCES:
        raise DeadLetterError(f"{text}: nobody refuses records of {topic}; write one of {', '.join(sorted(SOURCES))}")
    return f"{topic}/{int(partition)}/{int(offset)}"


def is_application_id(text: str) -> bool:
    """Tell an application id from a position."""
    return _APPLICATION_ID.fullmatch(text) is not None
