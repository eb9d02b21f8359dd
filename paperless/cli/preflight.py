"""`paperless preflight`: what a compose project can be refused for, said before anything starts."""

import os
from typing import Annotated

import typer

from paperless.cli.options import MAX_SEED
from paperless.cli.output import make_console
from paperless.operations.preflight import check_ports, published_ports, use_of
from services.vneid_mock.plan_files import PlanError, load_plan

Seed = Annotated[
    int, typer.Option(help="Of the VNeID mock, hence of the demo.", envvar="PAPERLESS_SEED", min=0, max=MAX_SEED)
]
Plan = Annotated[str, typer.Option(help="Fault plan of the VNeID mock.", envvar="PAPERLESS_PLAN")]


def preflight(seed: Seed = 1, plan: Plan = "mild") -> None:
    """Check seed, fault plan and ports before containers start; the first job of docker-compose.yml.

    Every variable PAPERLESS_…_PORT names a port that is to be published on 127.0.0.1.

    Example: `PAPERLESS_API_PORT=8104 PAPERLESS_MOCK_PORT=8102 paperless preflight --plan rough`
    """
    try:
        load_plan(plan)
    except PlanError as error:
        raise typer.BadParameter(f"PAPERLESS_PLAN={plan}: {error}") from error
    ports = published_ports(os.environ)
    console = make_console()
    for line in check_ports(ports, [use_of(port) for _, port in ports]):
        console.print(line)
    console.print(f"seed {seed}, fault plan {plan}, {len(ports)} ports: fine")
