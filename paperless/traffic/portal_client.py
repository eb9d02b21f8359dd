"""The portal as this command uses it: file, and follow to the outcome."""

import time
from collections.abc import Iterator
from types import TracebackType
from typing import Any, Final, NamedTuple, Self

import httpx

from paperless.http_client import http_client
from paperless.verification.scoring_client import authorization
from services.portal.filing import PLAIN, STRUCTURED
from services.portal.models import Accepted, StatusPage

ASK_EVERY_S: Final = 0.2
TIMEOUT_S: Final = 15.0
_OK, _ACCEPTED, _AWAY = 200, 202, 503


class PortalError(RuntimeError):
    """The portal does not answer, or refuses; says where, why, and what to do."""


class Step(NamedTuple):
    """What the portal says at a moment: a status, or why it cannot say any."""

    page: StatusPage | None
    trouble: str = ""


class PortalClient:
    """A connection to one portal; a context manager."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._client = http_client(url, timeout_s=TIMEOUT_S, headers=authorization("portal_token"))

    def __enter__(self) -> Self:
        self._client.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.__exit__(kind, error, trace)

    def file(self, body: bytes, *, key: str | None, event: bool) -> Accepted:
        """File an application.

        Args:
            body: JSON: its data, or a CloudEvent.
            key: the idempotency key, if any.
            event: whether the body is a CloudEvent.

        Raises:
            PortalError: it is not filed.

        """
        headers = {"content-type": STRUCTURED if event else PLAIN}
        headers |= {} if key is None else {"idempotency-key": f'"{key}"'}
        answer = self._send("POST", "/applications", content=body, headers=headers)
        if answer.status_code != _ACCEPTED:
            raise PortalError(_refusal(answer))
        return Accepted.model_validate_json(answer.content)

    def follow(self, filed: Accepted, within_s: float) -> Iterator[Step]:
        """Yield what the portal says, several times a second, until the application is decided or refused.

        Raises:
            PortalError: it is neither in time, or the portal does not answer.

        """
        deadline = time.monotonic() + within_s
        while time.monotonic() < deadline:
            answer = self._send("GET", filed.links.status)
            if answer.status_code == _OK:
                page = StatusPage.model_validate_json(answer.content)
                yield Step(page)
                if page.state in {"decided", "refused"}:
                    return
            elif answer.status_code == _AWAY:
                yield Step(None, str(answer.json().get("detail", "")))
            else:
                raise PortalError(_refusal(answer))
            time.sleep(ASK_EVERY_S)
        raise PortalError(
            f"not decided within {within_s:g} s; it is filed all the same: look at {self._url}{filed.links.status},"
            " and at `paperless status` for what stands still"
        )

    def _send(self, method: str, path: str, **options: Any) -> httpx.Response:
        try:
            return self._client.request(method, path, **options)
        except httpx.TransportError as error:
            raise PortalError(
                f"the portal at {self._url} does not answer ({type(error).__name__}); is it running? `paperless status`"
                " says, `paperless up` starts a system"
            ) from error


def _refusal(answer: httpx.Response) -> str:
    """Return what a problem document says."""
    try:
        problem = answer.json()
        detail = str(problem["detail"])
    except (ValueError, KeyError, TypeError):
        return f"the portal answers {answer.status_code} {answer.reason_phrase}"
    advice = {401: "; PAPERLESS_PORTAL_TOKEN_FILE names a token", 429: f" (in {answer.headers.get('retry-after')} s)"}
    return f"not filed: {detail}{advice.get(answer.status_code, '')}"
