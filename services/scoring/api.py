"""The read-only HTTP API over the store: rates, why not end to end, single applications, and the reading for verify.

Every request reads one moment of the store and lets go of it: the writer never waits, and a table is consistent.
"""

import asyncio
import json
import signal
import socket
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from http import HTTPStatus
from typing import Annotated, Any, Literal

import structlog
import typer
import uvicorn
from fastapi import APIRouter, FastAPI, Path, Query, Request, Response
from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError

from contracts.events import ApplicationId
from domain import Domain, domain
from runtime.logs import configure
from runtime.metrics import Metric, Metrics
from services.scoring import api_problems
from services.scoring.api_csv import rates_csv, why_csv
from services.scoring.api_models import (
    Application,
    AuthorityFilter,
    Health,
    Problem,
    ProvinceRates,
    RatesTable,
    WhyTable,
)
from services.scoring.api_problems import NotKnownError, check_procedure, check_province
from services.scoring.api_settings import ScoringApiSettings
from services.scoring.api_views import application_view
from services.scoring.rates import province_rates, rates_table
from services.scoring.reader import StoreReader
from services.scoring.store_errors import StoreError
from services.scoring.why import why_table

log = structlog.get_logger(__name__)

METRICS = (
    Metric("counter", "requests_total", "Requests answered.", ("route", "status")),
    Metric("histogram", "request_seconds", "Time to the answer, reading the store included."),
)
GRACE_S = 5
EXIT_USAGE = 2
PROBLEM: dict[str, Any] = {"model": Problem, "content": {api_problems.MEDIA_TYPE: {}}}
RESPONSES: dict[int | str, dict[str, Any]] = {422: PROBLEM, 503: PROBLEM}
CSV: dict[str, Any] = {"content": {"text/csv": {}}, "description": "JSON, or CSV by `Accept` or `format=csv`."}
Month = Annotated[str, StringConstraints(pattern=r"^\d{4}-(0[1-9]|1[0-2])$")]


class _Query(BaseModel):
    """A misspelt filter is an error: ignoring it would answer another question."""

    model_config = ConfigDict(extra="forbid")

    month: Annotated[Month | None, Query(description="Month of the decision.", examples=["2025-10"])] = None
    procedure: Annotated[str | None, Query(description="Procedure code.", examples=["1.001193"])] = None
    format: Annotated[Literal["json", "csv"] | None, Query(description="Instead of the `Accept` header.")] = None


class RatesQuery(_Query):
    authority: Annotated[
        AuthorityFilter,
        Query(description="Who runs the procedures; published provincial figures are about `province`."),
    ] = "province"


class WhyQuery(RatesQuery):
    province: Annotated[str | None, Query(description="Province code.", examples=["01"])] = None


