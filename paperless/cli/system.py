"""`paperless up`, `status` and `down`: the embedded system without traffic."""

import asyncio
import webbrowser
from collections.abc import Mapping
from typing import Annotated, Any

import typer

from paperless.cli.narration import Narration
from paperless.cli.options import (
    API,
    DEFAULT_STATE,
    MOCK,
    PLANNER,
    PORTAL,
    Api,
    Health,
    Kafka,
    Lang,
    OpenPage,
    Plan,
    Seed,
    State,
    find_system,
)
from paperless.cli.phases import Starting
from paperless.cli.terminal import Terminal, open_terminal
from paperless.http_client import async_http_client
from paperless.language import Texts
from paperless.local.errors import LocalSystemError
from paperless.local.health import REQUEST_TIMEOUT_S
from paperless.local.layout import LocalOptions
from paperless.local.state import ProcessState, StateDirectory
from paperless.local.system import LocalSystem, start, stop
from paperless.supervise import COMMAND
from paperless.verification.members import ask_members
from services.vneid_mock.plan_files import load_plan

_NAME_WIDTH = 12
# What a person opens: the portal's page, and the documentation of an API.
_PATHS = {PORTAL: "/", API: "/docs", MOCK: "/docs", PLANNER: "/levers"}

Members = Annotated[int, typer.Option(help="Intake members that share the partitions.", min=1, max=6)]


def up(
    state: State = DEFAULT_STATE,
    seed: Seed = 1,
    plan: Plan = "mild",
    intake_members: Members = 1,
    open_page: OpenPage = False,
    lang: Lang = None,
) -> None:
    """Start broker and services as processes of this machine and leave them running.

    Example: `paperless up --plan rough`, then `paperless send`, `paperless verify`, `paperless down`
    """
    load_plan(plan)
    options = LocalOptions(state_dir=state, seed=seed, plan=plan, intake_members=intake_members)
    terminal = open_terminal(lang)
    with Narration(terminal) as narration:
        narration.enter(Starting(StateDirectory(state)))
        local = start(options, COMMAND, tell=narration.line)
    running = local.state
    page = f"{running.endpoints[PORTAL]}/"
    terminal.line(f"{terminal.texts('look.page')}: {page}")
    terminal.say("system.running", place=local.directory.path)
    for name, url in running.endpoints.items():
        terminal.line(f"  {name:<{_NAME_WIDTH}} {url}{_PATHS.get(name, '/health')}")
    terminal.line(f"  {'broker':<{_NAME_WIDTH}} {running.address} ({running.broker})")
    terminal.say("system.next")
    if open_page:
        webbrowser.open(page)


def status(
    state: State = DEFAULT_STATE, kafka: Kafka = None, api: Api = None, health: Health = None, lang: Lang = None
) -> None:
    """Say what runs in a state directory, or at the given addresses: how each part is, and what is wrong.

    Exits 2 if anything is wrong.

    Example: `paperless status`
    """
    terminal, system = open_terminal(lang), find_system(state, kafka, api, health)
    parts = asyncio.run(_asked(system.endpoints))
    trouble = _say_run(terminal, system.local) if system.local else ""
    if not system.local:
        terminal.say("status.found", place=", ".join(system.endpoints.values()))
    processes = system.processes()
    for name in [*processes, *(name for name in parts if name not in processes)]:
        terminal.line(f"  {name:<{_NAME_WIDTH}} {_part(terminal.texts, parts.get(name), processes.get(name))}")
    unready = [name for name, part in parts.items() if part.get("reasons")]
    wrong = [trouble, f"not ready: {', '.join(unready)}" if unready else ""]
    if any(wrong):
        raise LocalSystemError("; ".join(filter(None, wrong)))


def _say_run(terminal: Terminal, local: LocalSystem) -> str:
    """Say how a run of this machine is, and return its trouble."""
    now = local.state
    terminal.say(f"status.{now.status}", place=local.directory.path, since=f"{now.started_at:%Y-%m-%d %H:%M:%S}")
    return now.trouble


def _part(texts: Texts, answer: dict[str, Any] | None, process: ProcessState | None) -> str:
    """Return how a part is; a broker has no HTTP port, and what runs elsewhere no process of ours."""
    said = [", ".join(answer["reasons"]) if answer and answer.get("reasons") else texts("status.ready")]
    if answer and "lag" in answer:
        lags = list(answer["lag"].values())
        known = sum(lags) if all(lag >= 0 for lag in lags) else texts("status.unknown")
        said.append(texts("status.backlog", lag=known, open=answer["open"]))
    if process:
        said.append(texts("status.usage", restarts=process.restarts, megabytes=round(process.peak_rss_bytes / 1e6)))
    return "; ".join(said)


async def _asked(urls: Mapping[str, str]) -> dict[str, Any]:
    async with async_http_client(timeout_s=REQUEST_TIMEOUT_S, urls=urls.values()) as client:
        return await ask_members(client, urls)


def down(state: State = DEFAULT_STATE, lang: Lang = None) -> None:
    """Stop the system of a state directory; nothing is left running.

    Example: `paperless down`
    """
    stopped, terminal = stop(state), open_terminal(lang)
    if stopped:
        terminal.say("system.stopped", parts=list(stopped))
    else:
        terminal.say("system.nothing")
