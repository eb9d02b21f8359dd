"""What became of dead letters: settlements, which lie beside the letters in their topic, and nowhere else.

A letter is settled in two steps. The first record says what is to be done, and holds what is to be written back; of
several that want to settle one letter, the first in the log holds. The second says where that was written. Whoever
stops in between is continued from the log: what is written back is fixed by the first step, so twice is a repeat.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Generic, Literal, NamedTuple, TypeVar, cast, get_args

from runtime.dead_letters import DeadLetter, NoDeadLetterError, read_dead_letter
from runtime.messages import Headers, Message, Record

# How a letter is settled: by its value mended, by its record as it was, or for good by a sentence.
Action = Literal["repair", "replay", "drop"]
Kept = TypeVar("Kept")

# On what is written back: the position of the record that was refused, and how often it, or what it was before, has
# been written back by now. Not `dlq_…`, which a dead letter leaves out of its record's headers.
REPLAY_OF, REPLAY_ATTEMPT = "replay_of", "replay_attempt"
_SETTLES, _STEP = "dlq_settles", "dlq_step"
_BEGUN, _DONE = b"begun", b"done"


class NoSettlementError(ValueError):
    """A record is no settlement; says which, and what it lacks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """What is to be done about a dead letter, and whether it is done.

    Attributes:
        position: of the refused record, `topic/partition/offset`.
        action: how it is settled.
        attempt: how often it was written back with this one, from 1; 0 for `drop`.
        why: a sentence of who dropped it; else empty.
        key: of what is written back by `repair`; else None.
        value: of what is written back by `repair`; else None.
        offset: of this settlement in the dead-letter topic; of several, the lowest holds. -1 before it is written.
        begun_at_ms: epoch milliseconds.
        written_to: the position of what was written back; None while nothing was.

    """

    position: str
    action: Action
    attempt: int = 0
    why: str = ""
    key: bytes | None = None
    value: bytes | None = None
    offset: int = -1
    begun_at_ms: int = 0
    written_to: str | None = None

    @property
    def finished(self) -> bool:
        """Whether nothing is left to do."""
        return self.action == "drop" or self.written_to is not None


def begun(settlement: Settlement, dead_letter_topic: str) -> Message:
    """Return the record that settles a letter, to be written to the letter's own partition."""
    headers = [
        *_headers(settlement.position, _BEGUN),
        ("dlq_action", settlement.action.encode()),
        ("dlq_attempt", str(settlement.attempt).encode()),
        ("dlq_why", settlement.why.encode()),
    ]
    # A record must have a key or a value.
    key = settlement.key if settlement.action == "repair" else settlement.position.encode()
    return (dead_letter_topic, key, settlement.value, headers)


def done(position: str, written_to: str, dead_letter_topic: str) -> Message:
    """Return the record that says where a letter's record was written back."""
    headers = [*_headers(position, _DONE), ("dlq_written_to", written_to.encode())]
    return (dead_letter_topic, position.encode(), None, headers)


def _headers(position: str, step: bytes) -> Headers:
    return [(_SETTLES, position.encode()), (_STEP, step)]


def written_back(letter: DeadLetter, settlement: Settlement) -> Message:
    """Return the record that goes back to the letter's source topic."""
    names = {REPLAY_OF, REPLAY_ATTEMPT}
    headers = [
        *((name, value) for name, value in letter.headers if name not in names),
        (REPLAY_OF, letter.position.encode()),
        (REPLAY_ATTEMPT, str(settlement.attempt).encode()),
    ]
    if settlement.action == "repair":
        return (letter.topic, settlement.key, settlement.value, headers)
    return (letter.topic, letter.key, letter.value, headers)


def attempts_of(letter: DeadLetter) -> int:
    """Return how often a letter's record had been written back when it was refused."""
    # Anybody may write headers, also without a value.
    count = dict(letter.headers).get(REPLAY_ATTEMPT) or b""
    return int(count) if count.isdigit() and len(count) < 5 else 0


def read_settlement(record: Record) -> Settlement:
    """Return what `begun` or `done` wrote; of the latter only `position` and `written_to` mean anything.

    Raises:
        NoSettlementError: a header that every settlement has is missing, or is none of ours.

    """
    place = f"{record.topic}/{record.partition}/{record.offset}"
    headers = dict(record.headers)
    try:
        position = headers[_SETTLES].decode()
        if headers[_STEP] == _DONE:
            written_to = headers["dlq_written_to"].decode()
            return Settlement(position=position, action="replay", offset=record.offset, written_to=written_to)
        action = _action(headers["dlq_action"].decode())
        return Settlement(
            position=position,
            action=action,
            attempt=int(headers["dlq_attempt"]),
            why=headers["dlq_why"].decode(),
            key=record.key if action == "repair" else None,
            value=record.value,
            offset=record.offset,
            begun_at_ms=record.timestamp,
        )
    except KeyError as error:
        raise NoSettlementError(f"{place}: no settlement, header {error} is missing") from error
    except (AttributeError, TypeError, ValueError) as error:
        raise NoSettlementError(f"{place}: no settlement, a header is none of ours ({error})") from error


def _action(name: str) -> Action:
    if name not in get_args(Action):
        raise ValueError(f"{name!r} is none of {', '.join(get_args(Action))}")
    return cast("Action", name)


class Settled(NamedTuple, Generic[Kept]):
    """A dead letter, or what is kept of it, and its settlement; None while it is open."""

    letter: Kept
    settlement: Settlement | None


class DeadLetterLog(Generic[Kept]):
    """What the records of dead-letter topics come to: each letter once, and its settlement.

    Args:
        keep: returns what is kept of a letter, None where nothing is; many letters may be large.

    Attributes:
        strangers: a sentence for each record that is neither letter nor settlement.

    """

    def __init__(self, keep: Callable[[DeadLetter], Kept | None]) -> None:
        self._keep = keep
        # By position; a letter can be written again after a crash.
        self._letters: dict[str, Kept] = {}
        self._settlements: dict[str, Settlement] = {}
        self._written: dict[str, str] = {}
        self.strangers: list[str] = []

    def add(self, records: Iterable[Record]) -> None:
        """Read the next records of a partition; a letter comes before its settlement, in one partition."""
        for record in records:
            try:
                if any(name == _SETTLES for name, _ in record.headers):
                    self._add_settlement(read_settlement(record))
                else:
                    self._add_letter(read_dead_letter(record))
            except (NoDeadLetterError, NoSettlementError) as error:
                self.strangers.append(str(error))

    def _add_letter(self, letter: DeadLetter) -> None:
        kept = self._keep(letter)
        if kept is not None:
            self._letters.setdefault(letter.position, kept)

    def _add_settlement(self, settlement: Settlement) -> None:
        position = settlement.position
        if settlement.written_to is not None:
            self._written[position] = settlement.written_to
        else:
            self._settlements.setdefault(position, settlement)

    def letters(self) -> list[Settled[Kept]]:
        """Return every letter that was kept, in the order of the log."""
        return [Settled(letter, self.settlement(position)) for position, letter in self._letters.items()]

    def settlement(self, position: str) -> Settlement | None:
        """Return the settlement that holds of the letter of a position; None while it is open."""
        settlement = self._settlements.get(position)
        return settlement and replace(settlement, written_to=self._written.get(position))
