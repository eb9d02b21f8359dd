"""Arbitrary valid submissions and sets of answers for the property tests of intake."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, get_args

from hypothesis import strategies as st

from contracts.events import (
    Answer,
    ApplicantAnswer,
    ApplicationSubmitted,
    Channel,
    DocumentAnswer,
    Ending,
    ResultDelivery,
)
from domain import VN, Procedure, load_domain
from services.intake.context import SubmissionFacts
from tests.support.intake_examples import submission

DOMAIN = load_domain()
digests = st.integers(0, 2**64 - 1).map(lambda number: f"{number:016x}")
application_ids = st.integers(0, 2**48 - 1).map(lambda number: f"0199bd6a-0000-7000-8000-{number:012x}")


def times_between(first: datetime, last: datetime) -> st.SearchStrategy[datetime]:
    microseconds = (last - first) // timedelta(microseconds=1)
    return st.integers(0, microseconds).map(lambda number: first + timedelta(microseconds=number))


# Far enough from the end of the calendar for the longest case below.
event_times = times_between(datetime(2025, 1, 1, tzinfo=VN), datetime(2026, 6, 30, tzinfo=VN))
minutes = st.integers(0, 5_000)
keys = st.binary(min_size=1, max_size=64)


def _components(procedure: Procedure) -> st.SearchStrategy[dict[str, ApplicantAnswer]]:
    slugs = st.lists(st.sampled_from(tuple(procedure.components)), unique=True)
    answers = st.sampled_from(get_args(ApplicantAnswer))
    return slugs.flatmap(lambda chosen: st.fixed_dictionaries(dict.fromkeys(chosen, answers)))


@st.composite
def submissions(draw: st.DrawFn) -> ApplicationSubmitted:
    procedure = draw(st.sampled_from(tuple(DOMAIN.procedures.values())))
    commune = draw(st.sampled_from(tuple(DOMAIN.communes.values())))
    fields: dict[str, Any] = {
        "application_id": draw(application_ids),
        "account_level": draw(st.integers(0, 2)),
        "province": commune.province,
        "commune": commune.code,
        "procedure": procedure.code,
        "channel": draw(st.sampled_from(get_args(Channel))),
        "assisted": draw(st.booleans()),
        "consent": draw(st.booleans()),
        "components": draw(_components(procedure)),
        "consent_refused": tuple(draw(st.lists(st.sampled_from(tuple(procedure.components)), max_size=2))),
        "fee_paid_online": draw(st.none() | st.booleans()),
        "electronic_result": draw(st.booleans()),
        "result_delivery": draw(st.sampled_from(get_args(ResultDelivery))),
        "asks_anyway": draw(st.booleans()),
        "asks_again": draw(st.booleans()),
        "asks_twice": draw(st.booleans()),
        "ending": draw(st.none() | st.sampled_from(get_args(Ending))),
        "part_minutes": {part.slug: draw(minutes) for part in procedure.parts} if draw(st.booleans()) else {},
        "supplement_minutes": draw(minutes),
        "handling_minutes": draw(minutes),
        "submitted_at": draw(event_times),
    }
    return submission(**fields)


@st.composite
def answers_for(draw: st.DrawFn, facts: SubmissionFacts) -> Mapping[str, DocumentAnswer]:
    """Return answers to some of the components, and perhaps to one that nobody asked for."""
    known = DOMAIN.procedures[facts.procedure].components
    slugs = [slug for slug, _ in facts.components] + [next(iter(known))]
    chosen = draw(st.lists(st.sampled_from(slugs), unique=True))
    return {slug: draw(_answered(slug, facts.submitted_at)) for slug in chosen}


def _answered(slug: str, submitted_at: datetime) -> st.SearchStrategy[DocumentAnswer]:
    return st.builds(
        DocumentAnswer,
        st.just(slug),
        st.sampled_from(get_args(Answer)),
        st.sampled_from(tuple(DOMAIN.databases)),
        st.integers(0, 56).map(lambda seconds: submitted_at + timedelta(seconds=seconds)),
    )
