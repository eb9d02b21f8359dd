"""Outcomes for tests of the roll-up, the store and the tables over them."""

from datetime import datetime, timedelta
from typing import Any, NamedTuple, cast

from hypothesis import strategies as st

from contracts.events import ApplicationDecided, Cause, DecidedComponent, Source
from contracts.records import partition_of
from domain import VN
from services.scoring.rollup.outcome import ApplicationOutcome, outcome_of

PARTITIONS = 3
MONDAY = datetime(2025, 10, 6, 8, tzinfo=VN)
BIRTH, RESIDENCE, MARRIAGE = "1.001193", "1.004222", "1.000894"
AUTHORITY = {BIRTH: "province", RESIDENCE: "ministry", MARRIAGE: "province"}


def application_id(number: int) -> str:
    return f"0199b7d2-0000-7000-8000-{number:012x}"


def component(slug: str, source: str = "data", cause: str | None = None, database: str | None = "dan_cu") -> Any:
    return DecidedComponent(slug, cast("Source", source), cast("Cause | None", cause), database)


def event(number: int = 1, *, minutes: int = 60, due_after: int = 600, **changes: Any) -> ApplicationDecided:
    """An end-to-end registration of residence in Hà Nội, decided the same Monday, except for what a test changes."""
    procedure = changes.get("procedure", RESIDENCE)
    fields = {
        "application_id": application_id(number),
        "revision": 1,
        "presumed": False,
        "submission": f"{number:016x}",
        "rules_version": 1,
        "province": "01",
        "commune": "00004",
        "procedure": procedure,
        "authority": AUTHORITY.get(procedure, "province"),
        "channel": "online",
        "assisted": False,
        "submitted_at": MONDAY,
        "due_at": MONDAY + timedelta(minutes=due_after),
        "decided_at": MONDAY + timedelta(minutes=minutes),
        "outcome": "end_to_end",
        "reasons": (),
        "components": (),
    }
    return ApplicationDecided(**(fields | changes))


def value_of(outcome: ApplicationDecided) -> bytes:
    return outcome.model_dump_json().encode()


def decided(number: int = 1, **changes: Any) -> ApplicationOutcome:
    outcome = event(number, **changes)
    return outcome_of(outcome, value_of(outcome))


def partition(outcome: ApplicationOutcome) -> int:
    return partition_of(outcome.application_id.encode(), PARTITIONS)


class Positioned(NamedTuple):
    """What a store applies, with names."""

    partition: int
    offset: int
    outcome: ApplicationOutcome


def as_log(outcomes: list[ApplicationOutcome]) -> list[Positioned]:
    """Positions as the topic would give them: each partition counts its own offsets."""
    ends = dict.fromkeys(range(PARTITIONS), 0)
    log = []
    for outcome in outcomes:
        at = partition(outcome)
        log.append(Positioned(at, ends[at], outcome))
        ends[at] += 1
    return log


@st.composite
def outcomes(draw: st.DrawFn) -> ApplicationOutcome:
    """Outcomes that collide a lot: few applications, revisions, submissions and cells."""
    answered = draw(st.integers(0, 2))
    number = draw(st.integers(1, 6))
    data = draw(st.booleans())
    parts = [component(f"paper_{n}", *(() if data else ("paper", "missing"))) for n in range(answered)]
    return decided(
        number,
        revision=answered,
        presumed=draw(st.booleans()),
        assisted=draw(st.booleans()),
        submission=f"{draw(st.integers(0, 1)):016x}",
        province=draw(st.sampled_from(["01", "79"])),
        minutes=draw(st.sampled_from([5, 60, 700, 60_000])),
        outcome="end_to_end" if data else "partly_online",
        reasons=() if data else ("supplement_on_paper",),
        components=tuple(parts),
    )
