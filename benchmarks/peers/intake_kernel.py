"""Intake as it is: its handlers, its metrics, its window, on the kernel; only HTTP is left out.

The window is as large as the log, since nobody answers while the submissions are read.
"""

import asyncio

from benchmarks.peers.job import SESSION_MS, Job, Meter
from benchmarks.peers.kernel import Begun, run_kernel
from benchmarks.prepared import ATTEMPTS, KEY, PATIENCE_S
from contracts.topics import APPLICATIONS_SUBMITTED, DOCUMENTS_PROVIDED, by_name
from domain import domain
from runtime.kernel import Kernel
from runtime.partition_state import WindowOptions
from runtime.parts import Parts
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
    parts = Parts.of("intake", settings, METRICS, lambda: None)
    handlers = IntakeHandlers(
        RuleBook.of(domain(), ATTEMPTS),
        key=KEY,
        partitions=job.partitions,
        patience_s=settings.patience_s,
        tally=parts.metrics.tally,
    )
    meter = Meter(job.records)
    kernel = Kernel(
        Begun(handlers, meter),
        parts,
        topics=[APPLICATIONS_SUBMITTED.name, DOCUMENTS_PROVIDED.name],
        window=WindowOptions(
            opens=APPLICATIONS_SUBMITTED.name,
            answered_on=DOCUMENTS_PROVIDED.name,
            max_open=job.records,
            max_span=job.records,
        ),
        dead_letter_topic=lambda topic: by_name(topic).dead_letter("intake"),
    )
    await run_kernel(kernel, parts, meter)


if __name__ == "__main__":
    asyncio.run(main(Job.from_command_line()))
