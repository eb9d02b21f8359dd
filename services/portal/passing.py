"""What the page gets through the portal: its files, tables, what-if answers, the fault plan, the stream of ticks."""

from collections.abc import Mapping
from http import HTTPStatus
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any, Final

from fastapi import APIRouter, FastAPI, Request, Response
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from runtime.event_stream import event_stream
from runtime.http_body import read_body
from runtime.problems import problem
from services.portal.api_pages import api_pages
from services.portal.live import Live
from services.portal.parts import Answer, Part, PartAwayError, PartsOfSystem

# Nothing from elsewhere, nothing inline: what a page shows of an application can never become code.
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; manifest-src 'self';"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
MEDIA_TYPES: Final = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "json": "application/json",
    "svg": "image/svg+xml",
}
# First segments of the scoring API's paths that the page may ask for; not the whole store, which is for verify.
PASSED_ON: Final = frozenset({"rates", "why", "applications", "publications", "index"})
QUESTIONS: Final = frozenset(
    {("GET", "levers"), ("GET", "answer"), ("GET", "target"), ("GET", "uncertainty"), ("POST", "play")}
)
# Paths of the mock's control API that have a route below.
CONTROL: Final = frozenset({"/plans", "/plan", "/plan/reset"})
MAX_PLAN_BYTES: Final = 64 * 1024


def page_files() -> Mapping[str, tuple[bytes, str]]:
    """Return content and media type of each file of the page by its path on the server; `/` is index.html."""
    found = {f"/web/{each.name}": each for each in (files("services.portal") / "web").iterdir() if each.is_file()}
    contents = {path: _content(each) for path, each in found.items() if path.rpartition(".")[2] in MEDIA_TYPES}
    return {"/": contents["/web/index.html"], **contents}


def _content(file: Traversable) -> tuple[bytes, str]:
    return file.read_bytes(), MEDIA_TYPES[file.name.rpartition(".")[2]]


def page_routes(parts: PartsOfSystem, live: Live) -> APIRouter:
    """Return the routes of the page; they are the page's own, so the OpenAPI document is silent about them."""
    router = APIRouter(include_in_schema=False)

    @router.get("/scoring/{path:path}")
    async def table(request: Request, path: str) -> Response:
        first, *rest = path.split("/")
        # A client of HTTP resolves dots: `rates/../store` would be another table.
        if first not in PASSED_ON or not {".", ".."}.isdisjoint(rest):
            raise HTTPException(404, f"/scoring/{path}: the page asks for {', '.join(sorted(PASSED_ON))}")
        accept = request.headers.get("accept", "application/json")
        return passed("the scoring API", await live.tables.get(f"/{path}", request.url.query, accept))

    @router.get("/planner/{question}")
    @router.post("/planner/{question}")
    async def planned(request: Request, question: str) -> Response:
        return await _planned(parts.planner, request.method, question, request.url.query)

    @router.get("/mock/plans")
    async def plans() -> Response:
        return passed(parts.mock.name, await parts.mock.ask("GET", "/plans"))

    @router.get("/mock/plan")
    async def plan() -> Response:
        return passed(parts.mock.name, await parts.mock.ask("GET", "/plan"))

    @router.put("/mock/plan")
    @router.patch("/mock/plan")
    async def change(request: Request) -> Response:
        body = await read_body(request, most_bytes=MAX_PLAN_BYTES, within_s=10, remedy="send one plan")
        return passed(parts.mock.name, await parts.mock.ask(request.method, "/plan", body=body))

    @router.post("/mock/plan/reset")
    async def reset() -> Response:
        return passed(parts.mock.name, await parts.mock.ask("POST", "/plan/reset"))

    @router.get("/stream/history")
    async def history() -> Response:
        return JSONResponse(live.history())

    @router.get("/stream")
    async def stream() -> Response:
        return event_stream(live.follow())

    return router


async def _planned(planner: Part, method: str, question: str, query: str) -> Response:
    if (method, question) not in QUESTIONS:
        known = ", ".join(sorted(" ".join(each) for each in QUESTIONS))
        raise HTTPException(404, f"{method} /planner/{question}: the page asks for {known}")
    return passed(planner.name, await planner.ask(method, f"/{question}", query=query))


def pages_of_apis(parts: PartsOfSystem, *, shown: bool) -> APIRouter:
    """Return the pages of the APIs behind the page; they come before `page_routes`, which know any table's name."""
    tables = (parts.scoring, lambda path: path.split("/")[1] in PASSED_ON)
    return api_pages({"scoring": tables, "mock": (parts.mock, CONTROL.__contains__)}, shown=shown)


def install_page(app: FastAPI, contents: Mapping[str, tuple[bytes, str]]) -> None:
    """Serve the page's files, and let a part that is away leave as a problem."""
    for path, (content, media_type) in contents.items():
        app.add_api_route(path, _file(content, media_type), include_in_schema=False, response_class=Response)

    @app.exception_handler(PartAwayError)
    def _(request: Request, error: PartAwayError) -> Response:
        return problem(503, f"{error}; ask again later", {"retry-after": "2"}, instance=request.url.path)


def _file(content: bytes, media_type: str) -> Any:
    async def served() -> Response:
        return Response(content, media_type=media_type, headers={"content-security-policy": POLICY})

    return served


def passed(part: str, answer: Answer) -> Response:
    """Return a part's answer as the portal's own.

    Raises:
        PartAwayError: the part asks for a token: the caller has shown the portal's, and cannot help.

    """
    if answer.status == HTTPStatus.UNAUTHORIZED:
        raise PartAwayError(part, "asks for a token that the portal has not been given")
    return Response(answer.body, answer.status, media_type=answer.media_type)
