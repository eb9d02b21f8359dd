"""Takes applications: each once, whoever repeats the request, and never another one under the same name."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final, NamedTuple, Protocol

from pydantic import ValidationError

from contracts.events import ApplicationSubmitted
from contracts.records import Headers, header_maker
from contracts.topics import APPLICATIONS_SUBMITTED
from runtime.messages import Message, Record
from runtime.tracing import Tracing
from services.portal.filing import FieldFault, Filing, FilingError
from services.portal.outbox import Filed

# Some 200 bytes each. Beyond, a key that is used again for another application with an id of its own is not noticed.
KEYS_KEPT: Final = 10_000
_KEY_FIELD: Final = "Idempotency-Key"


class Taken(NamedTuple):
    """Where an application lies, and whether it did so before."""

    partition: int
    offset: int
    repeated: bool


class Submissions(Protocol):
    """What is asked of the log; see `services.portal.applications.Applications`."""

    def partition(self, application_id: str) -> int: ...
    async def submission(self, application_id: str) -> Record | None: ...


class Writes(Protocol):
    """What writes; see `services.portal.outbox.Outbox`."""

    async def file(self, message: Message, partition: int) -> Filed: ...


@dataclass(slots=True)
class _Sending:
    """One message on its way; what is called when that is over."""

    when_sent: list[Callable[[], object]]


class Desk:
    """Files applications.

    What an idempotency key stood for follows from the log: the application's id follows from the key, and its
    submission is read back. Only that a key came with two ids of the client's own is remembered here.

    Args:
        submissions: finds what was filed.
        outbox: writes.
        tracing: begins the trace of each application.

    """

    def __init__(
        self,
        submissions: Submissions,
        outbox: Writes,
        tracing: Tracing | None = None,
    ) -> None:
        self._submissions, self._outbox, self._tracing = submissions, outbox, tracing or Tracing()
        self._under_way: set[str] = set()
        self._ids_of_keys: OrderedDict[str, str] = OrderedDict()

    async def take(self, filing: Filing) -> Taken:
        """File an application, or find that it was filed.

        Raises:
            FilingError: 409 the same is being filed just now, or another application has this id; 422 the key was used
                for another application (draft-ietf-httpapi-idempotency-key-header, section 2.7).
            LogAwayError: whether it was filed before cannot be read.
            NotFiledError: the broker has not said that it has it.

        """
        self._check_key(filing)
        if filing.application_id in self._under_way:
            detail = "this application is being filed by another request; ask for its status"
            raise FilingError(HTTPStatus.CONFLICT, FieldFault("application_id", detail))
        self._under_way.add(filing.application_id)
        try:
            return (filing.repeatable and await self._found(filing)) or await self._filed(filing)
        finally:
            self._under_way.discard(filing.application_id)

    def _check_key(self, filing: Filing) -> None:
        if filing.key is None:
            return
        if self._ids_of_keys.setdefault(filing.key, filing.application_id) != filing.application_id:
            raise _reused()
        if len(self._ids_of_keys) > KEYS_KEPT:
            self._ids_of_keys.popitem(last=False)

    async def _found(self, filing: Filing) -> Taken | None:
        record = await self._submissions.submission(filing.application_id)
        if record is None:
            return None
        if not _says(record, filing.application):
            raise _reused() if filing.key else _another(filing)
        return Taken(record.partition, record.offset, repeated=True)

    async def _filed(self, filing: Filing) -> Taken:
        headers: Headers = header_maker(filing.source, APPLICATIONS_SUBMITTED.event_type)(filing.event_id)
        key = filing.application_id.encode()
        sending = _Sending([])
        message = self._tracing.begin((APPLICATIONS_SUBMITTED.name, key, filing.value, headers), sending)
        try:
            filed = await self._outbox.file(message, self._submissions.partition(filing.application_id))
        finally:
            for end in sending.when_sent:
                end()
        return Taken(filed.partition, filed.offset, repeated=False)


def _says(record: Record, application: ApplicationSubmitted) -> bool:
    """Whether a record says the same, in whatever JSON."""
    try:
        return ApplicationSubmitted.model_validate_json(record.value or b"") == application
    except ValidationError:
        return False


def _reused() -> FilingError:
    detail = "this key was used for another application; a new application needs a new key"
    return FilingError(HTTPStatus.UNPROCESSABLE_ENTITY, FieldFault(_KEY_FIELD, detail), reason="key_reused")


def _another(filing: Filing) -> FilingError:
    detail = f"{filing.application_id} was filed with other contents; a new application needs a new id"
    return FilingError(HTTPStatus.CONFLICT, FieldFault("application_id", detail), reason="id_reused")
