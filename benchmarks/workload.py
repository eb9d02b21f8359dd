"""What benchmarks work on, made before anything is timed: a national working day, and VNeID's replies to it."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import NamedTuple

from contracts.events import DocumentsRequested
from contracts.records import header_maker, partition_of
from contracts.topics import APPLICATIONS_SUBMITTED, DEFAULT_PARTITIONS, DOCUMENTS_PROVIDED, DOCUMENTS_REQUESTED
from domain import load_domain
from paperless.population.arrivals import SimulatedDay, arrivals
from paperless.population.population import Population
from paperless.population.scenario import load_scenario, simulated_days
from runtime.messages import Effects, HandlerResult, Message
from services.intake.core import RuleBook
from services.intake.handlers import IntakeHandlers
from services.vneid_mock.core import Vneid, respond
from services.vneid_mock.plan_files import load_plan
from services.vneid_mock.registry import Registry

PLAN, SEED, ATTEMPTS = "mild", 1, 3
PARTITIONS = DEFAULT_PARTITIONS
KEY = b"a signing key of the benchmarks"
# Longer than any benchmark: no application is asked for again.
PATIENCE_S = 3_600.0

_submitted = header_maker("/simulation/driver", APPLICATIONS_SUBMITTED.event_type)
_provided = header_maker("/services/vneid_mock", DOCUMENTS_PROVIDED.event_type)


ByPartition = Mapping[int, Sequence[Message]]


class LoggedRecord(NamedTuple):
    """A record that was never on a broker (`runtime.messages.Record`)."""

    topic: str
    partition: int
    key: bytes
    value: bytes
    headers: tuple[tuple[str, bytes], ...] = ()
    offset: int = 0
    timestamp: int = 0


def handlers() -> IntakeHandlers:
    """Return intake's handler as these benchmarks wire it."""
    return IntakeHandlers(RuleBook.of(load_domain(), ATTEMPTS), key=KEY, partitions=PARTITIONS, patience_s=PATIENCE_S)


def vneid_of(plan: str) -> Vneid:
    """Return the VNeID that the mock is with this fault plan."""
    return Vneid(Registry.of(load_domain()), load_plan(plan), SEED)


def day_of(applications: int, seed: int = SEED) -> SimulatedDay:
    """Return the national working day with so many applications."""
    domain = load_domain()
    return simulated_days(load_scenario("national-day", domain), domain, seed=seed, applications=applications)[0]


@cache
def submissions(applications: int) -> tuple[Message, ...]:
    """Return the submissions of a national working day with so many applications, in the order of filing."""
    day = day_of(applications)
    return tuple(map(submitted, map(Population(day).submission, arrivals(day))))


def submitted(submission: tuple[bytes, bytes]) -> Message:
    """Return the message that the driver sends."""
    key, value = submission
    return APPLICATIONS_SUBMITTED.name, key, value, _submitted(f"{key.decode()}/submitted")


@cache
def replies(applications: int) -> tuple[Message, ...]:
    """Return VNeID's replies to the first requests of these submissions, one each, also where the plan keeps silent."""
    handler, vneid = handlers(), vneid_of(PLAN)
    replied = []
    for record in records(submissions(applications)):
        for topic, key, value, _ in published(handler.on_record(record, {})):
            if topic == DOCUMENTS_REQUESTED.name:
                asked = DocumentsRequested.model_validate_json(value or b"")
                headers = _provided(f"{asked.application_id}/provided/1")
                replied.append((DOCUMENTS_PROVIDED.name, key, respond(asked, vneid)[0], headers))
    return tuple(replied)


def published(handled: HandlerResult) -> tuple[Message, ...]:
    """Return the messages that handling one record causes."""
    return handled.publish if type(handled) is Effects else (handled,)


def records(messages: Iterable[Message]) -> list[LoggedRecord]:
    """Return messages as they are read."""
    return [
        LoggedRecord(topic, partition_of(key or b"", PARTITIONS), key or b"", value or b"")
        for topic, key, value, _ in messages
    ]


def by_partition(messages: Iterable[Message]) -> ByPartition:
    """Return messages as they are written."""
    log: defaultdict[int, list[Message]] = defaultdict(list)
    for message in messages:
        log[partition_of(message[1] or b"", PARTITIONS)].append(message)
    return dict(log)
