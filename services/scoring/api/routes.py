"""The routes of the API: what is asked of the store, and what is answered."""

import json
from http import HTTPStatus
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import BaseModel, ConfigDict, StringConstraints

from contracts.codes import listed
from contracts.events import ApplicationId
from domain import Domain
from runtime.http_api import Responses, problems
from runtime.metrics import Metrics
from services.scoring.api.csv_tables import rates_csv, why_csv
from services.scoring.api.models import ApiProblem, Application, Health, application_view
from services.scoring.api.problems import NotKnownError, check_procedure, check_province
from services.scoring.rates.definitions import AuthorityFilter
from services.scoring.rates.index766 import IndexTable, index_table
from services.scoring.rates.rates import ProvinceRates, RatesTable, province_rates, rates_table
from services.scoring.rates.restatement import PublicationSummary, PublishedMonth, restatements
from services.scoring.rates.why import ReasonSets, WhyTable, reason_sets, why_table
from services.scoring.store.errors import StoreError
from services.scoring.store.reader import StoreReader

NOT_FOUND = problems(404, model=ApiProblem)
UNPROCESSABLE = problems(422, model=ApiProblem)
UNAVAILABLE = problems(503, model=ApiProblem)
TABLE: Responses = {
    200: {"content": {"text/csv": {}}, "description": "JSON, or CSV by `Accept` or `format=csv`."},
}
Month = Annotated[str, StringConstraints(pattern=r"^[0-9]{4}-(0[1-9]|1[0-2])$")]
# The number that a store keeps has 32 bits, as Kafka's.
MAX_PARTITIONS = 2**31
ProvinceCode = Annotated[str, listed("provinces")]
ProcedureCode = Annotated[str, listed("procedures")]


class _Query(BaseModel):
    """A misspelt filter is an error: ignoring it would answer another question."""

    model_config = ConfigDict(extra="forbid")

    month: Annotated[Month | None, Query(description="Month of the decision.", examples=["2025-10"])] = None
    procedure: Annotated[ProcedureCode | None, Query(description="Procedure code.", examples=["1.001193"])] = None
    format: Annotated[Literal["json", "csv"] | None, Query(description="Instead of the `Accept` header.")] = None


class RatesQuery(_Query):
    authority: Annotated[
        AuthorityFilter,
        Query(description="Who runs the procedures; published provincial figures are about `province`."),
    ] = "province"


class IndexQuery(BaseModel):
    model_config = ConfigDict(extra="forbid")

    month: Annotated[Month | None, Query(description="By default the newest.", examples=["2025-10"])] = None


class WhyQuery(RatesQuery):
    province: Annotated[ProvinceCode | None, Query(description="Province code.", examples=["01"])] = None


class SetsQuery(BaseModel):
    model_config = ConfigDict(extra="forbid")

    authority: AuthorityFilter = "province"
    province: Annotated[ProvinceCode | None, Query(description="Province code.", examples=["01"])] = None


def tables(reader: StoreReader, domain: Domain) -> APIRouter:
    """Return the routes of the league table and of why not end to end."""
    router = APIRouter(tags=["tables"], responses=UNPROCESSABLE | UNAVAILABLE)

    @router.get("/rates", response_model=RatesTable, responses=TABLE)
    def rates(request: Request, query: Annotated[RatesQuery, Query()]) -> Any:
        """The league table: 34 provinces by D1, the country, and who runs the procedures."""
        check_procedure(domain, query.procedure)
        table = rates_table(
            reader.cells(), domain, authority=query.authority, month=query.month, procedure=query.procedure
        )
        if _wants_csv(request, query):
            return _csv(
                rates_csv([("total", [table.total]), ("authority", table.by_authority), ("province", table.rows)])
            )
        return table

    @router.get("/rates/{province}", response_model=ProvinceRates, responses=TABLE | NOT_FOUND)
    def rates_of_province(
        request: Request,
        province: Annotated[ProvinceCode, Path(description="Province code.", examples=["01"])],
        query: Annotated[_Query, Query()],
    ) -> Any:
        """One province, by authority, month and procedure."""
        check_province(domain, province, HTTPStatus.NOT_FOUND)
        check_procedure(domain, query.procedure)
        table = province_rates(reader.cells(), domain, province, month=query.month, procedure=query.procedure)
        if _wants_csv(request, query):
            sections = [("authority", table.by_authority), ("month", table.by_month), ("procedure", table.by_procedure)]
            return _csv(rates_csv(sections))
        return table

    @router.get("/why", response_model=WhyTable, responses=TABLE)
    def why(request: Request, query: Annotated[WhyQuery, Query()]) -> Any:
        """Why not end to end: reasons, components, databases, and what lifting a reason would give."""
        check_province(domain, query.province, HTTPStatus.UNPROCESSABLE_ENTITY)
        check_procedure(domain, query.procedure)
        table = why_table(
            reader.cells(),
            domain,
            province=query.province,
            authority=query.authority,
            month=query.month,
            procedure=query.procedure,
        )
        return _csv(why_csv(table)) if _wants_csv(request, query) else table

    return router


