"""What may be done about a dead letter, decided from what the log says of it; nothing is written here."""

from collections.abc import Sequence
from typing import NamedTuple

from contracts.errors import Reject
from contracts.records import partition_of
from contracts.topics import by_name
from paperless.dead_letters.checks import Candidate, check_as_it_was, placed
from paperless.dead_letters.documents import changed, document_of, readings, written
from paperless.dead_letters.errors import DeadLetterError
from runtime.dead_letters import DeadLetter
from runtime.settlements import Settlement, attempts_of

MAX_WHY = 300
_WRONG_TYPE = "Input should be a valid"


class Decision(NamedTuple):
    """How a letter is to be settled, and the partition of its topic to which its record goes back, if it does.

    A settlement that was begun before and not finished is taken up as it was begun (`offset` is not -1).
    """

    letter: DeadLetter
    settlement: Settlement
    partition: int


def repaired_values(letter: DeadLetter, assignments: Sequence[str]) -> list[bytes]:
    """Return what a letter's value may be with changes `path=value`; without any, the value, perhaps under a wrong key.

    Raises:
        DeadLetterError: its value is no JSON document, or is not in the letter, or a path leads nowhere.

    """
    if not assignments and letter.value is not None:
        return [letter.value]
    try:
        document = document_of(letter.value)
    except ValueError:
        raise DeadLetterError(
            f"{letter.position}: {_without_document(letter)}; write the whole document to a file and pass --file"
        ) from None
    return [written(changed(document, changes)) for changes in readings(assignments)]


def _without_document(letter: DeadLetter) -> str:
    if letter.value_left_out:
        return f"its value, {letter.value_left_out.size:,} bytes, was too large to be kept"
    return "its value is no JSON document" if letter.value else "it has no value"


def repair(letter: DeadLetter, settlement: Settlement | None, values: Sequence[bytes], partitions: int) -> Decision:
    """Decide to write another value back, the first that would be taken, under its application's key.

    Raises:
        DeadLetterError: it is settled already, or its consumer would refuse each of these values, too.

    """
    if settlement is not None:
        if settlement.finished or settlement.action != "repair" or settlement.value not in values:
            raise DeadLetterError(settled_already(settlement))
        return Decision(letter, settlement, partition_of(settlement.key or b"", partitions))
    candidate = _taken(letter, values, partitions)
    wanted = Settlement(
        position=letter.position,
        action="repair",
        attempt=attempts_of(letter) + 1,
        key=candidate.key,
        value=candidate.value,
    )
    return Decision(letter, wanted, candidate.partition)


def _taken(letter: DeadLetter, values: Sequence[bytes], partitions: int) -> Candidate:
    refusals = []
    for value in values:
        try:
            return placed(by_name(letter.topic), value, partitions)
        except Reject as reject:
            refusals.append(reject)
    # Where a value may be read in two ways, the one of the right type says more.
    why = next((each for each in refusals if _WRONG_TYPE not in each.detail), refusals[0])
    raise DeadLetterError(f"{letter.position}: would be refused again ({why}); nothing was written")


def replay(letter: DeadLetter, settlement: Settlement | None, partitions: int) -> Decision:
    """Decide to write a record back as it was, or to finish what was begun.

    Raises:
        DeadLetterError: it is settled already, its record is not in the letter, or breaks the contract as it is.

    """
    if settlement is not None and not settlement.finished:
        repaired = settlement.action == "repair"
        to = partition_of(settlement.key or b"", partitions) if repaired else letter.partition
        return Decision(letter, settlement, to)
    if settlement is not None:
        raise DeadLetterError(settled_already(settlement))
    if letter.value_left_out or letter.key_left_out or letter.reason == "unreadable":
        raise DeadLetterError(
            f"{letter.position}: {letter.reason}, the record as it was is not in its dead letter; repair it with --file"
        )
    try:
        candidate = Candidate(letter.partition, letter.key, letter.value)
        check_as_it_was(by_name(letter.topic), candidate, partitions)
    except Reject as reject:
        raise DeadLetterError(f"{letter.position}: would be refused again ({reject}); repair it") from reject
    wanted = Settlement(position=letter.position, action="replay", attempt=attempts_of(letter) + 1)
    return Decision(letter, wanted, letter.partition)


def drop(letter: DeadLetter, settlement: Settlement | None, why: str) -> Decision:
    """Decide to leave a record out for good.

    Raises:
        DeadLetterError: it is settled already, or nothing is said for it.

    """
    if settlement is not None:
        raise DeadLetterError(settled_already(settlement))
    if not 3 <= len(why.strip()) <= MAX_WHY:
        raise DeadLetterError(f"--why: say in 3 to {MAX_WHY} characters why {letter.position} may be left out")
    wanted = Settlement(position=letter.position, action="drop", why=why.strip())
    return Decision(letter, wanted, letter.partition)


def settled_already(settlement: Settlement) -> str:
    """Return why nothing more is done about a letter."""
    if settlement.action == "drop":
        return f"{settlement.position}: was dropped ({settlement.why}); the producer may send it again"
    if settlement.written_to is None:
        return f"{settlement.position}: its {settlement.action} was begun; `paperless dlq replay` finishes that"
    past = {"repair": "repaired", "replay": "replayed"}[settlement.action]
    return f"{settlement.position}: was {past} already, and written back to {settlement.written_to}"
