"""What became of positions of a log that are not simply decided: refused, settled, or to be found elsewhere."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Literal, NamedTuple

from contracts.records import partition_of, short_digest

# `begun`: it was said what is to be written back, and not yet where that was done.
State = Literal["open", "begun", "repaired", "replayed", "dropped"]


# Something is left to do.
OPEN: frozenset[State] = frozenset({"open", "begun"})


class LoggedRecord(NamedTuple):
    """A record as the log has it; of one that no client can unpack only the position is known."""

    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    unreadable: bool = False


class Submission(NamedTuple):
    """One filing, wherever and however often the log has it: the application's id, and a digest of the value."""

    application_id: str
    digest: str


class RefusedRecord(NamedTuple):
    """A record that became a dead letter: where it stood, why, of which application it is, and what became of it.

    `written_back` is what a repair wrote instead of it; a replay wrote the record itself.
    """

    topic: str
    partition: int
    offset: int
    reason: str
    application: str | None = None
    state: State = "open"
    written_back: Submission | None = None

    @property
    def position(self) -> str:
        return f"{self.topic}/{self.partition}/{self.offset}"

    @property
    def is_open(self) -> bool:
        """Whether something is left to do about it."""
        return self.state in OPEN

    def __str__(self) -> str:
        application = f", application {self.application}" if self.application else ""
        unfinished = ", settlement not finished" if self.state == "begun" else ""
        return f"{self.position} {self.reason}{application}{unfinished}"


class Elsewhere(NamedTuple):
    """A filing that is not decided where it lies, but must lie on its own partition, too.

    What is `moved` may lie anywhere there; what was `replayed` lies after the record that was refused.
    """

    submission: Submission
    partition: int
    offset: int
    why: Literal["moved", "replayed"]


class AwaitedFilings:
    """Looks for filings of elsewhere on the partition where they belong, while that is being read.

    Args:
        target: the partition's number.
        filings: what must lie there.

    """

    def __init__(self, target: int, filings: Iterable[Elsewhere]) -> None:
        self._target, self.filings = target, tuple(filings)
        # The last offset at which a filing lies here.
        self._last: dict[Submission, int] = dict.fromkeys((each.submission for each in self.filings), -1)

    def read(self, records: Iterable[LoggedRecord]) -> None:
        """Look at the next records of the partition of `applications.submitted`, in order."""
        for record in records:
            name = (record.key or b"").decode(errors="replace")
            submission = Submission(name, short_digest(record.value or b""))
            if submission in self._last:
                self._last[submission] = record.offset

    def missing(self) -> list[Elsewhere]:
        """Return the filings that lie nowhere here."""
        return [each for each in self.filings if not self._arrived(each)]

    def _arrived(self, filing: Elsewhere) -> bool:
        last = self._last[filing.submission]
        behind_itself = filing.why == "replayed" and filing.partition == self._target
        return last > (filing.offset if behind_itself else -1)


def awaited_filings(filings: Iterable[Elsewhere], partitions: int) -> dict[int, AwaitedFilings]:
    """Return what to look for, by the partition where it belongs."""
    by_target: defaultdict[int, list[Elsewhere]] = defaultdict(list)
    for filing in filings:
        by_target[partition_of(filing.submission.application_id.encode(), partitions)].append(filing)
    return {target: AwaitedFilings(target, wanted) for target, wanted in by_target.items()}
