"""The scoring API as this command asks it: each question with the type of its answer, each failure in a sentence.

A question knows its path, its filters and how its answer is read; `ask` and `ask_async` put it over a client that keeps
its connection. The tables come back as the values that the API made of the cells.
"""

import json
from collections.abc import AsyncIterator, Callable, Mapping
from functools import cache
from typing import Any, Final, Generic, Literal, NamedTuple, TypeVar

import httpx
from pydantic import SecretStr, TypeAdapter
from pydantic_settings import SettingsConfigDict

from paperless.http_client import async_http_client, http_client
from runtime.errors import FatalError
from runtime.settings import EnvironmentSettings, read_settings
from services.scoring.api.models import Health
from services.scoring.rates.index766 import IndexTable
from services.scoring.rates.rates import RatesTable
from services.scoring.rates.restatement import PublishedMonth
from services.scoring.rates.why import WhyTable
from services.scoring.rollup.cells import Snapshot

A = TypeVar("A")
# Of a server-sent event.
_DATA: Final = "data: "


class ScoringApiError(RuntimeError):
    """The API does not answer, refuses a question, or answers something else; says where, what, and what to do."""


class ApiTokenError(ScoringApiError):
    """The token cannot be read; says from where."""


class Question(NamedTuple, Generic[A]):
    """A GET request: `read` makes the answer of its body, and raises ValueError where it is none.

    `unready`: status 503 carries an answer too, not an error.
    """

    path: str
    read: Callable[[bytes], A]
    query: Mapping[str, str] = {}
    unready: bool = False

    def as_csv(self) -> "Question[str]":
        """Return the question for the same table as CSV."""
        return Question(self.path, bytes.decode, {**self.query, "format": "csv"})


class LiveStore(NamedTuple):
    """What the live store holds: its snapshot, and how many outcomes it has by partition.

    `closed_before`: the outcomes decided before this month, YYYY-MM, were deleted; None if none were.
    """

    snapshot: Snapshot
    outcomes: Mapping[int, int]
    closed_before: str | None


def rates(**filters: str | None) -> Question[RatesTable]:
    """Ask for the league table; filters are `authority`, `month` and `procedure`."""
    return Question("/rates", _rates_table().validate_json, _given(filters))


def why(**filters: str | None) -> Question[WhyTable]:
    """Ask why applications did not end end to end; filters as for `rates`, and `province`."""
    return Question("/why", _why_table().validate_json, _given(filters))


def index(**filters: str | None) -> Question[IndexTable]:
    """Ask for the index of Decision 766; the filter is `month`."""
    return Question("/index", _index_table().validate_json, _given(filters))


def published_month(month: str) -> Question[PublishedMonth]:
    """Ask for a month as it was published, with its restatements."""
    return Question(f"/publications/{month}", _published_month().validate_json)


def content_hashes(partition: int) -> Question[dict[str, int]]:
    """Ask for the content hash of every application of a partition."""
    return Question(f"/reading/{partition}", _content_hashes)


def _given(filters: Mapping[str, str | None]) -> dict[str, str]:
    return {name: value for name, value in filters.items() if value is not None}


# Made when they are needed: each takes some milliseconds.
@cache
def _rates_table() -> TypeAdapter[RatesTable]:
    return TypeAdapter(RatesTable)


@cache
def _why_table() -> TypeAdapter[WhyTable]:
    return TypeAdapter(WhyTable)


@cache
def _index_table() -> TypeAdapter[IndexTable]:
    return TypeAdapter(IndexTable)


@cache
def _published_month() -> TypeAdapter[PublishedMonth]:
    return TypeAdapter(PublishedMonth)


def _live_store(body: bytes) -> LiveStore:
    values = json.loads(body)
    outcomes = {int(partition): int(count) for partition, count in values["outcomes"].items()}
    return LiveStore(Snapshot.from_json(values), outcomes, values.get("closed_before"))


def _content_hashes(body: bytes) -> dict[str, int]:
    return {application_id: int(digits, 16) for application_id, digits in json.loads(body).items()}


class Moved(NamedTuple):
    """How far the store has come: the next offset by partition, and how long before, at most, it came there."""

    next_offsets: Mapping[int, int]
    unseen_s: float


def _moved(line: str) -> Moved:
    values = json.loads(line)
    offsets = {int(partition): int(offset) for partition, offset in values["next_offsets"].items()}
    return Moved(offsets, values["unseen_ms"] / 1000)


