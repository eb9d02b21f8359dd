"""The topic registry: the one place that names topics, who produces and who consumes them.

Topic creation, the AsyncAPI document, the documentation's graph and the guard tests read it.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from contracts.events import (
    VERSION,
    ApplicationDecided,
    ApplicationSubmitted,
    CorrectionRequested,
    DocumentsProvided,
    DocumentsRequested,
    Event,
)

# Divides evenly among 1, 2, 3 or 6 members. Fixed for a log's life: an application's partition depends on it.
DEFAULT_PARTITIONS = 6
MAX_RECORD_BYTES = 64 * 1024
RETENTION_DAYS = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Topic:
    """One topic: its payload, its key and both its ends.

    `moved_by` is the consumer that publishes a good record again, under its own key and to its own partition, where a
    client has put it elsewhere; everybody else refuses such a record.
    """

    name: str
    payload: type[Event]
    purpose: str
    produced_by: tuple[str, ...]
    consumed_by: tuple[str, ...]
    personal_data: bool
    key: str = "application_id"
    moved_by: str | None = None
    retention_days: int = RETENTION_DAYS

    @property
    def event_type(self) -> str:
        """The CloudEvents type of its records."""
        return f"{self.name}.v{VERSION}"

    def dead_letter(self, consumer: str) -> str:
        """Return the name of the dead-letter topic of one of its consumers."""
        return f"{self.name}.{consumer}.dlq"


APPLICATIONS_SUBMITTED = Topic(
    name="applications.submitted",
    payload=ApplicationSubmitted,
    purpose="Applications as citizens file them, online, at a counter or by post.",
    produced_by=("driver", "portal"),
    consumed_by=("intake",),
    personal_data=True,
    moved_by="intake",
)
DOCUMENTS_REQUESTED = Topic(
    name="documents.requested",
    payload=DocumentsRequested,
    purpose="Requests for data instead of paper.",
    produced_by=("intake",),
    consumed_by=("vneid_mock",),
    personal_data=True,
)
DOCUMENTS_PROVIDED = Topic(
    name="documents.provided",
    payload=DocumentsProvided,
    purpose="What the databases behind VNeID answered.",
    produced_by=("vneid_mock",),
    consumed_by=("intake",),
    personal_data=False,
)
APPLICATIONS_DECIDED = Topic(
    name="applications.decided",
    payload=ApplicationDecided,
    purpose="Outcomes of applications, revision by revision.",
    produced_by=("intake",),
    consumed_by=("scoring",),
    personal_data=False,
)
CORRECTIONS_REQUESTED = Topic(
    name="corrections.requested",
    payload=CorrectionRequested,
    purpose="Requests to put a record right that was missing or did not match.",
    produced_by=("intake",),
    consumed_by=("vneid_mock",),
    personal_data=False,
)
ALL = (APPLICATIONS_SUBMITTED, DOCUMENTS_REQUESTED, DOCUMENTS_PROVIDED, APPLICATIONS_DECIDED, CORRECTIONS_REQUESTED)

# One record with the log's id, written once at creation: a store asks it whether it belongs to this log.
LOG_IDENTITY = "log.identity"


def dead_letter_topics() -> Iterator[tuple[str, Topic]]:
    """Yield the name of each dead-letter topic with its source topic."""
    for topic in ALL:
        for consumer in topic.consumed_by:
            yield topic.dead_letter(consumer), topic


def by_name(name: str) -> Topic:
    """Return the topic of this name.

    Raises:
        KeyError: the registry has no such topic.

    """
    return next((topic for topic in ALL if topic.name == name), None) or _unknown(name)


def _unknown(name: str) -> Topic:
    msg = f"no topic {name!r} in the registry (known: {', '.join(topic.name for topic in ALL)})"
    raise KeyError(msg)
