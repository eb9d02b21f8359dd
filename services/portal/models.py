"""What the portal answers. All times are wall time in UTC, but for `due_at` and `decided_at`: event time, +07:00."""

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from contracts.events import Outcome
from runtime.problems import Problem

State = Literal["received", "asking", "refused", "decided"]


class View(BaseModel):
    """Base of the answers: frozen, nothing beyond the declared fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Links(View):
    """Addresses on this server."""

    status: str
    events: str
    stream: str


class Accepted(View):
    """An application that the broker has, on all its replicas in sync."""

    application_id: str
    partition: Annotated[int, Field(ge=0)]
    offset: Annotated[int, Field(ge=0)]
    repeated: Annotated[bool, Field(description="It was filed before, and nothing was written now.")]
    links: Links


class Place(View):
    """Where a record lies, and since when."""

    topic: str
    partition: int
    offset: int
    at: str


class Question(View):
    """A component that databases are asked for; without `answer` none has said anything yet."""

    component: str
    databases: Annotated[list[str], Field(description="In the order of look-up.")]
    answer: str | None
    database: Annotated[str | None, Field(description="The one that answered.")]
    attempt: Annotated[int | None, Field(description="Of the reply that brought the answer.")]
    after_s: Annotated[float | None, Field(description="Wall seconds from the first asking to the answer.")]


class Asking(View):
    """Who is asked for data instead of paper, in the last attempt."""

    attempt: int
    since: str
    asked: Annotated[list[str], Field(description="When each attempt was made, the first one first.")]
    questions: list[Question]


class Refusal(View):
    """A record that was set aside as a dead letter; `detail` names field and place."""

    reason: str
    detail: str
    at: str
    position: Annotated[str, Field(description="Of the record: topic/partition/offset.")]


class Reason(View):
    """A rule that applied; `source` is the article, the portal record or the data file that it comes from."""

    reason: str
    name_vi: str
    name_en: str
    source: str

    @classmethod
    def unknown(cls, reason: str) -> Self:
        """Return a rule of another version."""
        return cls(reason=reason, name_vi=reason, name_en=reason, source="")


class Component(View):
    """Where the proof of a component came from; `cause` says why not from data."""

    component: str
    source: str
    cause: str | None
    database: str | None


class PartView(View):
    """A part of a linked service: when it was due, counted from its own beginning, and when it was done."""

    part: str
    due_at: str
    done_at: str


class DecidedView(View):
    """The outcome. `presumed`: an answer is missing, and a later outcome that knows more may overrule this one."""

    outcome: Outcome
    presumed: bool
    revision: int
    at: str
    reasons: list[Reason]
    components: list[Component]
    procedure: str
    province: str
    due_at: str
    decided_at: str
    parts: Annotated[list[PartView], Field(description="Of a linked service whose parts were told apart.")]


class Status(View):
    """Where an application stands."""

    application_id: str
    state: State
    received: Annotated[Place | None, Field(description="Null: only later records of it are known.")]
    asking: Asking | None
    refused: Refusal | None
    decided: DecidedView | None
    conflict: Annotated[bool, Field(description="Two different submissions were filed under this id.")]
    set_aside: Annotated[list[Refusal], Field(description="Records of it that a later step refused.")]


class StatusPage(Status):
    """Where an application stands, and how far the log was read for it."""

    complete: Annotated[bool, Field(description="False: the log goes on beyond what was read for this answer.")]
    links: Links


class EventView(View):
    """A record; `data` is null where it is no JSON object, and for a dead letter."""

    topic: str
    partition: int
    offset: int
    at: str
    trace_id: str | None
    data: dict[str, Any] | None
    dead_letter: Refusal | None


class EventsPage(View):
    """An application's records in the order of their time; personal fields are masked."""

    application_id: str
    complete: bool
    events: list[EventView]


class Health(View):
    """Whether applications are taken and found, and why not."""

    ready: bool
    reasons: list[str]


class FieldError(View):
    field: str
    detail: str


class PortalProblem(Problem):
    """An error, with the fields that it is about; `reason` is what a dead letter would say."""

    errors: tuple[FieldError, ...] = ()
    reason: str | None = None
    application_id: str | None = None
