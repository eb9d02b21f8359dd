"""`paperless up`, `status` and `down`: the embedded system without traffic."""

import asyncio
from collections.abc import Mapping
from typing import Annotated

import typer
from rich.console import Console

from paperless.cli.options import API, DEFAULT_STATE, MOCK, PORTAL, Plan, Seed, State
from paperless.cli.output import make_console
from paperless.http_client import async_http_client
from paperless.local.errors import LocalSystemError
from paperless.local.health import REQUEST_TIMEOUT_S, unready_of
from paperless.local.layout import LocalOptions
from paperless.local.system import attach, start, stop
from paperless.supervise import COMMAND
from services.vneid_mock.plan_files import load_plan

Members = Annotated[int, typer.Option(help="Intake members that share the partitions.", min=1, max=6)]


def up(state: State = DEFAULT_STATE, seed: Seed = 1, plan: Plan = "mild", intake_members: Members = 1) -> None:
    """Start broker and services as processes of this machine and leave them running.

    Example: `paperless up --plan rough`, then `paperless send`, `paperless verify`, `paperless down`
    """
    load_plan(plan)
    options = LocalOptions(state_dir=state, seed=seed, plan=plan, intake_members=intake_members)
    local = start(options, COMMAND)
    state_now = local.state
    console = Console(highlight=False)
    console.print(f"running in {local.directory.path}", soft_wrap=True)
    for name, url in state_now.endpoints.items():
        console.print(f"  {name:<12} {url}{'/docs' if name in {API, MOCK, PORTAL} else '/health'}")
    console.print(f"  broker       {state_now.address}")
    console.print(
        "next: paperless submit --persona birth; paperless send; paperless verify; paperless rates; paperless down"
    )


def status(state: State = DEFAULT_STATE) -> None:
    """Say what runs in a state directory, how each part is, and what is wrong; exit 2 if anything is.

    Example: `paperless status`
    """
    local = attach(state)
    now = local.state
    unready = asyncio.run(_unready(now.endpoints))
    console = make_console()
    console.print(
        f"{now.status} in {local.directory.path}, since {now.started_at:%Y-%m-%d %H:%M:%S} UTC", soft_wrap=True
    )
    for name, process in now.processes.items():
        usage = f"restarted {process.restarts} times, {process.peak_rss_bytes / 1e6:.0f} MB at most"
        console.print(f"  {name:<12} {unready.get(name, 'ready')}; {usage}", markup=False, soft_wrap=True)
    wrong = [now.trouble, f"not ready: {', '.join(unready)}" if unready else ""]
    if any(wrong):
        raise LocalSystemError("; ".join(filter(None, wrong)))


async def _unready(urls: Mapping[str, str]) -> dict[str, str]:
    async with async_http_client(timeout_s=REQUEST_TIMEOUT_S) as client:
        return await unready_of(client, urls)


def down(state: State = DEFAULT_STATE) -> None:
    """Stop the system of a state directory; nothing is left running.

    Example: `paperless down`
    """
    stopped = stop(state)
    Console(highlight=False).print(f"stopped {', '.join(stopped)}" if stopped else "nothing was running")