def create_app(reader: StoreReader, facts: Domain | None = None) -> FastAPI:
    """Return the API over a store; the store need not exist yet, then /health says so."""
    known = facts or domain()
    metrics = Metrics("scoring_api", METRICS)
    app = FastAPI(
        title="Paperless intake: scoring",
        version="1",
        summary="End-to-end rates of Vietnam's provinces, exactly what a recount would give.",
        description="Every rate has its numerator and denominator; see `definitions`. Times carry the offset +07:00.",
    )
    api_problems.install(app)
    app.include_router(_tables(reader, known))
    app.include_router(_applications(reader, known))
    app.include_router(_operations(reader, metrics))

    @app.middleware("http")
    async def _measure(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        started = time.perf_counter()
        response = await call_next(request)
        # The route, not the path: an address made up by a caller must not become a label.
        route = getattr(request.scope.get("route"), "path", "unmatched")
        metrics.count("requests_total", route=route, status=str(response.status_code))
        metrics.observe("request_seconds", time.perf_counter() - started)
        return response

    return app


def _tables(reader: StoreReader, facts: Domain) -> APIRouter:
    router = APIRouter(tags=["tables"], responses=RESPONSES)

    @router.get("/rates", response_model=RatesTable, responses={200: CSV})
    def rates(request: Request, query: Annotated[RatesQuery, Query()]) -> Any:
        """The league table: 34 provinces by D1, the country, and who runs the procedures."""
        check_procedure(facts, query.procedure)
        table = rates_table(
            reader.cells(), facts, authority=query.authority, month=query.month, procedure=query.procedure
        )
        if _wants_csv(request, query):
            return _csv(
                rates_csv([("total", [table.total]), ("authority", table.by_authority), ("province", table.rows)])
            )
        return table

    @router.get("/rates/{province}", response_model=ProvinceRates, responses={200: CSV, 404: PROBLEM})
    def rates_of_province(
        request: Request,
        province: Annotated[str, Path(description="Province code.", examples=["01"])],
        query: Annotated[_Query, Query()],
    ) -> Any:
        """One province, by authority, month and procedure."""
        check_province(facts, province, HTTPStatus.NOT_FOUND)
        check_procedure(facts, query.procedure)
        table = province_rates(reader.cells(), facts, province, month=query.month, procedure=query.procedure)
        if _wants_csv(request, query):
            sections = [("authority", table.by_authority), ("month", table.by_month), ("procedure", table.by_procedure)]
            return _csv(rates_csv(sections))
        return table

    @router.get("/why", response_model=WhyTable, responses={200: CSV})
    def why(request: Request, query: Annotated[WhyQuery, Query()]) -> Any:
        """Why not end to end: reasons, components, databases, and what lifting a reason would give."""
        check_province(facts, query.province, HTTPStatus.UNPROCESSABLE_ENTITY)
        check_procedure(facts, query.procedure)
        table = why_table(
            reader.cells(),
            facts,
            province=query.province,
            authority=query.authority,
            month=query.month,
            procedure=query.procedure,
        )
        return _csv(why_csv(table)) if _wants_csv(request, query) else table

    return router


def _applications(reader: StoreReader, facts: Domain) -> APIRouter:
    router = APIRouter(tags=["applications"], responses=RESPONSES | {404: PROBLEM})

    @router.get("/applications/{application_id}")
    def application(application_id: Annotated[ApplicationId, Path(description="UUIDv7 text.")]) -> Application:
        """The current outcome of one application."""
        row = reader.application(application_id)
        if row is None:
            detail = f"application {application_id} is not decided, or not yet; open applications are not stored"
            raise NotKnownError(HTTPStatus.NOT_FOUND, "application_id", detail)
        return application_view(row, facts)

    return router


def _operations(reader: StoreReader, metrics: Metrics) -> APIRouter:
    router = APIRouter(tags=["operations"])

    @router.get("/health", responses={503: {"model": Health}})
    def health(response: Response) -> Health:
        """Ready when the store can be read."""
        found = _health(reader)
        response.status_code = HTTPStatus.OK if found.ready else HTTPStatus.SERVICE_UNAVAILABLE
        return found

    @router.get("/metrics", response_class=Response)
    def exposition() -> Response:
        """Metrics as Prometheus reads them."""
        return Response(metrics.exposition(), media_type="text/plain; version=0.0.4; charset=utf-8")

    @router.get("/reading", response_class=Response, responses={200: {"content": {"application/json": {}}}})
    def reading() -> Response:
        """Cells, fingerprints and counters of one moment: what verify holds against the recount and the oracle.

        `outcomes` counts the stored outcomes by partition, as fingerprints must.
        """
        found = reader.reading().to_json() | {"outcomes": reader.outcome_counts()}
        body = json.dumps(found, ensure_ascii=False, separators=(",", ":"))
        return Response(body, media_type="application/json")

    @router.get("/reading/{partition}")
    def hashes(partition: Annotated[int, Path(ge=0, description="Partition number.")]) -> dict[str, str]:
        """Content hash (16 hex digits) by application: which application makes two readings of a partition differ."""
        return {name: f"{content:016x}" for name, content in reader.content_hashes(partition).items()}

    return router


def _health(reader: StoreReader) -> Health:
    try:
        version, offsets = reader.state()
    except StoreError as error:
        return Health(ready=False, reasons=[str(error)], store=reader.url, schema_version=None, next_offsets={})
    return Health(ready=True, reasons=[], store=reader.url, schema_version=version, next_offsets=offsets)


def _wants_csv(request: Request, query: _Query) -> bool:
    if query.format is not None:
        return query.format == "csv"
    accepted = request.headers.get("accept", "")
    return "text/csv" in accepted and "application/json" not in accepted


def _csv(text: str) -> Response:
    return Response(text, media_type="text/csv; charset=utf-8")


def serve(settings: ScoringApiSettings) -> int:
    """Serve until SIGTERM or SIGINT and return the exit code.

    Raises:
        OSError: the port is taken.
        ValueError: the store's address is none.

    """
    app = create_app(StoreReader(settings.store))
    config = uvicorn.Config(app, log_config=None, access_log=False, timeout_graceful_shutdown=GRACE_S)
    server = uvicorn.Server(config)
    # uvicorn raises the signal again after a graceful stop; it must find a handler that leaves the exit code alone.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    with socket.create_server((settings.http_host, settings.http_port)) as listener, suppress(KeyboardInterrupt):
        # asyncio sets this only on listeners it made itself; without it every small answer waits 40 ms for an ACK.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        address = "http://{}:{}".format(*listener.getsockname()[:2])
        log.info("serving", address=address, docs=f"{address}/docs", store=settings.store)
        asyncio.run(server.serve(sockets=[listener]))
    return 0


def main() -> None:
    """Serve the scoring store's rates over HTTP, read-only.

    Settings come from the environment: SCORING_API_STORE (sqlite:///PATH), SCORING_API_HTTP_HOST,
    SCORING_API_HTTP_PORT (0 picks a free one), SCORING_API_LOG_LEVEL.

    Example: SCORING_API_STORE=sqlite:///scoring.db SCORING_API_HTTP_PORT=8104 python -m services.scoring.api
    """
    try:
        settings = ScoringApiSettings()
        configure("scoring_api", settings.log_level)
        raise typer.Exit(serve(settings))
    except ValidationError as error:
        fields = "; ".join(f"SCORING_API_{str(e['loc'][0]).upper()}: {e['msg']}" for e in error.errors())
        _refuse(fields)
    except ValueError as error:
        _refuse(f"SCORING_API_STORE: {error}")
    except OSError as error:
        _refuse(f"SCORING_API_HTTP_PORT {settings.http_port}: {error.strerror}; choose another, or 0 for a free one")


def _refuse(message: str) -> None:
    print(f"error: {message}", file=sys.stderr)  # noqa: T201  the last line an operator sees
    raise typer.Exit(EXIT_USAGE)


if __name__ == "__main__":
    typer.run(main)
