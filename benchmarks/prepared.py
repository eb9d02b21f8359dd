"""Real inputs, made before anything is timed: submissions of a national working day, and VNeID's replies to them."""

from collections import defaultdict
from collections.abc import Iterable
from functools import cache
from typing import NamedTuple

from benchmarks.log import PARTITIONS, ByPartition
from contracts.events import DocumentsRequested
from contracts.records import header_maker, partition_of
from contracts.topics import APPLICATIONS_SUBMITTED, DOCUMENTS_PROVIDED, DOCUMENTS_REQUESTED
from domain import load_domain
from paperless.population.arrivals import arrivals
from paperless.population.population import Population
from paperless.population.scenario import load_scenario, simulated_days
from runtime.messages import Effects, HandlerResult, Message
from services.intake.core import RuleBook
from services.intake.handlers import IntakeHandlers
from services.vneid_mock.core import Vneid, respond
from services.vneid_mock.plan_files import load_plan
from services.vneid_mock.registry import Registry

PLAN, SEED, ATTEMPTS = "mild", 1, 3
KEY = b"a signing key of the benchmarks"
# Longer than any benchmark: no application is asked for again.
PATIENCE_S = 3_600.0

_submitted = header_maker("/simulation/driver", APPLICATIONS_SUBMITTED.event_type)
_provided = header_maker("/services/vneid_mock", DOCUMENTS_PROVIDED.event_type)


class Prepared(NamedTuple):
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


@cache
def submissions(applications: int) -> tuple[Message, ...]:
    """Return the submissions of a national working day with so many applications, in the order of filing."""
    domain = load_domain()
    day = simulated_days(load_scenario("national-day", domain), domain, seed=SEED, applications=applications)[0]
    population = Population(day)
    made = [population.submission(arrival) for arrival in arrivals(day)]
    topic = APPLICATIONS_SUBMITTED.name
    return tuple((topic, one.key, one.value, _submitted(f"{one.application_id}/submitted")) for one in made)


@cache
def replies(applications: int) -> tuple[Message, ...]:
    """Return VNeID's replies to the first requests of these submissions, one each, also where the plan keeps silent."""
    handler, vneid = handlers(), Vneid(Registry.of(load_domain()), load_plan(PLAN), SEED)
    found = []
    for record in records(submissions(applications)):
        for topic, key, value, _ in published(handler.on_record(record, {})):
            if topic == DOCUMENTS_REQUESTED.name:
                asked = DocumentsRequested.model_validate_json(value or b"")
                headers = _provided(f"{asked.application_id}/provided/1")
                found.append((DOCUMENTS_PROVIDED.name, key, respond(asked, vneid)[0], headers))
    return tuple(found)


def published(handled: HandlerResult) -> tuple[Message, ...]:
    """Return the messages that handling one record causes."""
    return handled.publish if type(handled) is Effects else (handled,)


def records(messages: Iterable[Message]) -> list[Prepared]:
    """Return messages as they are read."""
    return [
        Prepared(topic, partition_of(key or b"", PARTITIONS), key or b"", value or b"")
        for topic, key, value, _ in messages
    ]


def by_partition(messages: Iterable[Message]) -> ByPartition:
    """Return messages as they are written."""
    found: defaultdict[int, list[Message]] = defaultdict(list)
    for one in messages:
        found[partition_of(one[1] or b"", PARTITIONS)].append(one)
    return dict(found)
