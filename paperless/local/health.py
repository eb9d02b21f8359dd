"""Asking services whether they are ready."""

import asyncio
import json
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import httpx

from paperless.http_client import async_http_client
from paperless.local.errors import NotReadyError
from paperless.local.layout import ServiceSpec
from paperless.local.processes import with_tail

POLL_S = 0.1
REQUEST_TIMEOUT_S = 2.0
OK = 200


async def why_unready(client: httpx.AsyncClient, url: str) -> str:
    """Empty when the service at this URL is ready, else what it says about itself."""
    try:
        answer = await client.get(f"{url}/health")
    except httpx.HTTPError as error:
        return f"no answer from {url}/health ({type(error).__name__})"
    return "" if answer.status_code == OK else _reasons(answer)


async def unready_of(client: httpx.AsyncClient, urls: Mapping[str, str]) -> dict[str, str]:
    """Return by name what those say that are not ready."""
    answers = await asyncio.gather(*(why_unready(client, url) for url in urls.values()))
    return {name: why for name, why in zip(urls, answers, strict=True) if why}


def _reasons(answer: httpx.Response) -> str:
    try:
        reasons = json.loads(answer.content)["reasons"]
    except (ValueError, KeyError, TypeError):
        return f"HTTP {answer.status_code}"
    return ", ".join(map(str, reasons)) if isinstance(reasons, list) else str(reasons)


async def wait_ready(services: Sequence[ServiceSpec], log_of: Callable[[str], Path], within_s: float) -> None:
    """Return when all are ready; raises `NotReadyError` naming each that is not, why, and the end of its log."""
    deadline = time.monotonic() + within_s
    async with async_http_client(timeout_s=REQUEST_TIMEOUT_S) as client:
        while True:
            unready = await unready_of(client, {service.name: service.url for service in services})
            if not unready:
                return
            if time.monotonic() > deadline:
                parts = [with_tail(f"{name}: {why}", log_of(name)) for name, why in unready.items()]
                raise NotReadyError(f"not ready after {within_s:g} s: " + "\n".join(parts))
            await asyncio.sleep(POLL_S)
