"""The other parts of the system as the page reaches them: through the portal, so that a browser knows one origin."""

import asyncio
import socket
from typing import Final, NamedTuple, Self
from urllib.parse import urlsplit

import httpx
from pydantic import SecretStr

# The largest table, all cells' reasons of the country, has under 200 KB.
MAX_ANSWER_BYTES: Final = 8 * 1024 * 1024


class PartAwayError(Exception):
    """A part does not answer, or has no address here; says which and why."""

    def __init__(self, part: str, why: str) -> None:
        super().__init__(f"{part}: {why}")
        self.part = part


class Answer(NamedTuple):
    """What a part answered: status, media type, body."""

    status: int
    media_type: str
    body: bytes


class Part:
    """One HTTP port of the system; connects when it is first asked.

    Args:
        name: for messages.
        url: where it is; empty: nowhere, and every question raises.
        token: a bearer token of it, where it asks for one.
        within_s: how long an answer may take.
        transport: what carries the requests; tests answer in this process.

    """

    def __init__(
        self,
        name: str,
        url: str,
        *,
        token: SecretStr | None = None,
        within_s: float = 5.0,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.name, self.url = name, url
        headers = {} if token is None else {"authorization": f"Bearer {token.get_secret_value()}"}
        # With a transport of its own a client asks no proxy of the environment. Certificates take time to read.
        carrier = transport or httpx.AsyncHTTPTransport(verify=url.startswith("https:"))
        self._client = httpx.AsyncClient(base_url=url, headers=headers, timeout=within_s, transport=carrier)

    async def ask(
        self, method: str, path: str, *, query: str = "", accept: str = "application/json", body: bytes | None = None
    ) -> Answer:
        """Return what it answers, whatever the status.

        Args:
            method: of the request.
            path: below its address; or a whole address, of one of its members.
            query: without the question mark.
            accept: the media type asked for.
            body: JSON.

        Raises:
            PartAwayError: it does not, or not in time, or with more than 8 MB.

        """
        if not self.url:
            raise PartAwayError(self.name, "the portal was not told where it is")
        headers = {"accept": accept} | ({} if body is None else {"content-type": "application/json"})
        try:
            request = self._client.build_request(
                method, f"{path}?{query}" if query else path, headers=headers, content=body
            )
            answer = await self._client.send(request)
        except httpx.HTTPError as error:
            raise PartAwayError(self.name, f"does not answer ({type(error).__name__})") from error
        except httpx.InvalidURL as error:
            raise PartAwayError(self.name, f"cannot be asked for that ({error})") from error
        if len(answer.content) > MAX_ANSWER_BYTES:
            raise PartAwayError(self.name, f"answers with over {MAX_ANSWER_BYTES} bytes")
        return Answer(
            answer.status_code, answer.headers.get("content-type", "application/octet-stream"), answer.content
        )

    async def members(self) -> list[str]:
        """Return the address of each member: a service that is scaled is one host name with several addresses."""
        parts = urlsplit(self.url)
        if parts.scheme != "http":
            # A certificate names a host, not its addresses.
            return [self.url]
        try:
            resolved = await asyncio.get_running_loop().getaddrinfo(
                parts.hostname, parts.port or 80, family=socket.AF_INET, type=socket.SOCK_STREAM
            )
        except OSError:
            return [self.url]
        return [f"http://{host}:{parts.port or 80}" for host in sorted({str(address[0]) for *_, address in resolved})]

    async def close(self) -> None:
        """Close its connections."""
        await self._client.aclose()


class PartsOfSystem(NamedTuple):
    """Whom the page asks: scoring's API, the control API of the VNeID mock, the planner, the services' metrics."""

    scoring: Part
    mock: Part
    planner: Part
    services: tuple[Part, ...] = ()

    @classmethod
    def nowhere(cls) -> Self:
        """Return parts that have no address."""
        return cls(Part("the scoring API", ""), Part("the VNeID mock", ""), Part("the planner", ""))

    async def close(self) -> None:
        """Close all connections."""
        for part in (self.scoring, self.mock, self.planner, *self.services):
            await part.close()
