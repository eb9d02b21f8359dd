"""Service processes of this machine, as the broker suites start them."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

from paperless.http_client import async_http_client
from paperless.local.ports import Ports

PREFIX = {
    "portal": "PORTAL",
    "intake": "INTAKE",
    "vneid_mock": "VNEID",
    "scoring": "SCORING",
    "scoring.api": "SCORING_API",
    "stock_check": "STOCK",
}
ELSEWHERE = {"stock_check": "examples.stock_check"}
WITHIN_S = 30


class Service:
    """A service process; what it says goes to a file."""

    def __init__(self, name: str, folder: Path, **options: object) -> None:
        self.port = Ports().take(name)
        self.log = folder / f"{name}-{self.port}.log"
        given = {"http_port": self.port, **options}
        env = {f"{PREFIX[name]}_{key}".upper(): str(value) for key, value in given.items()}
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", ELSEWHERE.get(name, f"services.{name}")],
                env={**os.environ, **env},
                stdout=log,
                stderr=log,
            )

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def health(self) -> dict[str, Any]:
        try:
            async with async_http_client(timeout_s=5) as client:
                answer = await client.get(f"{self.url}/health")
        except httpx.TransportError:
            return {"ready": False, "partitions": [], "lag": {}, "open": -1}
        body: dict[str, Any] = answer.json()
        return body

    async def wait_until(self, holds: Callable[[dict[str, Any]], bool]) -> None:
        async with asyncio.timeout(WITHIN_S):
            while not holds(await self.health()):
                assert self.process.poll() is None, self.log.read_text()
                await asyncio.sleep(0.05)

    async def ready(self) -> None:
        await self.wait_until(lambda health: health["ready"])

    async def exit_code(self) -> int:
        return await asyncio.to_thread(self.process.wait, WITHIN_S)

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
