"""`paperless up` and `paperless down`: the embedded system without traffic."""

from typing import Annotated

import typer
from rich.console import Console

from paperless.cli.options import API, DEFAULT_STATE, MOCK, Plan, Seed, State
from paperless.local.layout import LocalOptions
from paperless.local.system import start, stop
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
    console.print(f"  broker       {state_now.address}")
    for name, url in state_now.endpoints.items():
        console.print(f"  {name:<12} {url}{'/docs' if name in {API, MOCK} else '/health'}")
    console.print("next: paperless send; paperless verify; paperless rates; paperless down")


def down(state: State = DEFAULT_STATE) -> None:
    """Stop the system of a state directory; nothing is left running.

    Example: `paperless down`
    """
    stopped = stop(state)
    Console(highlight=False).print(f"stopped {', '.join(stopped)}" if stopped else "nothing was running")
