"""`paperless topics`: create or check the topics of the registry."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from contracts.topics import DEFAULT_PARTITIONS
from paperless.cli.options import DEFAULT_STATE, Json, Kafka, State, find_system
from paperless.cli.output import write_json
from paperless.operations.access_control import AccessReport, read_passwords, secure
from paperless.operations.topics import ensure_topics

# What the wire has room for.
MAX_REPLICAS = 2**15 - 1


def topics(
    state: State = DEFAULT_STATE,
    kafka: Kafka = None,
    partitions: Annotated[
        int, typer.Option(help="Partitions of a main topic; fixed for the log's life.", min=1, max=10_000)
    ] = (DEFAULT_PARTITIONS),
    replication: Annotated[int, typer.Option(help="Replicas of a partition.", min=1, max=MAX_REPLICAS)] = 1,
    min_insync: Annotated[
        int | None,
        typer.Option(
            help="Replicas that must have a record before it counts; by default the broker's.", min=1, max=MAX_REPLICAS
        ),
    ] = None,
    users: Annotated[
        Path | None,
        typer.Option(help="Set each user's password from DIR/USER/kafka_password.", metavar="DIR"),
    ] = None,
    acls: Annotated[bool, typer.Option("--acls", help="Grant each user what its role says, and nothing else.")] = False,
    json: Json = None,
) -> None:
    """Create the topics that are missing and check those that are there; with --users and --acls also who may use them.

    Example: `paperless topics --kafka 127.0.0.1:9092 --partitions 6`

    Example: `paperless topics --kafka broker:9094 --users /run/users --acls`, as a user who may alter the cluster
    """
    if min_insync is not None and min_insync > replication:
        raise typer.BadParameter(f"--min-insync {min_insync} of --replication {replication}: nothing could be written")
    access = find_system(state, kafka, None, None).broker
    report = asyncio.run(ensure_topics(access, partitions=partitions, replication=replication, min_insync=min_insync))
    table = Table("topic", "state", title=f"log {report.log_identity}, {report.partitions} partitions a topic")
    for name, outcome in report.topics.items():
        table.add_row(name, outcome)
    console = Console()
    console.print(table)
    result = {"topics": dict(report.topics), "partitions": report.partitions, "log_identity": report.log_identity}
    if users is not None or acls:
        passwords = read_passwords(users) if users is not None else None
        secured = secure(access, passwords=passwords, rules=acls)
        for rows in _access_tables(secured):
            console.print(rows)
        result |= secured.to_json()
    write_json(json, result)


def _access_tables(report: AccessReport) -> Iterator[Table]:
    if report.users:
        table = Table("user", "password")
        for user, state in report.users.items():
            table.add_row(user, state)
        yield table
    if report.rules:
        table = Table("user", "", "on", "may", "state")
        for grant, state in report.rules.items():
            table.add_row(grant.user, grant.resource, grant.name, grant.operation, state)
        yield table
