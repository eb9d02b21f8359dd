"""What citizens file in tests of the whole flow, and the fault plans that they meet."""

import json
from functools import cache
from typing import Any, NamedTuple

from domain import load_domain
from paperless.population.arrivals import arrivals
from paperless.population.population import Population
from paperless.population.scenario import load_scenario, simulated_days
from services.intake.core import RuleBook
from services.vneid_mock.faults import FaultPlan
from services.vneid_mock.registry import PERSONAS, Registry

ATTEMPTS = 3

# Every fault at once, and often: most applications need more than one attempt.
HARSH = FaultPlan(
    name="harsh",
    late_answer_share=0.3,
    very_late_answer_share=0.2,
    never_answer_share=0.15,
    silent_share=0.2,
    duplicate_share=0.3,
    slow_share=0.3,
    slow_delay_s=1.0,
    slow_delay_max_s=6.0,
    very_slow_share=0.2,
    very_slow_delay_s=9.0,
)
# Most attempts stay without a reply, so what little comes must not be forgotten.
SILENT = HARSH.model_copy(
    update={
        "name": "silent",
        "silent_share": 0.5,
        "slow_share": 0.3,
        "very_slow_share": 0.0,
        "never_answer_share": 0.05,
    }
)

# Those of which a history draws one, and those that show one rule each.
PLANS = {
    "harsh": HARSH,
    "silent": SILENT,
    "never": FaultPlan(name="never", never_answer_share=1.0),
    "mute": FaultPlan(name="mute", silent_share=1.0),
    "late": FaultPlan(name="late", late_answer_share=1.0),
    "calm": FaultPlan(name="calm"),
}


@cache
def book() -> RuleBook:
    return RuleBook.of(load_domain(), ATTEMPTS)


@cache
def registry() -> Registry:
    return Registry.of(load_domain())


@cache
def filed(seed: int) -> tuple[dict[str, Any], ...]:
    """Submissions of a small national day; those with something to look up come first."""
    scenario = load_scenario("national-day", load_domain())
    [day] = simulated_days(scenario, load_domain(), seed=seed, applications=300)
    population = Population(day)
    events = [json.loads(value) for _, value in map(population.submission, arrivals(day))]
    return tuple(sorted(events, key=lambda event: (-len(event["components"]), event["application_id"]))[:60])


class Submitted(NamedTuple):
    """A record of `applications.submitted` before it has a place."""

    key: bytes
    value: bytes


def submitted(event: dict[str, Any]) -> Submitted:
    return Submitted(event["application_id"].encode(), json.dumps(event).encode())


def variants(event: dict[str, Any], kind: int) -> list[Submitted]:
    """The records that one citizen may cause: one, a persona's, two under one id, or a broken one."""
    personas = tuple(PERSONAS)
    if kind < len(personas):
        return [submitted(event | {"citizen_number": personas[kind]})]
    match kind - len(personas):
        case 0:
            return [submitted(event), submitted(event | {"handling_minutes": event["handling_minutes"] // 2 + 1})]
        case 1:
            return [submitted(event), submitted(event | {"citizen_number": personas[8], "consent": True})]
        case 2:
            return [submitted(event | {"procedure": "9.999999"})]
        case 3:
            return [submitted(event)._replace(value=b'{"application_id": ')]
        case _:
            return [submitted(event)]


VARIANTS = len(PERSONAS) + 12
