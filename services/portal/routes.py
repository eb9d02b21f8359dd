"""The routes of the portal: file, ask, look at the events, follow."""

import time
from collections.abc import Callable
from http import HTTPStatus
from secrets import randbits
from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Query, Request, Response
from starlette.responses import StreamingResponse

from contracts.events import ApplicationId, ApplicationSubmitted
from contracts.submissions import SubmissionCheck
from contracts.topics import APPLICATIONS_SUBMITTED, MAX_RECORD_BYTES
from runtime.event_stream import STREAMED, event_stream
from runtime.http_api import problems
from runtime.http_body import read_body
from runtime.metrics import Metrics
from services.portal.desk import Desk
from services.portal.filing import PLAIN, STRUCTURED, read_filing
from services.portal.identity import fresh_id
from services.portal.models import Accepted, EventsPage, Health, PortalProblem, StatusPage
from services.portal.pages import Pages, Streams, links_of

BODY_WITHIN_S: Final = 10.0
FILING_PROBLEMS = problems(408, 413) | problems(400, 409, 415, 422, 503, model=PortalProblem)
ASKING_PROBLEMS = problems(404, 422, 503, model=PortalProblem)

Id = Annotated[ApplicationId, Path(description="UUIDv7 text.")]
At = Annotated[
    int | None,
    Query(ge=0, lt=2**63, description="Offset of its submission, as filing gave it: then it need not be a recent one."),
]


def filing_routes(desk: Desk, check: SubmissionCheck, count: Callable[[str], None]) -> APIRouter:
    """Return the route that takes applications; `count` is told what became of each."""
    router = APIRouter(tags=["filing"])

    @router.post(
        "/applications",
        status_code=HTTPStatus.ACCEPTED,
        responses=FILING_PROBLEMS | {202: {"headers": _location()}},
        openapi_extra=_declared_filing(),
    )
    async def file(request: Request, response: Response) -> Accepted:
        """File an application: its data as JSON, or as a CloudEvent over HTTP, binary or structured.

        Accepted means that the broker has it, on all its replicas in sync. `application_id` may be left out: it follows
        from `Idempotency-Key` then, or from source and id of a CloudEvent, so that the same request again is the same
        application; else it is new.
        """
        body = await read_body(
            request, most_bytes=MAX_RECORD_BYTES, within_s=BODY_WITHIN_S, remedy="send one application"
        )
        filing = read_filing(request.headers, body, check, lambda: fresh_id(time.time_ns() // 10**6, randbits(80)))
        request.state.application_id = filing.application_id
        taken = await desk.take(filing)
        count("repeated" if taken.repeated else "filed")
        links = links_of(filing.application_id, taken.offset)
        response.headers["location"] = links.status
        return Accepted(
            application_id=filing.application_id,
            partition=taken.partition,
            offset=taken.offset,
            repeated=taken.repeated,
            links=links,
        )

    return router


def asking_routes(pages: Pages, streams: Streams) -> APIRouter:
    """Return the routes that tell where an application stands."""
    router = APIRouter(tags=["asking"], responses=ASKING_PROBLEMS)

    @router.get("/applications/{application_id}")
    async def status(application_id: Id, at: At = None) -> StatusPage:
        """Where an application stands: received, asking, refused or decided."""
        return await pages.status(application_id, at)

    @router.get("/applications/{application_id}/events")
    async def events(application_id: Id, at: At = None) -> EventsPage:
        """Its records with topic, partition, offset, time and trace id; personal fields are masked."""
        return await pages.events(application_id, at)

    @router.get(
        "/applications/{application_id}/stream",
        response_class=StreamingResponse,
        responses=STREAMED,
    )
    async def stream(application_id: Id, at: At = None) -> StreamingResponse:
        """Server-sent events: `status` whenever it changes, until it is decided or refused, for at most 10 minutes."""
        await pages.status(application_id, at)
        return event_stream(streams.follow(application_id, at))

    return router


def operations(why_unready: Callable[[], list[str]], metrics: Metrics) -> APIRouter:
    """Return /health and /metrics, which need no token, and what stands at the root."""
    router = APIRouter(tags=["operations"])

    @router.get("/health", responses={503: {"model": Health}})
    async def health(response: Response) -> Health:
        """Ready while the broker is there, on which everything rests."""
        reasons = why_unready()
        response.status_code = HTTPStatus.SERVICE_UNAVAILABLE if reasons else HTTPStatus.OK
        return Health(ready=not reasons, reasons=reasons)

    @router.get("/metrics", response_class=Response)
    async def exposition() -> Response:
        """Metrics as Prometheus reads them."""
        return Response(metrics.exposition(), media_type="text/plain; version=0.0.4; charset=utf-8")

    return router


def _location() -> dict[str, Any]:
    text = {"type": "string", "format": "uri-reference"}
    return {"Location": {"description": "Where it stands from now on.", "schema": text}}


def _declared_filing() -> dict[str, Any]:
    """Return the declaration of a body that the route reads itself, so that it can be bounded in size and time."""
    data = ApplicationSubmitted.model_json_schema()
    data["required"] = [name for name in data["required"] if name != "application_id"]
    text = {"type": "string", "minLength": 1}
    event = {
        "type": "object",
        "required": ["specversion", "id", "source", "type", "data"],
        "properties": {
            "specversion": {"const": "1.0"},
            "id": text,
            "source": text,
            "type": {"const": APPLICATIONS_SUBMITTED.event_type},
            "datacontenttype": {"const": PLAIN},
            "data": data,
        },
    }
    key = {
        "name": "Idempotency-Key",
        "in": "header",
        "description": "Names the request: the same one again files nothing anew. Best a UUID, in quotes or not.",
        "schema": {"type": "string", "pattern": "^[!-~]{1,255}$"},
    }
    content = {PLAIN: {"schema": data}, STRUCTURED: {"schema": event}}
    return {"parameters": [key], "requestBody": {"required": True, "content": content}}
