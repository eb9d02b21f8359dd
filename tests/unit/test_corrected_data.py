"""What a database lacked is found once its owner has worked off the correction, and not before."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import islice

import orjson
import pytest

from contracts.events import ApplicationSubmitted, CorrectionRequested, DocumentsProvided, DocumentsRequested
from contracts.records import short_digest
from domain import VN, load_domain, with_values
from paperless.population.arrivals import arrivals
from paperless.population.population import Population
from paperless.population.scenario import load_scenario, simulated_days
from services.intake.context import facts_of
from services.intake.core import decide
from services.intake.corrections import corrections_of
from services.intake.handlers import IntakeHandlers
from services.vneid_mock.core import Vneid, final_answers, respond
from services.vneid_mock.plan_files import load_plan
from services.vneid_mock.registry import Registry, number_of
from tests.support.fakes_runtime import Stored, effects_of
from tests.support.intake_examples import BOOK, submission

REGISTRY = Registry.of(load_domain())
VNEID = Vneid(REGISTRY, load_plan("calm"), 7)
FILED = datetime(2025, 10, 1, 9, tzinfo=VN)
# Worked out by hand in correction_cases.toml for this moment of filing.
WORKED_OFF = datetime(2025, 10, 24, 10, tzinfo=VN)
SLUG = "gcn_qsdd"


def filing(citizen: str, **fields: object) -> ApplicationSubmitted:
    return submission(
        procedure="1.013831", citizen_number=citizen, components={SLUG: "paper"}, **{"submitted_at": FILED, **fields}
    )


def answer_of(submitted: ApplicationSubmitted, vneid: Vneid = VNEID) -> str:
    return final_answers(submitted, [SLUG], 3, vneid)[SLUG].answer


def citizens(first: str) -> Iterator[str]:
    """Citizens of whom the land database says this at first."""
    numbers = (f"0{number:011d}" for number in range(100_000))
    return (citizen for citizen in numbers if answer_of(filing(citizen)) == first)


def later(citizen: str, at: datetime) -> str:
    return answer_of(filing(citizen, submitted_at=at, filed_before_at=FILED))


@pytest.mark.parametrize("first", ["missing", "mismatch"])
def test_a_record_is_found_from_the_moment_on_at_which_it_is_worked_off(first: str):
    some = list(islice(citizens(first), 400))
    assert {later(citizen, WORKED_OFF - timedelta(seconds=1)) for citizen in some} == {first}
    found = [later(citizen, WORKED_OFF) for citizen in some]
    assert set(found) == {"found", first}
    share = load_domain().number("correction.success_share")
    assert found.count("found") / len(found) == pytest.approx(share, abs=0.05)
    assert [later(citizen, WORKED_OFF + timedelta(days=60)) for citizen in some] == found


def test_that_is_the_moment_which_the_request_names():
    submitted = filing(next(citizens("mismatch")))
    answers = final_answers(submitted, [SLUG], 3, VNEID)
    decision = decide(facts_of(submitted, short_digest(b"")), answers, BOOK)
    [asked] = corrections_of(decision, answers, BOOK.desk)
    event = CorrectionRequested.model_validate_json(asked.to_json())
    assert event.worked_off_at == WORKED_OFF


def test_who_files_for_the_first_time_finds_what_was_there():
    for first in ("missing", "mismatch"):
        citizen = next(citizens(first))
        assert answer_of(filing(citizen, submitted_at=WORKED_OFF + timedelta(days=60))) == first


def test_what_was_found_stays_found():
    assert {later(citizen, WORKED_OFF) for citizen in islice(citizens("found"), 100)} == {"found"}


def test_a_paper_that_the_database_never_has_is_not_corrected():
    before = with_values(load_domain(), {"correction.success_share": 1.0})
    vneid = Vneid(Registry.of(before), VNEID.plan, VNEID.seed)
    at = datetime(2025, 7, 30, 9, tzinfo=VN)
    # The insurance book was published in August: until then no look-up of it finds anything.
    submitted = submission(procedure="X.000017", components={"ma_so_bhxh": "none"}, citizen_number="001190000001")
    asked = submitted.model_copy(update={"submitted_at": at, "filed_before_at": datetime(2025, 7, 1, 9, tzinfo=VN)})
    assert final_answers(asked, ["ma_so_bhxh"], 3, vneid)["ma_so_bhxh"].answer == "missing"


@pytest.mark.parametrize(("name", "answer"), [("all_missing", "missing"), ("record_mismatch", "mismatch")])
def test_what_a_persona_is_promised_holds(name: str, answer: str):
    assert later(number_of(name), WORKED_OFF) == answer


@pytest.mark.parametrize("before", [datetime(2020, 1, 1, tzinfo=VN), WORKED_OFF, WORKED_OFF + timedelta(days=900)])
def test_another_date_of_the_filing_before_is_no_correction_yet(before: datetime):
    citizen = next(citizens("mismatch"))
    assert answer_of(filing(citizen, submitted_at=WORKED_OFF, filed_before_at=before)) == "mismatch"


def test_every_attempt_finds_the_same():
    citizen = next(citizen for citizen in citizens("mismatch") if later(citizen, WORKED_OFF) == "found")
    submitted = filing(citizen, submitted_at=WORKED_OFF, filed_before_at=FILED)
    said = set()
    for attempt in (1, 2, 3):
        value = orjson.dumps(
            submitted.model_dump(include={"application_id", "citizen_number", "procedure", "province", "consent"})
            | {"attempt": attempt, "as_of": BOOK.as_of(WORKED_OFF, attempt), "context": "c", "filed_before_at": FILED}
            | {"documents": [{"component": SLUG, "databases": ["dat_dai"]}]}
        )
        reply = respond(DocumentsRequested.model_validate_json(value), VNEID)[0]
        said |= {(one.answer, one.at) for one in DocumentsProvided.model_validate_json(reply).answers}
    assert {answer for answer, _ in said} == {"found"}
    assert len(said) == 1


@pytest.mark.parametrize("before", [None, FILED])
def test_intake_hands_on_when_was_filed_before(before: datetime | None):
    handlers = IntakeHandlers(BOOK, key=b"dev-only", partitions=1, patience_s=1)
    submitted = filing("001190000001", submitted_at=WORKED_OFF, filed_before_at=before)
    value = submitted.model_dump_json().encode()
    record = Stored("applications.submitted", 0, 0, 0, submitted.application_id.encode(), value, ())
    request = DocumentsRequested.model_validate_json(effects_of(handlers.on_record(record, {})).publish[0][2] or b"")
    assert request.filed_before_at == before
    assert (b"filed_before_at" in value) == (before is not None)


def test_some_file_again_when_a_run_supposes_so():
    domain = with_values(load_domain(), {"correction.files_again_share": 0.1})
    [day] = simulated_days(load_scenario("national-day", domain), domain, seed=3, applications=3_000)
    population = Population(day)
    values = [population.submission(arrival)[1] for arrival in arrivals(day)]
    events = [ApplicationSubmitted.model_validate_json(value) for value in values]
    assert [event.model_dump_json().encode() for event in events] == values
    again = [event for event in events if event.filed_before_at]
    assert len(again) / len(events) == pytest.approx(0.1, abs=0.02)
    begins = domain.correction_desk.begins_at
    assert all(event.filed_before_at and begins <= event.filed_before_at < event.submitted_at for event in again)
    assert all(event.consent and (event.channel != "online" or event.account_level == 2) for event in again)
    # All else is as it would be.
    [usual] = simulated_days(load_scenario("national-day", load_domain()), load_domain(), seed=3, applications=3_000)
    people = Population(usual)
    without = [event.model_copy(update={"filed_before_at": None}).model_dump_json().encode() for event in events]
    assert without == [people.submission(arrival)[1] for arrival in arrivals(usual)]


def test_a_run_may_suppose_refusals_withdrawals_and_second_requests():
    shares = {"handling.refused_share": 0.05, "handling.withdrawn_share": 0.02, "supplement.second_request_share": 0.1}
    domain = with_values(load_domain(), shares)
    [day] = simulated_days(load_scenario("national-day", domain), domain, seed=3, applications=6_000)
    population = Population(day)
    values = [population.submission(arrival)[1] for arrival in arrivals(day)]
    events = [ApplicationSubmitted.model_validate_json(value) for value in values]
    assert [event.model_dump_json().encode() for event in events] == values
    counts = [
        sum(event.ending == "refused" for event in events),
        sum(event.ending == "withdrawn" for event in events),
        sum(event.asks_twice for event in events),
    ]
    assert [count / len(events) for count in counts] == pytest.approx(list(shares.values()), abs=0.012)
    assert not any(event.filed_before_at for event in events)
