"""Arbitrary plans, citizens and requests for the mock's property tests."""

from datetime import datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from contracts.events import DocumentsRequested
from domain import VN, load_domain
from services.vneid_mock.faults import FaultPlan
from services.vneid_mock.registry import PERSONAS, Registry

FIRST_FILED = datetime(2025, 5, 1, tzinfo=VN)
REGISTRY = Registry.of(load_domain())
DATABASES = tuple(load_domain().databases)
PROCEDURES = tuple(
    procedure
    for procedure in load_domain().procedures.values()
    if any(c.replaceable for c in procedure.components.values())
)
seeds = st.integers(0, 2**64 - 1)
provinces = st.sampled_from(tuple(load_domain().provinces))
citizen_numbers = st.from_regex(r"0[0-9]{11}", fullmatch=True) | st.sampled_from(tuple(PERSONAS))
application_ids = st.integers(0, 2**48 - 1).map(lambda number: f"0199bd6a-0000-7000-8000-{number:012x}")
# What the faults read of a request.
subjects = st.builds(
    DocumentsRequested.model_construct,
    application_id=application_ids,
    citizen_number=citizen_numbers,
    province=provinces,
)
starts = st.lists(
    st.tuples(st.integers(1, 16), st.sampled_from(DATABASES)), min_size=1, max_size=16, unique_by=lambda start: start[0]
)
_share = st.integers(0, 4).map(lambda quarter: quarter / 4)


@st.composite
def _faults(draw: st.DrawFn) -> dict[str, float]:
    """Faults whose shares, with up to half of the components unreachable, stay within 1."""
    slow_s = draw(st.sampled_from([0.0, 0.3, 2.0]))
    silent = draw(_share)
    return {
        "late_answer_share": draw(_share) / 6,
        "very_late_answer_share": draw(_share) / 6,
        "never_answer_share": draw(_share) / 6,
        "silent_share": silent,
        "slow_share": draw(_share) / 2 * (1 - silent),
        "very_slow_share": draw(_share) / 2 * (1 - silent),
        "duplicate_share": draw(_share),
        "slow_delay_s": slow_s,
        "slow_delay_max_s": slow_s * 3,
        "very_slow_delay_s": draw(st.sampled_from([0.0, 9.0])),
    }


@st.composite
def _overrides(draw: st.DrawFn) -> dict[str, Any]:
    match = draw(
        st.sampled_from(
            [
                {"database": "dan_cu"},
                {"database": "dat_dai"},
                {"province": "01"},
                {"citizen": "0"},
                {"citizen": "999", "database": "dan_cu"},
            ]
        )
    )
    return {"match": match, "set": draw(_faults())}


@st.composite
def plans(draw: st.DrawFn) -> FaultPlan:
    unreachable = draw(st.dictionaries(st.sampled_from(["dan_cu", "dat_dai", "ho_tich"]), _share.map(lambda s: s / 2)))
    overrides = draw(st.lists(_overrides(), max_size=3))
    return FaultPlan.model_validate(
        {"name": "drawn", **draw(_faults()), "unreachable": unreachable, "overrides": overrides}
    )


@st.composite
def requests(draw: st.DrawFn) -> DocumentsRequested:
    """First attempts that intake could send: some replaceable components of one procedure."""
    procedure = draw(st.sampled_from(PROCEDURES))
    replaceable = [component for component in procedure.components.values() if component.replaceable]
    chosen = draw(st.lists(st.sampled_from(replaceable), min_size=1, unique_by=lambda component: component.slug))
    return DocumentsRequested.model_validate(
        {
            "application_id": draw(application_ids),
            "citizen_number": draw(citizen_numbers),
            "procedure": procedure.code,
            "province": draw(provinces),
            "consent": draw(st.booleans()),
            "consent_refused": tuple(draw(st.lists(st.sampled_from([one.slug for one in chosen]), max_size=2))),
            "attempt": 1,
            "as_of": datetime(2025, 9, 1, tzinfo=VN) + draw(st.timedeltas(timedelta(0), timedelta(days=90))),
            "documents": tuple({"component": one.slug, "databases": one.databases} for one in chosen),
            "context": draw(st.text(max_size=40)),
            "filed_before_at": draw(
                st.none() | st.timedeltas(timedelta(0), timedelta(days=200)).map(lambda span: FIRST_FILED + span)
            ),
        }
    )
