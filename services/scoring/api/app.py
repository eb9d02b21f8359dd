"""The read-only HTTP API over the store: rates, why not end to end, single applications, and the snapshot for verify.

Every request reads one moment of the store and lets go of it: the writer never waits, and a table is consistent.
"""

import sys
from collections.abc import Callable
from typing import NoReturn

import structlog
import typer
import uvicorn
from fastapi import FastAPI

from domain import load_domain
from runtime.errors import FatalError
from runtime.host_guard import HostGuard
from runtime.http_api import HOST_REFUSALS, create_api, guarded, problems
from runtime.http_guard import token_digests
from runtime.http_server import serve_api
from runtime.logs import configure
from runtime.measured import HTTP_METRICS, Measured
from runtime.metrics import Metrics
from runtime.settings import read_settings
from services.scoring.api import problems as api_problems
from services.scoring.api.progress import Progress, following
from services.scoring.api.routes import applications, index, operations, sets_of_reasons, snapshots, tables
from services.scoring.api.settings import ScoringApiSettings
from services.scoring.store.reader import StoreReader

log = structlog.get_logger(__name__)

METRICS = HTTP_METRICS
EXIT_USAGE = 2
# The number of runtime.process, which would bring the Kafka client along.
EXIT_FATAL = 78


def create_app(
    reader: StoreReader,
    *,
    tokens: tuple[bytes, ...] = (),
    per_minute: int = 3_000,
    allowed_hosts: str = "",
    stopping: Callable[[], bool] = lambda: False,
) -> FastAPI:
    """Return the API over a store; the store need not exist yet, then /health says so.

    Args:
        reader: of the store.
        tokens: digests of the tokens that open the API; none leaves it open.
        per_minute: requests by one token, or one address.
        allowed_hosts: names by which it may be called, as `HostGuard` takes them.
        stopping: whether the process is to end; streams end then.

    """
    known = load_domain()
    metrics = Metrics("scoring_api", METRICS)
    app = create_api(
        tokens=tokens,
        per_minute=per_minute,
        title="Paperless intake: scoring",
        version="1",
        summary="End-to-end rates of Vietnam's provinces, exactly what a recount would give.",
        description="Every rate has its numerator and denominator; see `definitions`. Times carry the offset +07:00.",
    )
    api_problems.install(app)
    for routes in (tables, sets_of_reasons, index, applications):
        app.include_router(routes(reader, known), **guarded(tokens))
    app.include_router(snapshots(reader), **guarded(tokens))
    app.include_router(following(reader, Progress(reader, stopping)), **guarded(tokens))
    app.include_router(operations(reader, metrics), responses=problems(*HOST_REFUSALS))
    app.add_middleware(HostGuard, allowed_hosts=allowed_hosts)
    app.add_middleware(Measured, metrics=metrics)
    return app


def serve(settings: ScoringApiSettings) -> int:
    """Serve until SIGTERM or SIGINT and return the exit code.

    Raises:
        FatalError: others could reach it without a token.
        OSError: the port is taken.
        ValueError: the store's address is none.

    """
    tokens = token_digests("SCORING_API", settings.http_host, settings.tokens, open_to_all=settings.open)
    reader = StoreReader(settings.store, password=settings.store_password)
    serving: list[uvicorn.Server] = []
    app = create_app(
        reader,
        tokens=tokens,
        per_minute=settings.per_minute,
        allowed_hosts=settings.allowed_hosts,
        stopping=lambda: any(server.should_exit for server in serving),
    )
    server = serve_api(
        app,
        settings.http_host,
        settings.http_port,
        listening=lambda address: log.info("serving", address=address, tokens=len(tokens), store=reader.url),
        made=serving.append,
    )
    return 0 if server.started else 1


def main() -> None:
    """Serve the scoring store's rates over HTTP, read-only.

    Settings come from the environment: SCORING_API_STORE (sqlite:///PATH or postgresql://…), SCORING_API_HTTP_HOST,
    SCORING_API_HTTP_PORT (0 picks a free one), SCORING_API_TOKENS_FILE (one token a line); all are in docs/settings.md.

    Example: SCORING_API_STORE=sqlite:///scoring.db SCORING_API_HTTP_PORT=8104 python -m services.scoring.api
    """
    settings = _settings()
    configure("scoring_api", settings.log_level)
    try:
        raise typer.Exit(serve(settings))
    except FatalError as error:
        _refuse(str(error), EXIT_FATAL)
    except ValueError as error:
        _refuse(f"SCORING_API_STORE: {error}")
    except OSError as error:
        _refuse(f"SCORING_API_HTTP_PORT {settings.http_port}: {error.strerror}; choose another, or 0 for a free one")


def _settings() -> ScoringApiSettings:
    try:
        return read_settings(ScoringApiSettings)
    except FatalError as error:
        _refuse(str(error))


def _refuse(message: str, code: int = EXIT_USAGE) -> NoReturn:
    print(f"error: {message}", file=sys.stderr)  # noqa: T201  the last line an operator sees
    raise typer.Exit(code)
