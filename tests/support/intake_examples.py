"""The hand-worked cases of `intake_cases.toml` as facts, answers and expectations; and a submission to start from."""

import tomllib
from collections.abc import Mapping
from datetime import datetime, time
from pathlib import Path
from typing import Any, NamedTuple, cast

from contracts.events import Answer, ApplicationSubmitted, Cause, DecidedComponent, DecidedPart, DocumentAnswer, Source
from contracts.records import short_digest
from domain import VN, load_domain
from services.intake.context import SubmissionFacts, facts_of
from services.intake.core import RuleBook

BOOK = RuleBook.of(load_domain(), 3)
CASES_FILE = Path(__file__).parents[1] / "unit" / "intake_cases.toml"
APPLICATION_ID = "01999e5b-8e80-7000-8000-000000000001"


class Case(NamedTuple):
    """One row: what is given, what is expected; `components` pairs each given line with what it must come to."""

    name: str
    submitted: ApplicationSubmitted
    answers: Mapping[str, DocumentAnswer]
    expected: Mapping[str, Any]

    @property
    def facts(self) -> SubmissionFacts:
        return facts_of(self.submitted, short_digest(self.submitted.model_dump_json().encode()))


def submission(**changes: Any) -> ApplicationSubmitted:
    """Return a birth registration in Hà Nội, changed in these fields."""
    procedure = load_domain().procedures[changes.get("procedure", "1.001193")]
    fields: dict[str, Any] = {
        "application_id": APPLICATION_ID,
        "dossier_code": "H26.01-251001-0001",
        "citizen_number": "001190000001",
        "account_level": 2,
        "province": "01",
        "commune": "00004",
        "home_province": "01",
        "procedure": procedure.code,
        "authority": procedure.authority,
        "channel": "online",
        "assisted": False,
        "consent": True,
        "components": {"giay_chung_sinh": "upload", "giay_to_tuy_than": "upload"},
        "fee_paid_online": None,
        "electronic_result": True,
        "result_delivery": "electronic",
        "asks_anyway": False,
        "supplement_minutes": 480,
        "handling_minutes": 60,
        "submitted_at": datetime(2025, 10, 1, 9, tzinfo=VN),
        "asks_again": False,
    }
    return ApplicationSubmitted.model_validate(fields | changes)


def load_cases() -> tuple[Case, ...]:
    table = tomllib.loads(CASES_FILE.read_text("utf-8"))
    return tuple(_case(table["given"] | row) for row in table["case"])


class _Line(NamedTuple):
    slug: str
    applicant: str
    databases: str
    proof: str


def _case(row: dict[str, Any]) -> Case:
    lines = [_Line(*(cell.strip() for cell in line.split("|"))) for line in row["components"]]
    given = {name: row[name] for name in ApplicationSubmitted.model_fields if name in row}
    given["submitted_at"] = row["submitted_at"].replace(tzinfo=VN)
    given["components"] = {line.slug: line.applicant for line in lines}
    answers = {line.slug: answer for line in lines if (answer := _answered(line, given["submitted_at"]))}
    expected = {
        "outcome": row["outcome"],
        "reasons": tuple(row.get("reasons", ())),
        "presumed": row.get("presumed", False),
        "revision": len(answers) if any(line.proof for line in lines) else 0,
        "due_at": row["due_at"].replace(tzinfo=VN),
        "decided_at": row["decided_at"].replace(tzinfo=VN),
        "index_due_at": row.get("index_due_at", row["due_at"]).replace(tzinfo=VN),
        "components": tuple(_decided(line) for line in lines if line.proof),
        "parts": tuple(map(_part, row.get("parts", ()))),
    }
    return Case(row["name"], submission(**given), answers, expected)


def _answered(line: _Line, submitted_at: datetime) -> DocumentAnswer | None:
    if line.databases in {"-", "silent"}:
        return None
    database, answer, *at = line.databases.split()
    clock = time.fromisoformat(at[0]) if at else submitted_at.time()
    return DocumentAnswer(line.slug, cast("Answer", answer), database, datetime.combine(submitted_at, clock, VN))


def _decided(line: _Line) -> DecidedComponent:
    source, cause, database = (*line.proof.split(), None, None)[:3]
    if line.databases not in {"-", "silent"}:
        database = line.databases.split()[0]
    return DecidedComponent(line.slug, cast("Source", source), cast("Cause | None", cause), database)


def _part(line: str) -> DecidedPart:
    slug, due_at, done_at = (cell.strip() for cell in line.split("|"))
    return DecidedPart(slug, *[datetime.fromisoformat(at).replace(tzinfo=VN) for at in (due_at, done_at)])


CASES = load_cases()
