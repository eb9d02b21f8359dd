"""The control API: read and change the fault plan while the mock runs, on a port of its own.

Errors are problem documents (RFC 9457). Requests that alter the plan are counted, because a run whose plan was changed
by hand cannot be predicted from its seed.
"""

import asyncio
import json
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import structlog
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from runtime.problems import problem
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


def control_app(state: PlanState, routes: Sequence[BaseRoute] = ()) -> Starlette:
    """Return the ASGI app of the control API; `routes` are mounted beside it (health, metrics)."""

    async def read_plan(_: Request) -> Response:
        return _state(state)

    async def read_schema(_: Request) -> Response:
        return JSONResponse(FaultPlan.model_json_schema(), media_type="application/schema+json")

    async def read_plans(_: Request) -> Response:
        return JSONResponse({"plans": [plan.model_dump(mode="json") for plan in named_plans().values()]})

    async def replace_plan(request: Request) -> Response:
        state.change(_whole_plan(await _fields(request)))
        return _state(state)

    async def change_plan(request: Request) -> Response:
        changes = await _fields(request)
        # Nothing is awaited between this reading and the change, so two changes at once cannot undo each other.
        state.change(plan_of({**state.plan.model_dump(), **changes}, "body"))
        return _state(state)

    async def reset_plan(_: Request) -> Response:
        state.reset()
        return _state(state)

    return Starlette(
        routes=[
            Route("/plan", read_plan, methods=["GET"]),
            Route("/plan", replace_plan, methods=["PUT"]),
            Route("/plan", change_plan, methods=["PATCH"]),
            Route("/plan/reset", reset_plan, methods=["POST"]),
            Route("/plan/schema", read_schema, methods=["GET"]),
            Route("/plans", read_plans, methods=["GET"]),
            *routes,
        ],
        exception_handlers={PlanError: _on_plan_error, HTTPException: _on_http_error},
    )


def _state(state: PlanState) -> JSONResponse:
    return JSONResponse(
        {"plan": state.plan.model_dump(mode="json"), "seed": state.seed, "changed_by_hand": state.changed_by_hand}
    )


def _whole_plan(fields: Mapping[str, Any]) -> FaultPlan:
    if set(fields) == {"name"} and isinstance(fields["name"], str):
        # Packaged plans only: a path in a request must not open files of this machine.
        return named_plan(fields["name"])
    return plan_of(fields, "body")


async def _fields(request: Request) -> dict[str, Any]:
    try:
        async with asyncio.timeout(BODY_WITHIN_S):
            body = await _body(request)
        fields = json.loads(body)
    except TimeoutError:
        detail = f"body: not here after {BODY_WITHIN_S:g} s; send it at once"
        raise HTTPException(HTTPStatus.REQUEST_TIMEOUT, detail) from None
    except (ValueError, RecursionError) as error:
        raise HTTPException(HTTPStatus.BAD_REQUEST, f"body: not JSON ({error}); send an object") from None
    if not isinstance(fields, dict):
        raise HTTPException(HTTPStatus.BAD_REQUEST, "body: not an object; send fields of the plan, see /plan/schema")
    return fields


async def _body(request: Request) -> bytes:
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise HTTPException(413, f"body: over {MAX_BODY_BYTES} bytes; send one plan")
    return body


async def _on_plan_error(_: Request, error: Exception) -> Response:
    fields = error.problems if isinstance(error, PlanError) else ()
    status = HTTPStatus.NOT_FOUND if isinstance(error, UnknownPlanError) else HTTPStatus.UNPROCESSABLE_ENTITY
    return problem(status, str(error), errors=[field._asdict() for field in fields])


async def _on_http_error(_: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else HTTPStatus.INTERNAL_SERVER_ERROR
    headers = error.headers if isinstance(error, HTTPException) else None
    return problem(status, str(getattr(error, "detail", error)), headers)