HEALTH: Final = Question("/health", Health.model_validate_json, unready=True)
# The path is older than the name: what is read there, at one moment, is called a snapshot everywhere else.
LIVE_STORE: Final = Question("/reading", _live_store)


def client(url: str, *, timeout_s: float = 30) -> httpx.Client:
    """Return a client for `ask`, which shows the token of `authorization`; a context manager.

    Raises:
        ApiTokenError: the token cannot be read.
        CertificateError: the certificates for an https address cannot be read.

    """
    return http_client(url, headers=authorization(), timeout_s=timeout_s)


def async_client(url: str, *, timeout_s: float = 30) -> httpx.AsyncClient:
    """Return a client for `ask_async`; otherwise as `client`."""
    return async_http_client(url, headers=authorization(), timeout_s=timeout_s)


def ask(api: httpx.Client, question: Question[A]) -> A:
    """Return the answer to a question.

    Raises:
        ScoringApiError: it is not answered, or refused.

    """
    try:
        response = api.get(question.path, params=question.query)
    except httpx.HTTPError as error:
        raise _silent(api, question, error) from error
    return _answer(response, question)


async def ask_async(api: httpx.AsyncClient, question: Question[A]) -> A:
    """Return the answer to a question; errors as `ask`."""
    try:
        response = await api.get(question.path, params=question.query)
    except httpx.HTTPError as error:
        raise _silent(api, question, error) from error
    return _answer(response, question)


async def follow(api: httpx.AsyncClient) -> AsyncIterator[Moved]:
    """Yield how far the store has come whenever it moves, at least every second, until the API ends.

    Raises:
        ScoringApiError: it does not answer, refuses, or falls silent for longer than the client waits.

    """
    progress = Question("/progress", bytes.decode)
    try:
        async with api.stream("GET", progress.path) as response:
            if response.is_error:
                await response.aread()
                _answer(response, progress)
            async for line in response.aiter_lines():
                if line.startswith(_DATA):
                    yield _moved(line[len(_DATA) :])
    except httpx.HTTPError as error:
        raise _silent(api, progress, error) from error


def _silent(api: httpx.Client | httpx.AsyncClient, question: Question[Any], error: Exception) -> ScoringApiError:
    url = str(api.base_url).rstrip("/")
    return ScoringApiError(f"{url}{question.path} does not answer ({error!r}); is the system running?")


def _answer(response: httpx.Response, question: Question[A]) -> A:
    if response.is_error and not (question.unready and response.status_code == httpx.codes.SERVICE_UNAVAILABLE):
        raise ScoringApiError(f"{_place(response)}: {_detail(response)}")
    try:
        return question.read(response.content)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        why = " ".join(str(error).split())[:200]
        message = f"{_place(response)}: another answer than expected ({why}); is it of this version?"
        raise ScoringApiError(message) from error


def _place(response: httpx.Response) -> str:
    return str(response.url.copy_with(query=None))


def _detail(response: httpx.Response) -> str:
    """Return what a problem document says, or else the body."""
    try:
        return str(response.json()["detail"])
    except (ValueError, KeyError, TypeError):
        return f"{response.status_code} {response.reason_phrase} {response.text}".strip()


class Tokens(EnvironmentSettings):
    model_config = SettingsConfigDict(env_prefix="PAPERLESS_")

    api_token: SecretStr | None = None
    portal_token: SecretStr | None = None


def authorization(name: Literal["api_token", "portal_token"] = "api_token") -> dict[str, str]:
    """Return the headers with the token of `PAPERLESS_API_TOKEN`, or of the file PAPERLESS_API_TOKEN_FILE, if any.

    The portal has one of its own: PAPERLESS_PORTAL_TOKEN.

    A token never stands on a command line. Of several, parted by white space, the last one is shown: a new one is added
    at the end.

    Raises:
        ApiTokenError: the file cannot be read, or is empty.

    """
    try:
        token: SecretStr | None = getattr(read_settings(Tokens), name)
    except FatalError as error:
        raise ApiTokenError(f"{error}; name a file with a token of the API") from error
    if token is None:
        return {}
    words = token.get_secret_value().split()
    if not words:
        raise ApiTokenError(f"PAPERLESS_{name.upper()} is empty; unset it, or set it to a token of the API")
    return {"authorization": f"Bearer {words[-1]}"}
