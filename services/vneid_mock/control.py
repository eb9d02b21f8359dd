"""The control API: read and change the fault plan while the mock runs, on a port of its own.

Errors are problem documents (RFC 9457). Requests that alter the plan are counted, because a run whose plan was changed
by hand cannot be predicted from its seed.
"""

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Annotated, Any

import structlog
from fastapi import APIRouter, FastAPI, Request, Response
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from runtime.http_api import create_api, guarded, problems
from runtime.http_body import read_body
from runtime.problems import Problem, problem
from services.vneid_mock.faults import FaultPlan
from services.vneid_mock.plan_files import PlanError, UnknownPlanError, named_plan, named_plans, plan_of

log = structlog.get_logger(__name__)

# The largest packaged plan has under 1 KB; 64 overrides have under 16 KB.
MAX_BODY_BYTES = 64 * 1024
BODY_WITHIN_S = 10.0


class PlanState:
    """The plan in force: replaced as a whole, so that a reader takes one attribute and has one consistent plan.

    `changed_by_hand` counts the changes since the start; going back to the first plan is one more change.
    """

    def __init__(self, plan: FaultPlan, seed: int) -> None:
        if not 0 <= seed < 2**64:
            raise ValueError(f"seed {seed} does not fit 64 bits; use 0 to 2**64 - 1")
        self.plan = plan
        self.seed = seed
        self.changed_by_hand = 0
        self._first = plan

    def change(self, plan: FaultPlan) -> None:
        """Put another plan in force; an equal one is no change."""
        if plan != self.plan:
            log.warning("plan changed by hand", plan=plan.name, before=self.plan.name)
            self.plan = plan
            self.changed_by_hand += 1

    def reset(self) -> None:
        """Put the plan of the start back in force."""
        self.change(self._first)


class FieldError(BaseModel):
    """One fault of a plan: the key (dotted; empty: the plan as a whole), what is wrong, and what to do."""

    key: str
    what: str
    remedy: str


class PlanProblem(Problem):
    """An error, with the faults of the plan that was sent."""

    errors: tuple[FieldError, ...] = ()


class PlanInForce(BaseModel):
    """The plan in force, the seed of the run, and how often the plan was changed by hand since the start."""

    plan: FaultPlan
    seed: Annotated[int, Field(ge=0, lt=2**64)]
    changed_by_hand: Annotated[int, Field(ge=0)]


class Plans(BaseModel):
    plans: list[FaultPlan]


UNUSABLE = problems(400, 408, 413) | problems(422, model=PlanProblem)
UNKNOWN_PLAN = problems(404, model=PlanProblem)


def control_app(state: PlanState, tokens: tuple[bytes, ...] = (), per_minute: int = 120) -> FastAPI:
    """Return the control API of this state, open to the holders of these tokens (none: to everybody), at this rate."""
    app = create_api(
        tokens=tokens,
        per_minute=per_minute,
        title="Paperless intake: VNeID mock",
        version="1",
        summary="The fault plan, read and changed while the mock runs.",
        description="A change takes force with the next record, and is counted. /health and /metrics are beside it.",
    )
    app.add_exception_handler(PlanError, _on_plan_error)
    app.include_router(_routes(state), **guarded(tokens))
    return app


def _routes(state: PlanState) -> APIRouter:
    router = APIRouter(tags=["plan"])

    @router.get("/plan")
    async def read_plan() -> PlanInForce:
        """The plan in force."""
        return _in_force(state)

    @router.put("/plan", responses=UNUSABLE | UNKNOWN_PLAN, openapi_extra=_declared(plan_schema()))
    async def replace_plan(request: Request) -> PlanInForce:
        """Put a packaged plan in force by its name alone, or a whole plan; what is not given is 0."""
        state.change(_whole_plan(await _fields(request)))
        return _in_force(state)

    @router.patch("/plan", responses=UNUSABLE, openapi_extra=_declared(plan_schema() | {"required": []}))
    async def change_plan(request: Request) -> PlanInForce:
        """Change some fields of the plan in force."""
        changes = await _fields(request)
        # Nothing is awaited between this reading and the change, so two changes at once cannot undo each other.
        state.change(plan_of({**state.plan.model_dump(), **changes}, "body"))
        return _in_force(state)

    @router.post("/plan/reset")
    async def reset_plan() -> PlanInForce:
        """Put the plan of the start back in force."""
        state.reset()
        return _in_force(state)

    @router.get("/plan/schema", response_class=SchemaResponse)
    async def read_schema() -> Response:
        """JSON Schema of a plan."""
        return SchemaResponse(plan_schema())

    @router.get("/plans")
    async def read_plans() -> Plans:
        """The packaged plans, from the gentlest to the harshest."""
        return Plans(plans=list(named_plans().values()))

    return router


class SchemaResponse(JSONResponse):
    media_type = "application/schema+json"


def _in_force(state: PlanState) -> PlanInForce:
    return PlanInForce(plan=state.plan, seed=state.seed, changed_by_hand=state.changed_by_hand)


def plan_schema() -> dict[str, Any]:
    """Return the JSON Schema of a plan, in one piece: it is also shown as a part of another document."""
    schema = FaultPlan.model_json_schema()
    defined = schema.pop("$defs")

    def inlined(part: Any) -> Any:
        if isinstance(part, list):
            return [inlined(each) for each in part]
        if not isinstance(part, dict):
            return part
        if "$ref" in part:
            return inlined(defined[part["$ref"].rpartition("/")[2]])
        return {key: inlined(value) for key, value in part.items()}

    whole: dict[str, Any] = inlined(schema)
    return whole


def _declared(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the declaration of a body that a route reads itself, so that it can be bounded in size and time."""
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


def _whole_plan(fields: Mapping[str, Any]) -> FaultPlan:
    if set(fields) == {"name"} and isinstance(fields["name"], str):
        # Packaged plans only: a path in a request must not open files of this machine.
        return named_plan(fields["name"])
    return plan_of(fields, "body")


async def _fields(request: Request) -> dict[str, Any]:
    body = await read_body(request, most_bytes=MAX_BODY_BYTES, within_s=BODY_WITHIN_S, remedy="send one plan")
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise HTTPException(HTTPStatus.BAD_REQUEST, f"body: not JSON ({error}); send an object") from None
    if not isinstance(fields, dict):
        raise HTTPException(HTTPStatus.BAD_REQUEST, "body: not an object; send fields of the plan, see /plan/schema")
    return fields


async def _on_plan_error(request: Request, error: Exception) -> Response:
    fields = error.problems if isinstance(error, PlanError) else ()
    status = HTTPStatus.NOT_FOUND if isinstance(error, UnknownPlanError) else HTTPStatus.UNPROCESSABLE_ENTITY
    return problem(status, str(error), instance=request.url.path, errors=[field._asdict() for field in fields])
