"""What a request files: JSON, or a CloudEvent over HTTP in binary or structured mode, held against the contract.

Pure: headers and body in, a `Filing` out, or a `FilingError` that names every field and place.
"""

import re
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, Final, NamedTuple
from urllib.parse import unquote

import orjson
from pydantic import ValidationError

from contracts.errors import Reject
from contracts.events import ApplicationSubmitted
from contracts.submissions import SubmissionCheck
from contracts.topics import APPLICATIONS_SUBMITTED
from services.portal.identity import id_of_key

PLAIN: Final = "application/json"
STRUCTURED: Final = "application/cloudevents+json"
SOURCE: Final = "/services/portal"
# What the CloudEvents HTTP binding requires of an event, beside its data.
_ATTRIBUTES: Final = ("specversion", "id", "source", "type")
_KEY = re.compile(r"[\x21-\x7e]{1,255}")
MAX_ATTRIBUTE: Final = 512


class FieldFault(NamedTuple):
    """One fault: the field (dotted; `Idempotency-Key` and the like for a header), what is wrong with it."""

    field: str
    detail: str


class FilingError(Exception):
    """A request that files nothing; `reason` is the slug that a dead letter of intake would have, if it has one."""

    def __init__(self, status: int, *faults: FieldFault, reason: str | None = None) -> None:
        super().__init__("; ".join(f"{fault.field}: {fault.detail}" for fault in faults))
        self.status, self.faults, self.reason = status, faults, reason


class Filing(NamedTuple):
    """An application as it is to be written.

    `value` is the record's: one text for one application, whatever blanks and unknown fields the request had. `key` is
    what names the application beside its own id: an idempotency key, or source and id of a CloudEvent. `repeatable`:
    the same request again is the same application.
    """

    application: ApplicationSubmitted
    value: bytes
    event_id: str
    source: str
    key: str | None
    repeatable: bool

    @property
    def application_id(self) -> str:
        return self.application.application_id


def read_filing(headers: Mapping[str, str], body: bytes, check: SubmissionCheck, fresh_id: Callable[[], str]) -> Filing:
    """Return what a request files.

    Args:
        headers: of the request, names in lower case.
        body: of the request, within the limits.
        check: the administrative facts.
        fresh_id: returns an application id that no other application has.

    Raises:
        FilingError: 400 no JSON or no usable key, 415 another media type, 422 the contract or the facts say no.

    """
    media_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type not in {PLAIN, STRUCTURED} or headers.get("content-encoding", "identity") != "identity":
        wanted = f"send {PLAIN}, or {STRUCTURED}, not compressed"
        raise FilingError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, FieldFault("Content-Type", wanted))
    fields = _object(body, "body")
    event = _structured(fields) if media_type == STRUCTURED else _binary(headers)
    data = fields if event is None or media_type == PLAIN else _data(event)
    key = _idempotency_key(headers) or (event and f"{event['source']} {event['id']}") or None
    given = data.get("application_id")
    application = _application({**data, "application_id": given or (id_of_key(key) if key else fresh_id())}, check)
    own = (f"{application.application_id}/submitted", SOURCE)
    event_id, source = (event["id"], event["source"]) if event else own
    return Filing(
        application, application.model_dump_json().encode(), event_id, source, key, bool(given) or key is not None
    )


def _object(body: bytes, place: str) -> dict[str, Any]:
    try:
        fields = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise FilingError(HTTPStatus.BAD_REQUEST, FieldFault(place, f"no JSON ({error})")) from None
    if not isinstance(fields, dict):
        raise FilingError(
            HTTPStatus.UNPROCESSABLE_ENTITY, FieldFault(place, "no object; send the application's fields")
        )
    return fields


def _idempotency_key(headers: Mapping[str, str]) -> str | None:
    """Return the key of draft-ietf-httpapi-idempotency-key-header: a quoted text; bare ones are common, and taken."""
    given = headers.get("idempotency-key")
    if given is None:
        return None
    key = given[1:-1] if len(given) > 1 and given[0] == given[-1] == '"' else given
    if not _KEY.fullmatch(key):
        detail = "1 to 255 visible ASCII characters, best a UUID: who guesses the key knows the application's id"
        raise FilingError(HTTPStatus.BAD_REQUEST, FieldFault("Idempotency-Key", detail))
    return key


def _binary(headers: Mapping[str, str]) -> dict[str, Any] | None:
    """Return the attributes that `ce-` headers carry; None where the request is no CloudEvent."""
    if "ce-specversion" not in headers:
        return None
    attributes = {name: headers.get(f"ce-{name}") for name in _ATTRIBUTES}
    return _checked({name: value and unquote(value) for name, value in attributes.items()}, "ce-")


def _structured(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {**fields, **_checked({name: fields.get(name) for name in _ATTRIBUTES}, "")}


def _checked(attributes: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    wanted = {"specversion": "1.0", "type": APPLICATIONS_SUBMITTED.event_type}
    faults = [
        FieldFault(f"{prefix}{name}", f"must be {wanted.get(name, f'a text of 1 to {MAX_ATTRIBUTE} characters')}")
        for name, value in attributes.items()
        if not isinstance(value, str)
        or not 0 < len(value) <= MAX_ATTRIBUTE
        or not value.isprintable()
        or value != wanted.get(name, value)
    ]
    if faults:
        raise FilingError(HTTPStatus.UNPROCESSABLE_ENTITY, *faults)
    return dict(attributes)


def _data(event: Mapping[str, Any]) -> dict[str, Any]:
    media_type = event.get("datacontenttype", PLAIN)
    if media_type != PLAIN or "data_base64" in event:
        raise FilingError(HTTPStatus.UNPROCESSABLE_ENTITY, FieldFault("datacontenttype", f"send {PLAIN} in `data`"))
    data = event.get("data")
    if not isinstance(data, dict):
        raise FilingError(
            HTTPStatus.UNPROCESSABLE_ENTITY, FieldFault("data", "no object; send the application's fields")
        )
    return data


def _application(fields: Mapping[str, Any], check: SubmissionCheck) -> ApplicationSubmitted:
    try:
        # Through JSON again: in strict mode a text is a time there, and nowhere else.
        application = ApplicationSubmitted.model_validate_json(orjson.dumps(fields))
        check.check(application)
    except ValidationError as error:
        # Values are left out: a refusal may be logged, or shown to somebody else than who filed.
        found = error.errors(include_url=False, include_context=False, include_input=False)
        faults = [FieldFault(".".join(map(str, each["loc"])) or "body", each["msg"]) for each in found]
        raise FilingError(HTTPStatus.UNPROCESSABLE_ENTITY, *faults, reason="breaks_contract") from error
    except Reject as refused:
        field, _, detail = refused.detail.partition(": ")
        fault = FieldFault(field, detail)
        raise FilingError(HTTPStatus.UNPROCESSABLE_ENTITY, fault, reason=refused.reason) from refused
    return application
