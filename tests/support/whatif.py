"""A world decided by the services' own cores, to hold the matrix against."""

from collections.abc import Iterator
from typing import NamedTuple

from paperless.fidelity.tally import oracle_for
from paperless.population.arrivals import arrivals
from paperless.population.population import Population
from paperless.whatif.terms import World
from services.intake.core import Decision
from services.vneid_mock.faults import FaultPlan


class Record(NamedTuple):
    partition: int
    key: bytes
    value: bytes


def decided(world: World, plan: FaultPlan) -> Iterator[tuple[int, Decision]]:
    """Yield what the oracle decides about each application, with its key in the matrix."""
    day = world.day
    population, oracle = Population(day), oracle_for(day.domain, plan, day.seed)
    for arrival in arrivals(day):
        record = Record(0, *population.submission(arrival))
        yield arrival.commune << 20 | arrival.number, oracle.decide(record, key_partition=0)
