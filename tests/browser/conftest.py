"""One system and one browser for all tests, a fresh window for each; what goes wrong in a page fails its test."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import httpx
import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, Route, expect, sync_playwright

HERE = Path(__file__).parent
CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
TO_INSTALL = "no Chromium; on Debian and Ubuntu: apt-get install chromium fonts-noto-core, or name one with CHROMIUM"
APPLICATIONS = 4_000
# What Chromium itself says of an answer above 399, which a test may want.
REFUSED = "Failed to load resource"


class RunningSystem(NamedTuple):
    """A system after a part of a national day, at rest."""

    state: Path
    endpoints: dict[str, str]

    def command(self, *words: str) -> str:
        """Return what a command of `paperless` prints."""
        return run("paperless", *words, "--state", str(self.state))


def run(module: str, *words: str) -> str:
    done = subprocess.run([sys.executable, "-m", module, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr or done.stdout
    return done.stdout


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker("browser")
            item.add_marker(pytest.mark.xdist_group("browser"))
            # The first one starts the system and sends.
            item.add_marker(pytest.mark.timeout(240))


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        # Where this tier is asked for, it must not pass by skipping.
        pytest.fail(TO_INSTALL, pytrace=False)
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        yield launched
        launched.close()


@pytest.fixture(scope="session")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSystem]:
    state = tmp_path_factory.mktemp("browser") / "run"
    run("paperless", "up", "--state", str(state), "--seed", "1")
    try:
        endpoints = json.loads((state / "state.json").read_text("utf-8"))["endpoints"]
        running = RunningSystem(state, endpoints)
        running.command("send", "--applications", str(APPLICATIONS), "--pace", "max")
        running.command("verify")
        yield running
    finally:
        run("paperless", "down", "--state", str(state))


OpenPage = Callable[..., Page]


@pytest.fixture
def open_page(browser: Browser, system: RunningSystem) -> Iterator[OpenPage]:
    """Open the page at a query; at the end it must have asked no other host, and complained of nothing."""
    origin, contexts, wrong = system.endpoints["portal"], [], []

    def own_host_only(route: Route) -> None:
        if urlsplit(route.request.url).hostname == "127.0.0.1":
            route.continue_()
        else:
            wrong.append(f"asked {route.request.url}")
            route.abort()

    def hear(message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"} and not message.text.startswith(REFUSED):
            wrong.append(f"console: {message.text}")

    def elsewhere(request: Request) -> None:
        if not request.url.startswith((origin, "blob:", "data:")):
            wrong.append(f"asked {request.url}")

    def opened(query: str = "", width: int = 1280, height: int = 900, **options: Any) -> Page:
        given = {"locale": "vi-VN", "timezone_id": "Asia/Ho_Chi_Minh", "reduced_motion": "reduce", **options}
        context = browser.new_context(viewport={"width": width, "height": height}, **given)
        contexts.append(context)
        context.set_default_timeout(20_000)
        # A page on a busy machine takes seconds: how long is no matter of these tests.
        expect.set_options(timeout=20_000)
        page = context.new_page()
        page.route("**/*", own_host_only)
        page.on("console", hear)
        page.on("request", elsewhere)
        page.on("pageerror", lambda error: wrong.append(f"error: {error}"))
        page.goto(f"{origin}/{query}")
        page.wait_for_selector("main h1, main h2", state="attached")
        return page

    yield opened
    for context in contexts:
        context.close()
    assert wrong == []


@pytest.fixture
def plan(system: RunningSystem) -> Iterator[Callable[[], dict[str, Any]]]:
    """The fault plan as the mock itself says; it is put back at the end."""
    mock = system.endpoints["vneid_mock"]
    with httpx.Client(transport=httpx.HTTPTransport()) as client:
        yield lambda: dict(client.get(f"{mock}/plan").json())
        client.post(f"{mock}/plan/reset").raise_for_status()


def eventually(condition: Callable[[], bool], within_s: float = 20) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "it does not become true"
        time.sleep(0.1)
