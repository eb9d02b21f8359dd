"""Errors as RFC 9457 problem details that name the field and say what to do."""

import unicodedata
from collections.abc import Sequence
from difflib import get_close_matches
from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response

from domain import Domain
from runtime.problems import problem
from services.scoring.api.models import FieldError
from services.scoring.store.errors import StoreError

RETRY_AFTER_S = "1"


class NotKnownError(Exception):
    """A request names something that does not exist; `field` says where it does so."""

    def __init__(self, status: HTTPStatus, field: str, detail: str) -> None:
        super().__init__(detail)
        self.status, self.field, self.detail = status, field, detail


def _problem(
    request: Request, status: int, detail: str, errors: Sequence[FieldError] = (), headers: dict[str, str] | None = None
) -> Response:
    fields = [error.model_dump() for error in errors]
    return problem(status, detail, headers, instance=request.url.path, errors=fields)


def install(app: FastAPI) -> None:
    """Let the errors of the routes leave as problems too."""

    @app.exception_handler(NotKnownError)
    def _(request: Request, error: NotKnownError) -> Response:
        return _problem(request, error.status, error.detail, [FieldError(field=error.field, detail=error.detail)])

    @app.exception_handler(RequestValidationError)
    def _(request: Request, error: RequestValidationError) -> Response:
        errors = [
            FieldError(
                field=".".join(str(part) for part in entry["loc"][1:]) or str(entry["loc"][0]), detail=entry["msg"]
            )
            for entry in error.errors()
        ]
        detail = "; ".join(f"{each.field}: {each.detail}" for each in errors)
        return _problem(
            request, HTTPStatus.UNPROCESSABLE_ENTITY, f"{detail}; /openapi.json says what is allowed", errors
        )

    @app.exception_handler(StoreError)
    def _(request: Request, error: StoreError) -> Response:
        headers = {"retry-after": RETRY_AFTER_S}
        return _problem(request, HTTPStatus.SERVICE_UNAVAILABLE, str(error), headers=headers)


def check_province(domain: Domain, province: str | None, status: HTTPStatus) -> None:
    """Refuse an unknown province and name the nearest ones.

    Raises:
        NotKnownError: with the given status.

    """
    if province is None or province in domain.provinces:
        return
    names: dict[str, str] = {}
    for code, listed in domain.provinces.items():
        names |= {_folded(name): code for name in (listed.name_vi, listed.name_en, listed.h_code, code)}
    near = dict.fromkeys(names[name] for name in get_close_matches(_folded(province), names, n=3, cutoff=0.6))
    known = ", ".join(f"{code} ({domain.provinces[code].name_vi})" for code in near)
    advice = f"did you mean {known}?" if near else "GET /rates lists the 34 codes"
    raise NotKnownError(status, "province", f"province {province!r} is not known; {advice}")


def check_procedure(domain: Domain, procedure: str | None) -> None:
    """Refuse an unknown procedure and name the nearest ones.

    Raises:
        NotKnownError: with status 422.

    """
    if procedure is None or procedure in domain.procedures:
        return
    near = get_close_matches(procedure, domain.procedures, n=3, cutoff=0.6)
    advice = f"did you mean {', '.join(near)}?" if near else "GET /rates/{province} lists codes"
    detail = f"procedure {procedure!r} is not known; {advice}"
    raise NotKnownError(HTTPStatus.UNPROCESSABLE_ENTITY, "procedure", detail)


def _folded(name: str) -> str:
    """Lower case without Vietnamese marks and blanks: how people type a name into an address."""
    plain = unicodedata.normalize("NFKD", name.lower().replace("đ", "d"))
    return "".join(letter for letter in plain if letter.isalnum())
