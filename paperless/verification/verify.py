"""Verification: wait until nothing moves, then hold the live store, a recount of the log and the oracle together."""

import asyncio
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from multiprocessing import active_children, get_context
from typing import Any, TypeVar

import httpx
from aiokafka.errors import KafkaError

from contracts.topics import APPLICATIONS_DECIDED, APPLICATIONS_SUBMITTED, LOG_IDENTITY
from domain import load_domain
from paperless.http_client import async_http_client
from paperless.verification.checkers import (
    PartitionAudit,
    PartitionAuditor,
    Verdict,
    judge,
    partitions_that_differ,
)
from paperless.verification.log_reader import LogReader
from paperless.verification.members import ask_members, unowned
from paperless.verification.oracle import Oracle
from paperless.verification.positions import Elsewhere, awaited_filings
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
from runtime.log_identity import read_log_identity
from runtime.settings import KafkaAccess
from services.intake.core import RuleBook
from services.vneid_mock.core import Vneid
from services.vneid_mock.plan_files import plan_of
from services.vneid_mock.registry import Registry

A = TypeVar("A")
QUIET_POLLS = 3
POLL_S = 0.15
IDENTITY_WITHIN_S = 10.0


class VerifyError(RuntimeError):
    """The system cannot be verified: it does not come to rest, or a part does not answer. Says which and why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A running system: the broker, the health URLs of its consumers by name, and the scoring API."""

    kafka: KafkaAccess
    health_urls: Mapping[str, str]
    api_url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunParameters:
    """What the oracle must know of a run: the mock's plan and seed, and intake's attempt limit."""

    plan: Mapping[str, Any]
    seed: int
    attempts: int = 3

    def oracle(self, partitions: int) -> Oracle:
        """Return the oracle over the packaged domain."""
        domain, plan = load_domain(), plan_of(dict(self.plan), "manifest")
        vneid = Vneid(Registry.of(domain), plan, self.seed)
        return Oracle(RuleBook.of(domain, self.attempts), vneid, partitions)


async def wait_for_quiescence(
    target: Target, *, partitions: int, within_s: float, progress: Callable[[str], None] = lambda _: None
) -> dict[str, dict[str, Any]]:
    """Return the members' health once nothing moves: no lag on any topic, nothing open or scheduled, several times.

    Raises:
        VerifyError: a service does not answer, or something still moves after `within_s` seconds.

    """
    deadline = time.monotonic() + within_s
    quiet = 0
    async with async_http_client(timeout_s=5, urls=target.health_urls.values()) as client:
        while True:
            health = await ask_members(client, target.health_urls)
            moving = [line for name, body in health.items() for line in _moving(name, body)]
            moving += unowned(health, partitions)
            quiet = 0 if moving else quiet + 1
            if quiet == QUIET_POLLS:
                return health
            if time.monotonic() > deadline:
                msg = f"not at rest after {within_s:.0f} s: {'; '.join(moving)}; wait longer with --within"
                raise VerifyError(msg)
            progress("; ".join(moving))
            await asyncio.sleep(POLL_S)


def _moving(name: str, health: Mapping[str, Any]) -> list[str]:
    moving = [f"{name}: {reason}" for reason in health["reasons"]]
    moving += [f"{name}: {topic} lag {lag}" for topic, lag in health["lag"].items() if lag]
    if health["open"]:
        moving.append(f"{name}: {health['open']} open")
    return moving


async def verify(
    target: Target,
    *,
    partitions: int,
    parameters: RunParameters | None,
    log_identity: str | None = None,
    within_s: float = 120,
    progress: Callable[[str], None] = lambda _: None,
) -> Verdict:
    """Return the verdict on a running system.

    Args:
        target: the system.
        partitions: the partition count of its log.
        parameters: of the run, for the oracle; None makes the recount the reference.
        log_identity: of the log that the run was sent to, None if it is not known.
        within_s: how long to wait until nothing moves.
        progress: called with a sentence per step.

    Raises:
        VerifyError: the system does not come to rest or does not answer.

    """
    await _check_log(target, log_identity)
    health = await wait_for_quiescence(target, partitions=partitions, within_s=within_s, progress=progress)
    parameters = _confirmed(parameters, health.values(), progress)
    async with async_client(target.api_url, timeout_s=60) as api:
        return await _compare(target, partitions, parameters, api, progress)


async def _compare(
    target: Target,
    partitions: int,
    parameters: RunParameters | None,
    api: httpx.AsyncClient,
    progress: Callable[[str], None],
) -> Verdict:
    """Return the verdict on a system at rest."""
    live = await live_store(api)
    audits = await _audit(target.kafka, range(partitions), partitions, parameters, progress)
    differing = partitions_that_differ(live.snapshot, live.outcomes, audits)
    content = {}
    if differing:
        progress(f"partitions {', '.join(map(str, differing))} differ: comparing their applications one by one")
        audits |= await _audit(target.kafka, differing, partitions, parameters, progress, with_content=True)
        content = {number: await _asked(api, content_hashes(number)) for number in differing}
    return judge(live.snapshot, audits, content, await _not_arrived(target.kafka, audits, partitions, progress))


async def _not_arrived(
    access: KafkaAccess, audits: Mapping[int, PartitionAudit], partitions: int, progress: Callable[[str], None]
) -> list[Elsewhere]:
    """Return each submission that lies elsewhere and that its own partition does not have."""
    missing: list[Elsewhere] = []
    filings = [filing for audit in audits.values() for filing in audit.elsewhere]
    for number, wanted in awaited_filings(filings, partitions).items():
        progress(f"looking for {len(wanted.filings)} moved or replayed submissions on partition {number}")
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
    parameters: RunParameters | None, health: Iterable[Mapping[str, Any]], progress: Callable[[str], None]
) -> RunParameters | None:
    """Return the run's parameters with the attempt limit that intake has; None where the fault plan was changed."""
    for body in health:
        if body.get("plan_changed_by_hand"):
            progress("the fault plan was changed by hand: the recount is the reference")
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
    progress: Callable[[str], None],
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
            progress(f"recounted {done} of {len(jobs)} partitions")
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
    """Read one partition's logs and audit it; runs in a worker process."""
    return number, asyncio.run(_audit_one(access, number, partitions, parameters, with_content=with_content))


async def _audit_one(
    access: KafkaAccess, number: int, partitions: int, parameters: RunParameters | None, *, with_content: bool
) -> PartitionAudit:
    async with LogReader(access) as log:
        auditor = PartitionAuditor(
            partition=number,
            partitions=partitions,
            refused=await log.refused(number),
            oracle=parameters.oracle(partitions) if parameters else None,
        )
        async for records in log.logged(APPLICATIONS_DECIDED.name, number):
            auditor.decided(records)
        async for records in log.logged(APPLICATIONS_SUBMITTED.name, number):
            auditor.submitted(records)
    return auditor.result(with_content=with_content)
