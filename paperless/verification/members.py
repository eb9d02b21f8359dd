"""Asking every member of a consumer how it is: a scaled service is one host name with several addresses."""

import asyncio
import re
import socket
from collections import defaultdict
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import httpx

from paperless.language import Message, message

Health = dict[str, Any]


async def ask_members(client: httpx.AsyncClient, urls: Mapping[str, str]) -> dict[str, Health]:
    """Return what `/health` says at each of these URLs, by name; by `name@address` where a name has several members.

    Names are resolved anew each time, so a member that came is asked and one that left is not.
    """
    members: dict[str, str] = {}
    for name, url in urls.items():
        members |= await _member_urls(name, url)
    answers = await asyncio.gather(*(_health(client, url) for url in members.values()))
    return dict(zip(members, answers, strict=True))


async def _member_urls(name: str, url: str) -> dict[str, str]:
    parts = urlsplit(url)
    if parts.scheme != "http":
        # A certificate names a host, not its addresses.
        return {name: url}
    loop = asyncio.get_running_loop()
    try:
        # IPv4 only: `localhost` has an IPv6 address too, at which the same member may not listen.
        resolved = await loop.getaddrinfo(
            parts.hostname, parts.port or 80, family=socket.AF_INET, type=socket.SOCK_STREAM
        )
    except OSError:
        # The client finds out what is wrong with the name, or has another way to it.
        return {name: url}
    addresses = sorted({str(address[0]) for *_, address in resolved})
    if len(addresses) == 1:
        return {name: url}
    return {f"{name}@{address}": f"http://{address}:{parts.port or 80}{parts.path}" for address in addresses}


async def _health(client: httpx.AsyncClient, url: str) -> Health:
    try:
        body: Health = (await client.get(f"{url}/health")).json()
    except (httpx.HTTPError, ValueError) as error:
        # It may be restarting; the deadline decides.
        return {"ready": False, "reasons": [f"does not answer: {error!r}"], "open": 0, "unsent": 0, "lag": {}}
    return body


def unowned(health: Mapping[str, Mapping[str, Any]], partitions: int) -> list[Message]:
    """Return a message for each consumer with partitions that none of its members has: their lag is seen by nobody."""
    owned: dict[str, set[int]] = defaultdict(set)
    for member, body in health.items():
        if "partitions" in body:
            owned[consumer_of(member)] |= set(body["partitions"])
    missing = {name: sorted(set(range(partitions)) - numbers) for name, numbers in owned.items()}
    return [
        message("backlog.unowned", service=name, partitions=_listed(numbers))
        for name, numbers in missing.items()
        if numbers
    ]


def consumer_of(member: str) -> str:
    """Return `intake` for `intake_2` and for `intake@172.18.0.5`."""
    return re.sub(r"(_\d+|@.*)$", "", member)


def _listed(numbers: list[int]) -> str:
    return ", ".join(map(str, numbers))
