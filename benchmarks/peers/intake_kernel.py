"""Intake as it is: its handlers, its metrics, its pending records, on the kernel; only HTTP is left out.

What is pending is as large as the log, since nobody answers while the submissions are read.
"""

import asyncio

from benchmarks.peers.job import SESSION_MS, Job, Meter
from benchmarks.peers.kernel import Begun, run_kernel
from benchmarks.workload import ATTEMPTS, KEY, PATIENCE_S
from contracts.topics import APPLICATIONS_SUBMITTED, DOCUMENTS_PROVIDED, by_name
from domain import load_domain
from runtime.partition_state import PendingOptions
from runtime.processor import StreamProcessor
from runtime.resources import ProcessResources
from services.intake.app import METRICS
from services.intake.core import RuleBook
from services.intake.handlers import IntakeHandlers
from services.intake.settings import IntakeSettings


async def main(job: Job) -> None:
    """Take what is in the log of submissions or of replies."""
    settings = IntakeSettings(
        kafka_servers=job.servers,
        group_id=job.group,
        partitions=job.partitions,
        patience_s=PATIENCE_S,
        idempotent_producer=False,
        end_offsets_reliable=False,
        session_timeout_ms=SESSION_MS,
    )
    resources = ProcessResources.of("intake", settings, METRICS, lambda: None)
    handlers = IntakeHandlers(
        RuleBook.of(load_domain(), ATTEMPTS),
        key=KEY,
        partitions=job.partitions,
        patience_s=settings.patience_s,
        tally=resources.metrics.tally,
    )
    meter = Meter(job.records)
    kernel = StreamProcessor(
        Begun(handlers, meter),
        resources,
        topics=[APPLICATIONS_SUBMITTED.name, DOCUMENTS_PROVIDED.name],
        pending=PendingOptions(
            opens=APPLICATIONS_SUBMITTED.name,
            answered_on=DOCUMENTS_PROVIDED.name,
            max_open=job.records,
            max_span=job.records,
        ),
        dead_letter_topic=lambda topic: by_name(topic).dead_letter("intake"),
    )
    await run_kernel(kernel, resources, meter)


if __name__ == "__main__":
    asyncio.run(main(Job.from_command_line()))