def sets_of_reasons(reader: StoreReader, domain: Domain) -> APIRouter:
    """Return the route from which follows what lifting any reasons together would give."""
    router = APIRouter(tags=["tables"], responses=UNPROCESSABLE | UNAVAILABLE)

    @router.get("/why/sets")
    def sets(query: Annotated[SetsQuery, Query()]) -> ReasonSets:
        """How many applications have which set of reasons."""
        check_province(domain, query.province, HTTPStatus.UNPROCESSABLE_ENTITY)
        return reason_sets(reader.cells(), province=query.province, authority=query.authority)

    return router


def index(reader: StoreReader, domain: Domain) -> APIRouter:
    """Return the routes of the index of Decision 766 and of published months."""
    router = APIRouter(tags=["index"], responses=UNPROCESSABLE | UNAVAILABLE)

    @router.get("/index", responses=NOT_FOUND)
    def ranking(query: Annotated[IndexQuery, Query()]) -> IndexTable:
        """The index of Decision 766 as far as it is modelled: points, rank and movement of the provinces in a month."""
        cells = reader.cells()
        month = query.month or max((cell.month for cell in cells), default=None)
        if month is None:
            raise NotKnownError(HTTPStatus.NOT_FOUND, "month", "no outcome is counted yet, so there is no month")
        return index_table(cells, domain, month)

    @router.get("/publications")
    def publications() -> list[PublicationSummary]:
        """The published months, each with the offsets up to which it counts the log."""
        return reader.publications()

    @router.get("/publications/{month}", responses=NOT_FOUND)
    def publication(month: Annotated[Month, Path(description="A published month.")]) -> PublishedMonth:
        """A month as it was published, and beside it what arrived later: its restatements."""
        summary = next((each for each in reader.publications() if each.month == month), None)
        if summary is None:
            raise NotKnownError(HTTPStatus.NOT_FOUND, "month", f"{month} is not published; `paperless publish` does it")
        frozen = reader.published_cells(month)
        return PublishedMonth(
            publication=summary,
            rates=rates_table(frozen, domain, month=month),
            index=index_table(frozen, domain, month),
            restatements=restatements(frozen, reader.cells(), domain, month),
        )

    return router


def applications(reader: StoreReader, domain: Domain) -> APIRouter:
    """Return the routes of single applications."""
    router = APIRouter(tags=["applications"], responses=NOT_FOUND | UNPROCESSABLE | UNAVAILABLE)

    @router.get("/applications/{application_id}")
    def application(application_id: Annotated[ApplicationId, Path(description="UUIDv7 text.")]) -> Application:
        """The current outcome of one application."""
        stored = reader.application(application_id)
        if stored is None:
            detail = f"application {application_id} is not decided, or not yet, or was deleted with its month"
            raise NotKnownError(HTTPStatus.NOT_FOUND, "application_id", detail)
        return application_view(stored, domain)

    return router


def snapshots(reader: StoreReader) -> APIRouter:
    """Return the routes that verify asks."""
    router = APIRouter(tags=["operations"], responses=UNAVAILABLE)

    @router.get("/reading", response_class=Response, responses={200: {"content": {"application/json": {}}}})
    def reading() -> Response:
        """Cells, fingerprints and counters of one moment: what verify holds against the recount and the oracle.

        `outcomes` counts the stored outcomes by partition, as fingerprints must; those of months before `closed_before`
        are deleted, and still in the fingerprints.
        """
        values = reader.snapshot().to_json() | {"outcomes": reader.outcome_counts()}
        values["closed_before"] = reader.state().closed_before or None
        body = json.dumps(values, ensure_ascii=False, separators=(",", ":"))
        return Response(body, media_type="application/json")

    @router.get("/reading/{partition}", responses=UNPROCESSABLE)
    def hashes(
        partition: Annotated[int, Path(ge=0, lt=MAX_PARTITIONS, description="Partition number.")],
    ) -> dict[str, str]:
        """Content hash (16 hex digits) by application: which application makes two readings of a partition differ."""
        return {name: f"{content:016x}" for name, content in reader.content_hashes(partition).items()}

    return router


def operations(reader: StoreReader, metrics: Metrics) -> APIRouter:
    """Return /health and /metrics, which need no token."""
    router = APIRouter(tags=["operations"])

    @router.get("/health", responses={503: {"model": Health}})
    def health(response: Response) -> Health:
        """Ready when the store can be read."""
        answer = _health(reader)
        response.status_code = HTTPStatus.OK if answer.ready else HTTPStatus.SERVICE_UNAVAILABLE
        return answer

    @router.get("/metrics", response_class=Response)
    def exposition() -> Response:
        """Metrics as Prometheus reads them."""
        return Response(metrics.exposition(), media_type="text/plain; version=0.0.4; charset=utf-8")

    return router


def _health(reader: StoreReader) -> Health:
    try:
        version, offsets, closed_before = reader.state()
    except StoreError as error:
        return Health(ready=False, reasons=[str(error)], store=reader.url, schema_version=None, next_offsets={})
    return Health(
        ready=True,
        reasons=[],
        store=reader.url,
        schema_version=version,
        next_offsets=offsets,
        closed_before=closed_before or None,
    )


def _wants_csv(request: Request, query: _Query) -> bool:
    if query.format is not None:
        return query.format == "csv"
    accepted = request.headers.get("accept", "")
    return "text/csv" in accepted and "application/json" not in accepted


def _csv(text: str) -> Response:
    return Response(text, media_type="text/csv; charset=utf-8")
