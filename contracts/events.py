"""The five events of the flow, as frozen pydantic models; their JSON is the value of a Kafka record.

An answer and a decided component are dataclasses: checked when an event is read, plain values where a service makes or
keeps them, so that the same type serves on both sides of the wire.

Unknown fields are ignored, so a field can be added; a field is never removed or re-typed within a version.
All times are event time (simulated) with the offset +07:00.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from pydantic_core import CoreSchema
from pydantic_core.core_schema import datetime_schema

VERSION = 1
OFFSET_S = 7 * 60 * 60


class _VietnamTime:
    """Accepts only the offset +07:00, in pydantic's own parser: a Python validator would cost 0.7 µs a time."""

    @classmethod
    def __get_pydantic_core_schema__(cls, source: object, handler: object) -> CoreSchema:
        return datetime_schema(tz_constraint=OFFSET_S)


EventTime = Annotated[datetime, _VietnamTime]
APPLICATION_ID_PATTERN = r"^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$"
ApplicationId = Annotated[str, StringConstraints(pattern=APPLICATION_ID_PATTERN)]
# `[0-9]`, not `\d`: that one takes the digits of every script, and other readers of the schema do not agree.
DossierCode = Annotated[
    str,
    StringConstraints(
        pattern=r"^(?:(?:[0-9]{3}\.)?(?:[0-9]{2}\.){0,2}[GH][0-9]{2}(?:\.[0-9]{2,3}){0,3})"
        r"-(?:[0-9]{6}|[0-9]{8})-[0-9]{4,7}$",
        max_length=64,
    ),
]
CitizenNumber = Annotated[str, StringConstraints(pattern=r"^[0-9]{12}$")]
ProvinceCode = Annotated[str, StringConstraints(pattern=r"^[0-9]{2}$")]
CommuneCode = Annotated[str, StringConstraints(pattern=r"^[0-9]{5}$")]
Slug = Annotated[str, StringConstraints(pattern=r"^[a-z0-9_]{1,64}$")]
ProcedureCode = Annotated[str, StringConstraints(pattern=r"^[0-9A-Z]\.[0-9]{6}$")]
Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{16}$")]
# What every store has a column for, and every language a type: no integer of an event is larger.
MAX_INTEGER = 2**31 - 1
# A year of office time; a longer one is a mistake, and would leave the calendar.
MAX_WORKING_MINUTES = 120_000
WorkingMinutes = Annotated[int, Field(ge=0, le=MAX_WORKING_MINUTES)]

Channel = Literal["online", "direct", "post"]
Authority = Literal["ministry", "province"]
# Left out where it is not known: a record says nothing of it then, as before there was such a field.
PartMinutes = Annotated[dict[Slug, WorkingMinutes], Field(max_length=8, exclude_if=lambda parts: not parts)]
FiledBefore = Annotated[EventTime | None, Field(exclude_if=lambda at: at is None)]
# Left out where there are none, as before there were such fields.
ConsentRefused = Annotated[tuple[Slug, ...], Field(max_length=16, exclude_if=lambda slugs: not slugs)]

ApplicantAnswer = Literal["upload", "paper", "none"]
ResultDelivery = Literal["electronic", "post", "counter"]
Answer = Literal["found", "missing", "mismatch", "refused"]
Source = Literal["data", "upload", "paper", "none", "form"]
Cause = Literal["missing", "mismatch", "refused", "unreachable", "no_database", "asked_anyway", "asked_again"]
Ending = Literal["withdrawn", "refused"]
Addressee = Literal["owner", "citizen"]
Outcome = Literal["end_to_end", "partly_online", "on_paper", "stopped", "rejected"]


class Event(BaseModel):
    """Base of what travels: frozen, strict about types, indifferent to fields it does not know."""

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore")


class ApplicationSubmitted(Event):
    """A citizen's application as the portal or the counter files it (personal data inside).

    `components` names each dossier component that this application must prove, with what the applicant does if asked
    for it (a paper that no database knows is always asked for). These answers, `asks_anyway` (the office takes the
    first paper that data have replaced), `asks_again` (it asks for the first such component once more, and gets the
    applicant's answer), `supplement_minutes` and `handling_minutes` (working minutes) are facts about people and
    offices that the population draws; nothing later draws them again. `fee_paid_online` is null where no fee is due.
    `consent_refused` names components of which the applicant lets no data be looked up; `consent` false refuses all.
    `part_minutes`: of a linked service, how long each of its parts is handled; left out, they are not told apart.
    `filed_before_at` is when the applicant filed for the same procedure before and databases were looked up: what they
    lacked then was asked to be corrected, and is found once it is worked off. `asks_twice`: whoever is asked for
    something is asked a second time, where one full request is allowed, and takes as long again. `ending`: a complete
    dossier comes to no result, since the applicant takes it back or the office refuses it on its merits.
    """

    application_id: ApplicationId
    dossier_code: DossierCode
    citizen_number: CitizenNumber
    account_level: Annotated[int, Field(ge=0, le=2)]
    province: ProvinceCode
    commune: CommuneCode
    home_province: ProvinceCode
    procedure: ProcedureCode
    authority: Authority
    channel: Channel
    assisted: bool
    consent: bool
    components: Annotated[dict[Slug, ApplicantAnswer], Field(max_length=16)]
    fee_paid_online: bool | None
    electronic_result: bool
    result_delivery: ResultDelivery
    asks_anyway: bool
    supplement_minutes: WorkingMinutes
    handling_minutes: WorkingMinutes
    submitted_at: EventTime
    asks_again: bool = False
    consent_refused: ConsentRefused = ()
    part_minutes: PartMinutes = {}
    filed_before_at: FiledBefore = None
    asks_twice: Annotated[bool, Field(exclude_if=lambda twice: not twice)] = False
    ending: Annotated[Ending | None, Field(exclude_if=lambda ending: ending is None)] = None


