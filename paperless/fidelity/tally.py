"""What a simulated day comes to: its applications, decided by the oracle and counted; no broker, no clock.

A tally is kept per province, authority and level, so that every published figure is a sum over some of them.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, NamedTuple

import orjson

from domain import Authority, Domain, Level
from paperless.population.arrivals import SimulatedDay, arrivals
from paperless.population.population import Population
from paperless.verification.oracle import Oracle
from services.intake.core import Decision, RuleBook
from services.vneid_mock.core import Vneid
from services.vneid_mock.faults import FaultPlan
from services.vneid_mock.registry import Registry

# Applications between two reports of progress.
_STRIDE = 2_000


class TallyKey(NamedTuple):
    """What a tally is of: the province of filing, who runs the procedures, and at which level they are handled."""

    province: str
    authority: Authority
    level: Level
    procedure: str


class Tally(NamedTuple):
    """Applications, and how many of them have a property.

    Of the fee: those filed online with a fee due, and those that paid it online. Of the result: those whose procedure
    has an electronic one, and those that got it.
    """

    applications: int = 0
    end_to_end: int = 0
    online: int = 0
    by_post: int = 0
    on_time: int = 0
    fee_due: int = 0
    fee_paid: int = 0
    electronic_due: int = 0
    electronic: int = 0

    def plus(self, other: "Tally") -> "Tally":
        return Tally(*[a + b for a, b in zip(self, other, strict=True)])


class _Record(NamedTuple):
    partition: int
    key: bytes
    value: bytes


Tallies = Mapping[TallyKey, Tally]


def oracle_for(domain: Domain, plan: FaultPlan, seed: int) -> Oracle:
    """Return the oracle of a simulated day: one partition, and as many attempts as parameter lookup.attempts says."""
    book = RuleBook.of(domain, int(domain.number("lookup.attempts")))
    return Oracle(book, Vneid(Registry.of(domain), plan, seed), partitions=1)


def tallies_of(day: SimulatedDay, oracle: Oracle, progress: Callable[[int], None] = lambda _: None) -> Tallies:
    """Decide every application of a day and count; `progress` is told the number of those decided since it was told."""
    counts: dict[TallyKey, Tally] = {}
    procedures = {procedure.code: procedure for procedure in day.procedures}
    records = iter(_records(day))
    while block := list(islice(records, _STRIDE)):
        for record in block:
            submitted = orjson.loads(record.value)
            procedure = procedures[submitted["procedure"]]
            key = TallyKey(submitted["province"], procedure.authority, procedure.level, procedure.code)
            decision = oracle.decide(record, key_partition=0)
            one = _one(submitted, decision, electronic_due=procedure.electronic_result)
            counts[key] = counts.get(key, Tally()).plus(one)
        progress(len(block))
    return counts


def _records(day: SimulatedDay) -> Iterator[_Record]:
    population = Population(day)
    return (_Record(0, *population.submission(arrival)) for arrival in arrivals(day))


def _one(submitted: Mapping[str, Any], decision: Decision, *, electronic_due: bool) -> Tally:
    online = submitted["channel"] == "online"
    fee_due = online and submitted["fee_paid_online"] is not None
    return Tally(
        1,
        decision.outcome == "end_to_end",
        online,
        submitted["channel"] == "post",
        decision.decided_at <= decision.index_due_at,
        fee_due,
        fee_due and submitted["fee_paid_online"],
        electronic_due,
        electronic_due and submitted["electronic_result"],
    )


def summed(tallies: Iterable[Tally]) -> Tally:
    """Return the sum of tallies."""
    total = Tally()
    for tally in tallies:
        total = total.plus(tally)
    return total
