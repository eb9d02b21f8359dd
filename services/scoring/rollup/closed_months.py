"""What a store still counts after months were closed and their outcomes deleted. Pure.

Closing the months before W deletes the outcomes decided in them and keeps their cells: the published history stays.
What is gone cannot be recognised, so an outcome that arrives later is refused (`closed_month`) where taking it might
count an application twice or change a closed month:

- it was decided before W: its month is closed, whoever it is about;
- its application is not in the store and was submitted before W: its outcome may be among the deleted ones. A duplicate
  or a late revision of one looks exactly like an application that took very long, and refusing is the error that
  cannot count anybody twice.

Everything else counts as ever. An application of an open month stays known whenever it was submitted, and one submitted
from W on cannot have been decided, and deleted, before W. So keep more months than an application may take: then only
repeats and stragglers are refused, each with its name in the counter, never in silence.
"""

from collections import Counter
from collections.abc import Collection, Sequence
from datetime import datetime

from domain import VN
from services.scoring.rollup.outcome import ApplicationOutcome

Outcomes = Sequence[tuple[int, ApplicationOutcome]]


def open_only(batch: Outcomes, known: Collection[str], closed_before: str) -> tuple[Outcomes, Counter[int]]:
    """Return the outcomes that may be counted, and by partition how many are refused.

    Args:
        batch: (partition, outcome) in the order of the log.
        known: the applications that the store holds in open months.
        closed_before: the first open month, YYYY-MM.

    """
    refused: Counter[int] = Counter()
    opens_at = _start_of(closed_before)
    accepted: list[tuple[int, ApplicationOutcome]] = []
    # Also those of this batch: what is accepted must not depend on where a batch ends.
    met = set(known)
    for partition, outcome in batch:
        name = outcome.application_id
        if outcome.cell.month < closed_before or (name not in met and outcome.submitted_at < opens_at):
            refused[partition] += 1
        else:
            met.add(name)
            accepted.append((partition, outcome))
    return accepted, refused


def _start_of(month: str) -> int:
    """Return the epoch seconds at which a month begins in Vietnam."""
    return int(datetime.strptime(month, "%Y-%m").replace(tzinfo=VN).timestamp())
