"""Verification: wait until nothing moves, then hold the live store, a recount of the log and the oracle together."""

import asyncio
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from multiprocessing import active_children, get_context
from pathlib import Path
from typing import Any, TypeVar

import httpx
from aiokafka.errors import KafkaError

from contracts.topics import APPLICATIONS_DECIDED, APPLICATIONS_SUBMITTED, CORRECTIONS_REQUESTED, LOG_IDENTITY
from domain import load, load_domain
from paperless.language import Message, message
from paperless.verification.backlog import Backlog
from paperless.verification.checkers import (
    PartitionAudit,
    PartitionAuditor,
    Verdict,
    judge,
    partitions_that_differ,
)
from paperless.verification.log_reader import LogReader
from paperless.verification.oracle import Oracle
from paperless.verification.positions import Elsewhere, awaited_filings
from paperless.verification.quiescence import STANDSTILL_S, Target, VerifyError, wait_for_quiescence
from paperless.verification.scoring_client import (
    LIVE_STORE,
    LiveStore,
    Question,
    ScoringApiError,
    ask_async,
    async_client,
    content_hashes,
)
from runtime.command_line import ctrl_c_held_back
from runtime.garbage_collector import tune_garbage_collector
from runtime.log_identity import read_log_identity
from runtime.settings import KafkaAccess
from services.intake.core import RuleBook
from services.vneid_mock.core import Vneid
from services.vneid_mock.plan_files import plan_of
from services.vneid_mock.registry import Registry

__all__ = ["RunParameters", "Target", "VerifyError", "audit_of", "live_store", "verify"]

A = TypeVar("A")
Tell = Callable[[Message], None]
IDENTITY_WITHIN_S = 10.0
# What a worker process keeps from partition to partition: an oracle remembers what it judged, a fifth of its work.
_oracles: list[Oracle | None] = []


@dataclass(frozen=True, slots=True, kw_only=True)
class RunParameters:
    """What the oracle must know of a run: the mock's plan and seed, intake's attempt limit, and whose facts.

    `facts` is the folder of data files that the services have, None for those of this process.
    """

    plan: Mapping[str, Any]
    seed: int
    attempts: int = 3
    facts: Path | None = None

    def oracle(self, partitions: int) -> Oracle:
        """Return the oracle over these facts."""
        domain, plan = load(self.facts) if self.facts else load_domain(), plan_of(dict(self.plan), "manifest")
        vneid = Vneid(Registry.of(domain), plan, self.seed)
        return Oracle(RuleBook.of(domain, self.attempts), vneid, partitions)


async def verify(
    target: Target,
    *,
    partitions: int,
    parameters: RunParameters | None,
    log_identity: str | None = None,
    within_s: float = STANDSTILL_S,
    waiting: Callable[[Backlog], None] = lambda _: None,
    progress: Tell = lambda _: None,
) -> Verdict:
    """Return the verdict on a running system.

    Args:
        target: the system.
        partitions: the partition count of its log.
        parameters: of the run, for the oracle; None makes the recount the reference.
        log_identity: of the log that the run was sent to, None if it is not known.
        within_s: within how many seconds something has to get on until nothing moves.
        waiting: called with what is left to do until then.
        progress: called with a message per step after that.

    Raises:
        VerifyError: the system does not come to rest or does not answer.

    """
    await _check_log(target, log_identity)
    health = await wait_for_quiescence(target, partitions=partitions, within_s=within_s, progress=waiting)
    progress(message("verifying.recounting"))
    parameters = _confirmed(parameters, health.values(), progress)
    async with async_client(target.api_url, timeout_s=60) as api:
        return await _compare(target, partitions, parameters, api, progress)


async def _compare(
    target: Target,
    partitions: int,
    parameters: RunParameters | None,
    api: httpx.AsyncClient,
    progress: Tell,
) -> Verdict:
    """Return the verdict on a system at rest."""
    live = await live_store(api)
    audits = await _audit(target.kafka, range(partitions), partitions, parameters, progress)
    differing = partitions_that_differ(live.snapshot, live.outcomes, audits)
    content = {}
    if differing:
        progress(message("verifying.comparing", partitions=", ".join(map(str, differing))))
        audits |= await _audit(target.kafka, differing, partitions, parameters, progress, with_content=True)
        content = {number: await _asked(api, content_hashes(number)) for number in differing}
    return judge(live.snapshot, audits, content, await _not_arrived(target.kafka, audits, partitions, progress))


async def _not_arrived(
    access: KafkaAccess, audits: Mapping[int, PartitionAudit], partitions: int, progress: Tell
) -> list[Elsewhere]:
    """Return each submission that lies elsewhere and that its own partition does not have."""
    missing: list[Elsewhere] = []
    filings = [filing for audit in audits.values() for filing in audit.elsewhere]
    for number, wanted in awaited_filings(filings, partitions).items():
        progress(message("verifying.moved", count=len(wanted.filings), partition=number))
        async with LogReader(access) as log:
            async for records in log.logged(APPLICATIONS_SUBMITTED.name, number):
                wanted.read(records)
        missing += wanted.missing()
    return sorted(missing)


