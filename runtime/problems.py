"""Errors of an HTTP API as problem documents (RFC 9457)."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

from pydantic import BaseModel, ConfigDict
from starlette.responses import JSONResponse

MEDIA_TYPE: Final = "application/problem+json"


class Problem(BaseModel):
    """An error (RFC 9457): `detail` says what to do, `instance` is the path that was asked for."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    instance: str


def problem(status: int, detail: str, headers: Mapping[str, str] | None = None, **members: object) -> JSONResponse:
    """Return a problem; `detail` says what to do, `members` are those beside the four that every problem has."""
    body = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": int(status), "detail": detail}
    return JSONResponse({**body, **members}, int(status), headers, MEDIA_TYPE)
