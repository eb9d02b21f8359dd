"""Errors as RFC 9457 problem details that name the field and say what to do."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response

from runtime.problems import problem
from services.portal.filing import FieldFault, FilingError
from services.portal.log import LogAwayError
from services.portal.outbox import NotFiledError

RETRY_AFTER_S: Final = "2"


class NotKnownError(Exception):
    """No record of this application was found where it was looked for."""

    def __init__(self, application_id: str, recent: int) -> None:
        super().__init__(
            f"application {application_id} is not among the newest {recent:,} submissions; an older one is found by the"
            " link that filing it gave (`at`), as long as the log keeps it"
        )


class TooManyStreamsError(Exception):
    """As many applications are followed as may be."""

    def __init__(self, streams: int) -> None:
        super().__init__(f"{streams} applications are being followed; ask for the status instead, or again later")


def install(app: FastAPI) -> None:
    """Let the errors of the routes leave as problems."""

    @app.exception_handler(FilingError)
    def _(request: Request, error: FilingError) -> Response:
        return _problem(request, error.status, str(error), error.faults, reason=error.reason)

    @app.exception_handler(NotKnownError)
    def _(request: Request, error: NotKnownError) -> Response:
        return _problem(request, HTTPStatus.NOT_FOUND, str(error))

    @app.exception_handler(RequestValidationError)
    def _(request: Request, error: RequestValidationError) -> Response:
        faults = [
            FieldFault(".".join(map(str, each["loc"][1:])) or str(each["loc"][0]), each["msg"])
            for each in error.errors()
        ]
        detail = "; ".join(f"{fault.field}: {fault.detail}" for fault in faults)
        return _problem(request, HTTPStatus.UNPROCESSABLE_ENTITY, detail, faults)

    @app.exception_handler(NotFiledError)
    def _(request: Request, error: NotFiledError) -> Response:
        name = request.state.application_id
        detail = (
            f"{error}; the application may be filed all the same: repeat the request with application_id {name}, or"
            " with the same Idempotency-Key, and it is one"
        )
        return _away(request, detail, application_id=name)

    @app.exception_handler(LogAwayError)
    def _(request: Request, error: LogAwayError) -> Response:
        return _away(request, f"{error}; ask again later")

    @app.exception_handler(TooManyStreamsError)
    def _(request: Request, error: TooManyStreamsError) -> Response:
        return _away(request, str(error))


def _away(request: Request, detail: str, **members: Any) -> Response:
    headers = {"retry-after": RETRY_AFTER_S}
    return _problem(request, HTTPStatus.SERVICE_UNAVAILABLE, detail, headers=headers, **members)


def _problem(
    request: Request,
    status: int,
    detail: str,
    faults: Sequence[FieldFault] = (),
    *,
    headers: dict[str, str] | None = None,
    **members: object,
) -> Response:
    errors = [fault._asdict() for fault in faults]
    return problem(status, detail, headers, instance=request.url.path, errors=errors, **members)
