"""What the matrix says that each application of a day comes to in a setting, to be held against the services. Pure."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final, NamedTuple

from contracts.events import Outcome
from paperless.population.arrivals import SimulatedDay, arrivals
from paperless.population.population import Population
from paperless.whatif.drawing import matrix_of
from paperless.whatif.evaluator import Evaluator
from paperless.whatif.levers import Levers, Setting
from paperless.whatif.terms import World
from paperless.whatif.worlds import world_of
from services.vneid_mock.faults import FaultPlan

# What is told of the applications that differ.
MOST_DIFFERENCES: Final = 10


class Decided(NamedTuple):
    """What an application came to; the reasons are sorted."""

    outcome: Outcome
    reasons: tuple[str, ...]


class Submitted(NamedTuple):
    """Second of the day at which it is filed, key and value of its record."""

    second: int
    record: tuple[bytes, bytes]


@dataclass(frozen=True)
class Prediction:
    """A day in a setting: what is filed, in order, and by application id what it comes to."""

    usual: SimulatedDay
    world: World
    submissions: tuple[Submitted, ...]
    decided: Mapping[str, Decided]


def predict(day: SimulatedDay, setting: Setting, levers: Levers, plan: FaultPlan) -> Prediction:
    """Return what a day's applications come to where the levers stand so; of what is gone nothing is filed.

    Raises:
        LeverError: no such lever, or no such value of it.

    """
    world = world_of(day, setting, levers)
    evaluator = Evaluator(matrix_of([day], plan, int(day.domain.number("lookup.attempts"))))
    judgements = evaluator.evaluate(world).judgements()
    judged = dict(zip(evaluator.matrix.keys.tolist(), judgements, strict=True))
    population, submissions, decided = Population(world.day), [], {}
    for arrival in arrivals(world.day):
        if world.day.procedures[arrival.procedure].code not in world.gone:
            outcome, reasons = judged[arrival.commune << 20 | arrival.number]
            record = population.submission(arrival)
            submissions.append(Submitted(arrival.second, record))
            decided[record[0].decode()] = Decided(outcome, tuple(sorted(reasons)))
    return Prediction(day, world, tuple(submissions), decided)


@dataclass(frozen=True, slots=True)
class Count:
    """Applications with one outcome: as predicted, and as the services decided."""

    predicted: int
    services: int


@dataclass(frozen=True, slots=True)
class Difference:
    """An application that did not come to what was predicted; `services` is None where they decided nothing."""

    application_id: str
    predicted: Decided
    services: Decided | None


@dataclass(frozen=True, slots=True)
class Played:
    """A setting played through the services, against its prediction; of the `differing` the first are listed."""

    applications: int
    equal: bool
    differing: int
    outcomes: dict[str, Count]
    differences: tuple[Difference, ...]

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        plain = asdict(self)
        plain["differences"] = [
            {
                "application_id": each.application_id,
                "predicted": each.predicted._asdict(),
                "services": each.services._asdict() if each.services else None,
            }
            for each in self.differences
        ]
        return plain


def compared(predicted: Mapping[str, Decided], services: Mapping[str, Decided]) -> Played:
    """Hold a prediction against what the services decided, by application id; what else they decided is left out."""
    differing = [
        Difference(name, each, services.get(name)) for name, each in predicted.items() if services.get(name) != each
    ]
    expected = Counter(each.outcome for each in predicted.values())
    found = Counter(services[name].outcome for name in predicted if name in services)
    return Played(
        applications=len(predicted),
        equal=not differing,
        differing=len(differing),
        outcomes={outcome: Count(expected[outcome], found[outcome]) for outcome in sorted(expected | found)},
        differences=tuple(differing[:MOST_DIFFERENCES]),
    )