async def _check_log(target: Target, expected: str | None) -> None:
    if expected is None:
        return
    try:
        async with asyncio.timeout(IDENTITY_WITHIN_S):
            served = await read_log_identity(target.kafka, LOG_IDENTITY) or "without identity"
    except (KafkaError, TimeoutError) as error:
        raise VerifyError(f"broker {target.kafka.kafka_servers}: no answer ({error!r}); is it running?") from error
    if served != expected:
        raise VerifyError(f"the manifest is of log {expected}, the broker serves log {served}; use that run's manifest")


def _confirmed(
    parameters: RunParameters | None, health: Iterable[Mapping[str, Any]], progress: Tell
) -> RunParameters | None:
    """Return the run's parameters with the attempt limit that intake has; None where the fault plan was changed."""
    for body in health:
        if body.get("plan_changed_by_hand"):
            progress(message("verifying.by_hand"))
            return None
        if parameters and body.get("seed", parameters.seed) != parameters.seed:
            raise VerifyError(f"the mock's seed is {body['seed']}, the manifest's {parameters.seed}; send again")
        if parameters and "attempts" in body:
            parameters = replace(parameters, attempts=body["attempts"])
    return parameters


async def live_store(api: httpx.AsyncClient) -> LiveStore:
    """Return what the live store holds.

    Raises:
        VerifyError: the scoring API does not answer, or the store has closed months.

    """
    live = await _asked(api, LIVE_STORE)
    if live.closed_before:
        raise VerifyError(
            f"the store has deleted the outcomes of the months before {live.closed_before}: what is gone cannot be"
            " held against the log; verify before months are closed"
        )
    return live


async def _asked(api: httpx.AsyncClient, question: Question[A]) -> A:
    try:
        return await ask_async(api, question)
    except ScoringApiError as error:
        url, cause = str(api.base_url).rstrip("/"), error.__cause__
        why = repr(cause) if isinstance(cause, httpx.HTTPError) else error
        raise VerifyError(f"the scoring API at {url} does not answer: {why}; is scoring_api running?") from error


async def _audit(
    access: KafkaAccess,
    numbers: Sequence[int] | range,
    partitions: int,
    parameters: RunParameters | None,
    progress: Tell,
    *,
    with_content: bool = False,
) -> dict[int, PartitionAudit]:
    """Audit partitions in as many processes as there are cores: nothing else runs now."""
    workers = min(len(numbers), os.cpu_count() or 1)
    loop = asyncio.get_running_loop()
    pool = ProcessPoolExecutor(workers, mp_context=get_context("spawn"))
    with ctrl_c_held_back():
        jobs = [
            loop.run_in_executor(pool, audit_of, access, number, partitions, parameters, with_content)
            for number in numbers
        ]
    try:
        for done, job in enumerate(asyncio.as_completed(jobs), start=1):
            await job
            progress(message("verifying.recounted", done=done, partitions=len(jobs)))
        return dict(await asyncio.gather(*jobs))
    except BaseException as error:
        # Without its workers the pool ends all jobs; it cannot end one that was cancelled, and would say so at length.
        for worker in active_children():
            worker.terminate()
        await asyncio.gather(*jobs, return_exceptions=True)
        if isinstance(error, BrokenProcessPool):
            raise VerifyError("a recounting process was killed; is there enough memory? verify again") from error
        raise
    finally:
        pool.shutdown()


def audit_of(
    access: KafkaAccess,
    number: int,
    partitions: int,
    parameters: RunParameters | None,
    with_content: bool,  # noqa: FBT001  a worker's plain arguments
) -> tuple[int, PartitionAudit]:
    """Read one partition's logs and audit it; runs in a worker process, whose parameters are the same every time."""
    if not _oracles:
        _oracles.append(parameters.oracle(partitions) if parameters else None)
        tune_garbage_collector()
    return number, asyncio.run(_audit_one(access, number, partitions, _oracles[0], with_content=with_content))


async def _audit_one(
    access: KafkaAccess, number: int, partitions: int, oracle: Oracle | None, *, with_content: bool
) -> PartitionAudit:
    async with LogReader(access) as log:
        auditor = PartitionAuditor(
            partition=number,
            partitions=partitions,
            refused=await log.refused(number),
            oracle=oracle,
        )
        async for records in log.logged(APPLICATIONS_DECIDED.name, number):
            auditor.decided(records)
        async for records in log.logged(APPLICATIONS_SUBMITTED.name, number):
            auditor.submitted(records)
        async for records in log.logged(CORRECTIONS_REQUESTED.name, number):
            auditor.requested(records)
    return auditor.result(with_content=with_content)
