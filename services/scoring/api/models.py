"""What the API answers; the same models feed the command line's tables."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from contracts.events import Authority, Cause, Channel, Outcome, Source

AuthorityFilter = Literal["province", "ministry", "all"]
MeasureName = Literal[
    "d1",
    "d2",
    "paperless",
    "components_by_data",
    "papers_asked_although_data_were_there",
    "on_time",
    "online",
    "presumed",
    "minutes_to_result",
]


class View(BaseModel):
    """Base of the answers: frozen, nothing beyond the declared fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Definition(View):
    """What a rate says, in both languages; `unit` is that of `value`."""

    name_vi: str
    name_en: str
    numerator: str
    denominator: str
    unit: Literal["share", "minutes"] = "share"


class Rate(View):
    """A rate as two exact integers; `value` is rounded for display, null where nothing was counted."""

    numerator: int
    denominator: int
    value: float | None


class Published(View):
    """A published figure to hold the rate against; `evidence` is the mark of the domain data (A best, C weak)."""

    value: float
    comparison: Literal["eq", "gt", "lt", "approx"]
    about: str
    period_start: str | None
    period_end: str | None
    source: str
    evidence: str
    note: str


class RateRow(View):
    """The rates of one group: the country, a province, a month, a procedure or a channel."""

    key: Annotated[str, Field(description="Code of the group: province or procedure code, YYYY-MM, `national`.")]
    name_vi: str
    name_en: str
    rank: Annotated[int | None, Field(description="By D1 among the rows; null without applications.")] = None
    applications: int
    assisted: int
    papers_avoided: Annotated[int, Field(description="Papers (not forms) that data replaced.")]
    rates: dict[MeasureName, Rate]
    published: dict[MeasureName, Published]


class WeightedD1(View):
    """D1 of the country if provinces and ministries ran the shares that the published rates imply.

    The counters of the provinces hold fewer ministry-run applications than the country has, so the plain sum of both
    authorities must not be held against the published figure of the country; this one may.
    """

    province_share: float
    ministry_share: float
    value: float | None
    published: Published | None


class RatesTable(View):
    """The league table: provinces by D1, the selection as a whole, and both authorities apart and together."""

    authority: AuthorityFilter
    month: str | None
    procedure: str | None
    definitions: dict[MeasureName, Definition]
    total: RateRow
    by_authority: list[RateRow]
    country_d1: Annotated[WeightedD1 | None, Field(description="Null where a procedure is selected.")]
    rows: list[RateRow]


class ProvinceRates(View):
    """One province: both authorities apart and together, by month and by procedure."""

    province: str
    name_vi: str
    name_en: str
    month: str | None
    procedure: str | None
    definitions: dict[MeasureName, Definition]
    by_authority: list[RateRow]
    by_month: list[RateRow]
    by_procedure: list[RateRow]


class ReasonRow(View):
    """A reason why applications did not end end to end."""

    reason: str
    name_vi: str
    name_en: str
    applications: Annotated[int, Field(description="Applications with this reason among theirs.")]
    alone: Annotated[int, Field(description="Applications with this reason only: they would become end to end.")]
    d1_if_lifted: Rate
    upper_bound: Annotated[
        bool,
        Field(description="Some were refused before any look-up: not all of `alone` would get through."),
    ]


class PairRow(View):
    """Two reasons lifted together: more than the sum of each, where applications have both."""

    reasons: tuple[str, str]
    applications: Annotated[int, Field(description="Applications that have no other reason than these two.")]
    d1_if_lifted: Rate
    upper_bound: bool


class ComponentRow(View):
    """A component that data did not replace, by cause and by the database that was asked."""

    component: str
    procedure: str
    name_vi: str
    name_en: str
    cause: Cause
    database: str | None
    applications: Annotated[int, Field(description="Applications not end to end with this component and cause.")]
    blocking: Annotated[int, Field(description="Of these: proved on paper or not at all.")]
    alone: Annotated[int, Field(description="Of these: nothing else keeps the application from end to end.")]


class DatabaseRow(View):
    """A database: what its look-ups came to, and what its misses cost. Counts are components."""

    database: str
    name_vi: str
    name_en: str
    found: int
    missing: int
    mismatch: int
    refused: int
    unreachable: int
    asked_anyway: int
    blocking: Annotated[int, Field(description="Applications not end to end with a paper or nothing for its miss.")]
    alone: Annotated[int, Field(description="Of these: nothing else keeps the application from end to end.")]


class WhyTable(View):
    """Why applications did not end end to end; every number is an exact sum over patterns."""

    province: str | None
    authority: AuthorityFilter
    month: str | None
    procedure: str | None
    applications: int
    end_to_end: int
    not_end_to_end: int
    outcomes: dict[Outcome, int]
    d1: Rate
    reasons: list[ReasonRow]
    pairs: list[PairRow]
    components: list[ComponentRow]
    databases: list[DatabaseRow]


class ApplicationComponent(View):
    component: str
    name_vi: str
    name_en: str
    source: Source
    cause: Cause | None
    database: str | None


class ApplicationReason(View):
    reason: str
    name_vi: str
    name_en: str


class Application(View):
    """The current outcome of one application; free of personal data. Times carry the offset +07:00."""

    application_id: str
    revision: int
    presumed: bool
    conflict: Annotated[bool, Field(description="Two different submissions were seen under this id.")]
    province: str
    province_name_vi: str
    commune: Annotated[str | None, Field(description="Where it was filed; null if stored by an early version.")]
    procedure: str
    procedure_name_vi: str
    authority: Authority
    rules_version: Annotated[int | None, Field(description="Of the rules that decided it; null as above.")]
    channel: Channel
    assisted: bool
    submitted_at: str
    due_at: str
    decided_at: str
    on_time: bool
    minutes: int
    outcome: Outcome
    reasons: list[ApplicationReason]
    components: list[ApplicationComponent]


class Health(View):
    """Whether answers can be given, and why not."""

    ready: bool
    reasons: list[str]
    store: str
    schema_version: int | None
    next_offsets: dict[int, int]
    closed_before: Annotated[str | None, Field(description="First month whose outcomes are all stored.")] = None


class FieldError(View):
    field: str
    detail: str


class Problem(View):
    """RFC 9457 problem details; `errors` names the fields."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    instance: str
    errors: list[FieldError] = []