class RequestedDocument(Event):
    """One component to look up and its databases in the order of look-up."""

    component: Slug
    databases: Annotated[tuple[Slug, ...], Field(min_length=1, max_length=8)]


class DocumentsRequested(Event):
    """Intake asks VNeID for data instead of paper (personal data inside).

    `as_of` is the event time of this attempt; `context` is opaque to everyone but intake and must be echoed;
    `consent`, `consent_refused` and `filed_before_at` are the submission's.
    """

    application_id: ApplicationId
    citizen_number: CitizenNumber
    procedure: ProcedureCode
    province: ProvinceCode
    consent: bool
    attempt: Annotated[int, Field(ge=1, le=99)]
    as_of: EventTime
    documents: Annotated[tuple[RequestedDocument, ...], Field(min_length=1, max_length=16)]
    context: Annotated[str, StringConstraints(max_length=4096)]
    consent_refused: ConsentRefused = ()
    filed_before_at: FiledBefore = None


@dataclass(frozen=True, slots=True)
class DocumentAnswer:
    """What the databases said of one component: the answer, the database that gave it, and its event time."""

    __pydantic_config__: ClassVar[ConfigDict] = Event.model_config
    component: Slug
    answer: Answer
    database: Slug
    at: EventTime


class DocumentsProvided(Event):
    """The answers known at this attempt. A component that is absent was unreachable; it is not an answer."""

    application_id: ApplicationId
    attempt: Annotated[int, Field(ge=1, le=99)]
    answers: Annotated[tuple[DocumentAnswer, ...], Field(max_length=16)]
    context: Annotated[str, StringConstraints(max_length=4096)]


@dataclass(frozen=True, slots=True)
class DecidedComponent:
    """Where the proof of one component came from, and why it did not come from data (null: it did, or a form).

    Two causes are breaches, the data being there: `asked_anyway` (taken on paper), `asked_again` (asked for once more).
    """

    __pydantic_config__: ClassVar[ConfigDict] = Event.model_config
    component: Slug
    source: Source
    cause: Cause | None
    database: Slug | None


@dataclass(frozen=True, slots=True)
class DecidedPart:
    """When a part of a linked service was due, counted from its own beginning, and when it was done."""

    __pydantic_config__: ClassVar[ConfigDict] = Event.model_config
    part: Slug
    due_at: EventTime
    done_at: EventTime


class ApplicationDecided(Event):
    """The outcome of an application; free of personal data.

    A function of the submission and the set of answers alone. `revision` is the number of answered components: an
    outcome that knows more overrules one that knows less. `presumed` means that the set is incomplete. `due_at` is on
    the legal clock, which starts again when a supplemented dossier is complete; `index_due_at` on that of the index,
    which takes the waiting for the applicant off (null: of an older intake, which knew the legal clock only). `parts`
    are those of a linked service that came to its result: one application, done when the last of them is.
    """

    application_id: ApplicationId
    revision: Annotated[int, Field(ge=0, le=16)]
    presumed: bool
    submission: Digest
    rules_version: Annotated[int, Field(ge=1, le=MAX_INTEGER)]
    province: ProvinceCode
    commune: CommuneCode
    procedure: ProcedureCode
    authority: Authority
    channel: Channel
    assisted: bool
    submitted_at: EventTime
    due_at: EventTime
    decided_at: EventTime
    outcome: Outcome
    reasons: Annotated[tuple[Slug, ...], Field(max_length=16)]
    components: Annotated[tuple[DecidedComponent, ...], Field(max_length=16)]
    index_due_at: EventTime | None = None
    parts: Annotated[tuple[DecidedPart, ...], Field(max_length=8, exclude_if=lambda parts: not parts)] = ()


class CorrectionRequested(Event):
    """Intake asks for a record to be put right that was missing or did not match, so that a paper was needed.

    One per submission and component, whatever was asked how often: a function of the submission and the answer. Free of
    personal data: the owner of the database knows from its look-up whose record it is. `requested_at` is the event time
    of the answer; `worked_off_at` is when the owner, at its capacity, has come to it: in the order of filing.
    """

    application_id: ApplicationId
    submission: Digest
    component: Slug
    procedure: ProcedureCode
    province: ProvinceCode
    database: Slug
    answer: Literal["missing", "mismatch"]
    addressees: Annotated[tuple[Addressee, ...], Field(min_length=1, max_length=2)]
    requested_at: EventTime
    worked_off_at: EventTime
