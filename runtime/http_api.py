"""What our HTTP APIs share: pages that need no network, problem documents, and an OpenAPI document that is true."""

from collections.abc import Callable, Collection
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request, Response, Security
from fastapi.security import HTTPBearer
from fastapi_offline import FastAPIOffline
from starlette.exceptions import HTTPException

from runtime.http_guard import TokenGuard
from runtime.problems import MEDIA_TYPE, Problem, problem

Responses = dict[int | str, dict[str, Any]]
# What a `HostGuard` answers on every path, and a `TokenGuard` besides, the token's own refusal apart.
HOST_REFUSALS = (403, 421)
_CALLER_REFUSALS = (*HOST_REFUSALS, 429, 431)


def problems(*statuses: int, model: type[Problem] = Problem) -> Responses:
    """Return what a route declares as `responses`: problem documents of this form, with these statuses."""
    return {int(status): {"model": model, "content": {MEDIA_TYPE: {}}} for status in statuses}


def create_api(
    *, tokens: tuple[bytes, ...], per_minute: int, unguarded: Collection[str] = (), **described: Any
) -> FastAPI:
    """Return an app behind a `TokenGuard`; `/docs` and all that it loads come from here, `/openapi.json` describes it.

    Args:
        tokens: digests of the tokens that open it; none leaves it open. With tokens there is no `/docs`: a browser
            that opens a page sends none.
        per_minute: requests by one token, or one address.
        unguarded: paths that are open to everybody, beside /health and /metrics.
        described: title, version, summary and description of the OpenAPI document.

    """
    app = FastAPIOffline(docs_url=None if tokens else "/docs", redoc_url=None, **described)
    app.add_middleware(TokenGuard, tokens=tokens, per_minute=per_minute, unguarded=unguarded)
    app.add_exception_handler(HTTPException, _on_http_error)
    app.openapi = _true_document(app.openapi)  # type: ignore[method-assign]  # FastAPI's own way to change it
    return app


def guarded(tokens: tuple[bytes, ...]) -> dict[str, Any]:
    """Return what a router behind the guard is made with: its refusals, and the token where one is asked for.

    For the document only; the guard in front of the routes does the work.
    """
    if not tokens:
        return {"responses": problems(*_CALLER_REFUSALS)}
    scheme = HTTPBearer(auto_error=False, description="A token of the operator.")
    return {"responses": problems(401, *_CALLER_REFUSALS), "dependencies": [Security(scheme)]}


def _true_document(generate: Callable[[], dict[str, Any]]) -> Callable[[], dict[str, Any]]:
    """FastAPI declares the model of each further response as plain JSON; a problem's belongs to its own media type."""

    def document() -> dict[str, Any]:
        whole = generate()
        for operation in (operation for path in whole["paths"].values() for operation in path.values()):
            for response in operation["responses"].values():
                content = response.get("content", {})
                if MEDIA_TYPE in content and "application/json" in content:
                    content[MEDIA_TYPE] = content.pop("application/json")
        return whole

    return document


async def _on_http_error(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    headers = dict(error.headers or {})
    path = request.url.path
    route = getattr(request.scope.get("route"), "path", None)
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        # The error is the first route's on this path, and knows that one's methods only.
        declared = request.app.openapi()["paths"].get(route, {})
        headers |= {"Allow": ", ".join(sorted(map(str.upper, declared)))} if declared else {}
    known = error.detail != HTTPStatus(error.status_code).phrase
    detail = error.detail if known else f"{error.detail}: {path}; /openapi.json says what there is"
    return problem(error.status_code, detail, headers, instance=path)
