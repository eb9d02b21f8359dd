"""Verification: wait until nothing moves, then hold the live store, a recount of the log and the oracle together."""

import asyncio
import os
import signal
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, replace
from multiprocessing import active_children, get_context
from typing import Any

import httpx
from aiokafka.errors import KafkaError

from contracts.topics import APPLICATIONS_DECIDED, APPLICATIONS_SUBMITTED
from domain import load_domain
from paperless.verification.api_token import authorization
from paperless.verification.checkers import (
    PartitionAudit,
    PartitionAuditor,
    Verdict,
    judge_readings,
    partitions_that_differ,
)
from paperless.verification.log_reader import LogReader, read_identity
from paperless.verification.members import ask_members, unowned
from paperless.verification.oracle import Oracle
from runtime.settings import KafkaAccess
from services.intake.core import RuleBook
from services.scoring.rollup.snapshot import Snapshot
from services.vneid_mock.core import Vneid
from services.vneid_mock.plan_files import plan_of
from services.vneid_mock.registry import Registry

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
    async with httpx.AsyncClient(timeout=5) as client:
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
    found = [f"{name}: {reason}" for reason in health["reasons"]]
    found += [f"{name}: {topic} lag {lag}" for topic, lag in health["lag"].items() if lag]
    if health["open"]:
        found.append(f"{name}: {health['open']} open")
    return found


async def verify(
    target: Target,
    *,
    partitions: int,
    foresight: RunParameters | None,
    log_identity: str | None = None,
    within_s: float = 120,
    progress: Callable[[str], None] = lambda _: None,
) -> Verdict:
    """Return the verdict on a running system.

    Args:
        target: the system.
        partitions: the partition count of its log.
        foresight: what the oracle must know; None makes the recount the reference.
        log_identity: of the log that the run was sent to, None if it is not known.
        within_s: how long to wait until nothing moves.
        progress: called with a sentence per step.

    Raises:
        VerifyError: the system does not come to rest or does not answer.

    """
    await _check_log(target, log_identity)
    health = await wait_for_quiescence(target, partitions=partitions, within_s=within_s, progress=progress)
    foresight = _checked_foresight(foresight, health.values(), progress)
    live, held = await live_reading(target)
    audits = await _audit(target.kafka, range(partitions), partitions, foresight, progress)
    differing = partitions_that_differ(live, held, audits)
    content = {}
    if differing:
        progress(f"partitions {', '.join(map(str, differing))} differ: comparing their applications one by one")
        audits |= await _audit(target.kafka, differing, partitions, foresight, progress, with_content=True)
        content = {number: await live_content(target, number) for number in differing}
    return judge_readings(live, audits, content)


async def _check_log(target: Target, expected: str | None) -> None:
    if expected is None:
        return
    try:
        async with asyncio.timeout(IDENTITY_WITHIN_S):
            found = await read_identity(target.kafka) or "without identity"
    except (KafkaError, TimeoutError) as error:
        raise VerifyError(f"broker {target.kafka.kafka_servers}: no answer ({error!r}); is it running?") from error
    if found != expected:
        raise VerifyError(f"the manifest is of log {expected}, the broker serves log {found}; use that run's manifest")


def _checked_foresight(
    foresight: RunParameters | None, health: Iterable[Mapping[str, Any]], progress: Callable[[str], None]
) -> RunParameters | None:
    """Return what the oracle must know, as the services themselves say it."""
    for body in health:
        if body.get("plan_changed_by_hand"):
            progress("the fault plan was changed by hand: the recount is the reference")
            return None
        if foresight and body.get("seed", foresight.seed) != foresight.seed:
            raise VerifyError(f"the mock's seed is {body['seed']}, the manifest's {foresight.seed}; send again")
        if foresight and "attempts" in body:
            foresight = replace(foresight, attempts=body["attempts"])
    return foresight


async def live_reading(target: Target) -> tuple[Snapshot, dict[int, int]]:
    """Return the live store's reading, and how many outcomes it holds by partition.

    Raises:
        VerifyError: the scoring API does not answer, or the store has closed months.

    """
    body = await _get(target, "/reading")
    if body.get("closed_before"):
        raise VerifyError(
            f"the store has deleted the outcomes of the months before {body['closed_before']}: what is gone cannot be"
            " held against the log; verify before months are closed"
        )
    return Snapshot.from_json(body), {int(number): count for number, count in body["outcomes"].items()}


async def live_content(target: Target, partition: int) -> dict[str, int]:
    """Return the content hash of every application of a partition of the live store; errors as `live_reading`."""
    found = await _get(target, f"/reading/{partition}")
    return {name: int(content, 16) for name, content in found.items()}


async def _get(target: Target, path: str) -> dict[str, Any]:
    try:
        async with httpx.AsyncClient(headers=authorization(), timeout=60) as client:
            response = await client.get(f"{target.api_url}{path}")
            response.raise_for_status()
    except httpx.HTTPError as error:
        msg = f"the scoring API at {target.api_url} does not answer: {error!r}; is scoring_api running?"
        raise VerifyError(msg) from error
    body: dict[str, Any] = response.json()
    return body


async def _audit(
    access: KafkaAccess,
    numbers: Sequence[int] | range,
    partitions: int,
    foresight: RunParameters | None,
    progress: Callable[[str], None],
    *,
    with_content: bool = False,
) -> dict[int, PartitionAudit]:
    """Audit partitions in as many processes as there are cores: nothing else runs now."""
    workers = min(len(numbers), os.cpu_count() or 1)
    loop = asyncio.get_running_loop()
    pool = ProcessPoolExecutor(workers, mp_context=get_context("spawn"))
    with _ctrl_c_held_back():
        jobs = [
            loop.run_in_executor(pool, audit_of, access, number, partitions, foresight, with_content)
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


@contextmanager
def _ctrl_c_held_back() -> Iterator[None]:
    """Hold SIGINT back until the end: processes started here inherit that, so Ctrl-C is ours alone to answer.

    Ignored instead of held back, it would be lost where it comes while they start.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def audit_of(
    access: KafkaAccess,
    number: int,
    partitions: int,
    foresight: RunParameters | None,
    with_content: bool,  # noqa: FBT001  a worker's plain arguments
) -> tuple[int, PartitionAudit]:
    """Read one partition's logs and audit it; runs in a worker process."""
    return number, asyncio.run(_audit_one(access, number, partitions, foresight, with_content=with_content))


async def _audit_one(
    access: KafkaAccess, number: int, partitions: int, foresight: RunParameters | None, *, with_content: bool
) -> PartitionAudit:
    async with LogReader(access) as log:
        auditor = PartitionAuditor(
            partition=number,
            partitions=partitions,
            letters=await log.letters(number),
            oracle=foresight.oracle(partitions) if foresight else None,
        )
        async for records in log.logged(APPLICATIONS_DECIDED.name, number):
            auditor.decided(records)
        async for records in log.logged(APPLICATIONS_SUBMITTED.name, number):
            auditor.submitted(records)
    return auditor.result(with_content=with_content)
