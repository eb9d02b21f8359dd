"""`paperless topics`: create or check the topics of the registry."""

import asyncio
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from contracts.topics import DEFAULT_PARTITIONS
from simulation.cli.options import DEFAULT_STATE, Json, Kafka, State, find_system
from simulation.cli.output import write_json
from simulation.topics import ensure_topics


def topics(
    state: State = DEFAULT_STATE,
    kafka: Kafka = None,
    partitions: Annotated[int, typer.Option(help="Partitions of a main topic; fixed for the log's life.", min=1)] = (
        DEFAULT_PARTITIONS
    ),
    replication: Annotated[int, typer.Option(help="Replicas of a partition.", min=1)] = 1,
    json: Json = None,
) -> None:
    """Create the topics that are missing and check those that are there.

    Example: `paperless topics --kafka 127.0.0.1:9092 --partitions 6`
    """
    servers = kafka or find_system(state, None, None, None).kafka_servers
    report = asyncio.run(ensure_topics(servers, partitions=partitions, replication=replication))
    table = Table("topic", "state", title=f"log {report.log_identity}, {report.partitions} partitions a topic")
    for name, outcome in report.topics.items():
        table.add_row(name, outcome)
    Console().print(table)
    write_json(
        json,
        {"topics": dict(report.topics), "partitions": report.partitions, "log_identity": report.log_identity},
    )
