"""Whether a record would be taken, as its consumer checks it: by the contract, and by the facts."""

from functools import cache
from typing import Any, NamedTuple

from contracts.errors import Misplaced
from contracts.records import decode_event, partition_of
from contracts.submissions import SubmissionCheck
from contracts.topics import (
    APPLICATIONS_DECIDED,
    APPLICATIONS_SUBMITTED,
    CORRECTIONS_REQUESTED,
    DOCUMENTS_REQUESTED,
    Topic,
)
from domain import load_domain
from services.scoring.rollup.outcome import decode
from services.vneid_mock.registry import Registry


class Candidate(NamedTuple):
    """A record that might be written to a topic."""

    partition: int
    key: bytes | None
    value: bytes | None


def placed(topic: Topic, value: bytes, partitions: int) -> Candidate:
    """Return the record of a value under its application's key and on its partition; checked by contract and facts.

    Raises:
        Reject: its consumer would refuse it.

    """
    named = Candidate(0, None, value)
    try:
        event: Any = decode_event(named, topic.payload, partitions)
    except Misplaced as misplaced:
        event = misplaced.event
    key = event.application_id.encode()
    candidate = Candidate(partition_of(key, partitions), key, value)
    _check_facts(topic, event, candidate, partitions)
    return candidate


def check_as_it_was(topic: Topic, candidate: Candidate, partitions: int) -> None:
    """Check by the contract alone a record that is to be written as it was; facts may be others where it is consumed.

    Raises:
        Reject: its consumer would refuse it.

    """
    try:
        decode_event(candidate, topic.payload, partitions)
    except Misplaced:
        if topic.moved_by is None:
            raise


def _check_facts(topic: Topic, event: Any, candidate: Candidate, partitions: int) -> None:
    """Check what an event names; a reply's context, sealed with a key that only intake has, cannot be checked here."""
    if topic is APPLICATIONS_SUBMITTED:
        _submissions().check(event)
    elif topic is APPLICATIONS_DECIDED:
        decode(candidate, partitions, load_domain())
    elif topic is DOCUMENTS_REQUESTED:
        asked = tuple((document.component, document.databases) for document in event.documents)
        _registry().look_ups(event.procedure, asked)
    elif topic is CORRECTIONS_REQUESTED:
        _registry().check_database(event.database)


@cache
def _submissions() -> SubmissionCheck:
    return SubmissionCheck.of(load_domain())


@cache
def _registry() -> Registry:
    return Registry.of(load_domain())
