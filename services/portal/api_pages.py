"""The pages of the APIs behind the page, at the portal's own address: what it passes on of them, and nothing else."""

from collections.abc import Callable, Mapping
from typing import Any, Final

import orjson
from fastapi import APIRouter, Response
from fastapi.openapi.docs import get_swagger_ui_html
from starlette.responses import HTMLResponse

from services.portal.parts import Part

# Where FastAPIOffline keeps what such a page loads.
STATIC: Final = "/static-offline-docs"


def api_pages(parts: Mapping[str, tuple[Part, Callable[[str], bool]]], *, shown: bool) -> APIRouter:
    """Return `/NAME/docs` and `/NAME/openapi.json` for each part.

    Args:
        parts: by the first segment of their paths here: whom to ask, and which of its own paths are passed on.
        shown: whether there are pages; a browser that opens one sends no token.

    """
    router = APIRouter(include_in_schema=False)
    for name, (part, passes) in parts.items():
        router.add_api_route(f"/{name}/openapi.json", _document(name, part, passes), response_class=Response)
        if shown:
            router.add_api_route(f"/{name}/docs", _page(name, part), response_class=HTMLResponse)
    return router


def _document(name: str, part: Part, passes: Callable[[str], bool]) -> Callable[..., Any]:
    async def document() -> Response:
        answer = await part.ask("GET", "/openapi.json")
        if answer.status == 200:
            whole = orjson.loads(answer.body)
            whole["servers"] = [{"url": f"/{name}"}]
            whole["paths"] = {path: each for path, each in whole["paths"].items() if passes(path)}
            return Response(orjson.dumps(whole), media_type="application/json")
        return Response(answer.body, answer.status, media_type=answer.media_type)

    return document


def _page(name: str, part: Part) -> Callable[..., Any]:
    async def page() -> HTMLResponse:
        return get_swagger_ui_html(
            openapi_url=f"/{name}/openapi.json",
            title=part.name,
            swagger_js_url=f"{STATIC}/swagger-ui-bundle.js",
            swagger_css_url=f"{STATIC}/swagger-ui.css",
            swagger_favicon_url="/web/icon.svg",
        )

    return page
