"""A whole load run: the manifest, the producer, one rate or a search over several, and the result."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from aiokafka.errors import KafkaError

from domain import load_domain
from paperless.language import Message, message, texts
from paperless.population.scenario import DEFAULT_SCENARIO, load_scenario
from paperless.traffic.load.ceiling import driver_ceiling
from paperless.traffic.load.notes import notes
from paperless.traffic.load.plan import LoadPlan, LoadTarget, Progress
from paperless.traffic.load.result import Ceiling, LoadResult, Measured, Step, this_machine
from paperless.traffic.load.run import Rate, Rig, run_once
from paperless.traffic.load.search import Search, judge
from paperless.traffic.manifest import DaySent, Status, plan_digest, versions
from paperless.traffic.recording import Recording
from paperless.traffic.survey import LogError, LogSurvey, survey
from runtime.broker import RestartableProducer, open_producer

Tell = Callable[[Message], None]
_STOP_WITHIN_S = 3.0


@dataclass(slots=True)
class _Session:
    """What was sent and measured until now; `log_length` counts the submissions in the log, earlier ones too."""

    log_length: int
    sent: int = 0
    measured: Measured | None = None
    steps: tuple[Step, ...] = ()

    def add(self, run: Measured) -> None:
        self.sent += run.counts.acknowledged
        self.log_length += run.counts.sent


async def load(
    plan: LoadPlan,
    target: LoadTarget,
    *,
    command: str,
    stop: asyncio.Event,
    show: Callable[[Progress], None] = lambda _: None,
    tell: Tell = lambda _: None,
) -> LoadResult:
    """Run a load plan on a running system and return its result; writes the manifest before and after.

    Args:
        plan: what to do.
        target: the system.
        command: the command line, for the result.
        stop: ends it early when set; the result is of what was measured until then.
        show: called twice a second at most.
        tell: called with a message at each step.

    Raises:
        LogError: the broker does not answer, or its topics are not as they must be.
        LoadError: the scoring API does not answer.
        ManifestError: the manifest cannot be written.

    """
    log = await survey(target.kafka, end_offsets_reliable=target.idempotent_producer)
    ceiling = await driver_ceiling(log.partitions)
    tell(message("load.ceiling", handed=round(ceiling.handed_per_s), made=round(ceiling.made_per_s)))
    started = datetime.now(UTC)
    session = _Session(sum(log.start_offsets.values()))
    async with _recorded(plan, target, log, session, stop), _producer(target) as producer:
        rig = Rig(target=target, partitions=log.partitions, producer=producer, show=show, stop=stop)
        await (_search if plan.mode == "max" else _single)(plan, rig, session, tell)
    return _result(plan, target, session, command=command, started=started, ceiling=ceiling, interrupted=stop.is_set())


async def _single(plan: LoadPlan, rig: Rig, session: _Session, tell: Tell) -> None:
    tell(_loop(plan))
    rate = None if plan.mode == "closed" else plan.rate
    session.measured = await run_once(plan, Rate(0, rate, session.log_length), rig)
    session.add(session.measured)


def _loop(plan: LoadPlan) -> Message:
    if plan.mode == "closed":
        return message("load.closed_loop", in_flight=plan.in_flight)
    return message("load.open_loop", rate=f"{plan.rate:g}", arrivals=plan.arrivals)


async def _search(plan: LoadPlan, rig: Rig, session: _Session, tell: Tell) -> None:
    search = Search(plan.rate)
    while (rate := search.next_rate()) and not rig.stop.is_set():
        if not rig.target.fits(plan.most_applications(rate)):
            tell(message("load.search_full", rate=round(rate)))
            return
        run = await run_once(plan, Rate(len(session.steps), rate, session.log_length), rig)
        session.add(run)
        sustained, why = judge(run, limit_p99_ms=plan.limit_p99_ms, warm_up_s=plan.warm_up_s)
        if rig.stop.is_set():
            session.measured = session.measured or run
            return
        session.steps += (Step(rate=rate, sustained=sustained, why=texts("en").say(why), measured=run),)
        search = search.after(rate, sustained=sustained)
        session.measured = run if sustained else session.measured
        judged = message("load.sustained" if sustained else "load.not_sustained")
        tell(message("load.step", rate=round(rate), verdict=judged, why=why))
        if run.counts.missing:
            tell(message("load.search_ends"))
            return


@asynccontextmanager
async def _producer(target: LoadTarget) -> AsyncIterator[RestartableProducer]:
    producer = RestartableProducer(
        lambda: open_producer(target.kafka, client_id="paperless-load", idempotent=target.idempotent_producer)
    )
    try:
        await producer.start()
        yield producer
    except KafkaError as error:
        raise LogError(
            f"broker {target.kafka.kafka_servers}: {error or type(error).__name__}; is it running?"
        ) from error
    finally:
        # A broker that is gone would be waited for, request by request; what is not acknowledged is counted already.
        await asyncio.wait({asyncio.create_task(producer.stop())}, timeout=_STOP_WITHIN_S)


@asynccontextmanager
async def _recorded(
    plan: LoadPlan, target: LoadTarget, log: LogSurvey, session: _Session, stop: asyncio.Event
) -> AsyncIterator[None]:
    """Write the manifest that `verify` reads, before the first record and at the end, however it ends."""
    scenario = load_scenario(DEFAULT_SCENARIO, load_domain())
    recording = Recording(
        path=target.manifest,
        run_id=str(uuid.uuid4()),
        plan_name=target.mock["plan"]["name"],
        plan=target.mock["plan"],
        rules_version=target.rules_version,
    )
    unplanned = tuple(DaySent(day=day, planned=0) for day in scenario.days)
    # The seed that the mock answers by: an oracle must know that one, and no other.
    manifest = recording.begin(log, scenario, unplanned, seed=target.mock["seed"], pace=plan.pace)
    status: Status = "failed"
    try:
        yield
        status = "stopped" if stop.is_set() else "sent"
    except asyncio.CancelledError:
        status = "stopped"
        raise
    finally:
        days = tuple(day.model_copy(update={"sent": session.sent, "planned": session.sent}) for day in manifest.days)
        recording.end(manifest, status, days)


def _result(
    plan: LoadPlan,
    target: LoadTarget,
    session: _Session,
    *,
    command: str,
    started: datetime,
    ceiling: Ceiling,
    interrupted: bool,
) -> LoadResult:
    mock: Mapping[str, object] = target.mock["plan"]
    return LoadResult(
        command=command,
        mode=plan.mode,
        arrivals=plan.arrivals if plan.mode != "closed" else "as earlier ones end",
        rate=session.measured.rate if session.measured else None,
        in_flight=plan.in_flight or None,
        limit_p99_ms=plan.limit_p99_ms if plan.mode == "max" else None,
        seconds=plan.seconds,
        warm_up_s=plan.warm_up_s,
        drain_s=plan.drain_s,
        seed=plan.seed,
        plan_name=str(mock["name"]),
        plan_digest=plan_digest(mock),
        versions=versions(),
        machine=this_machine(),
        ceiling=ceiling,
        started_at=started,
        ended_at=datetime.now(UTC),
        interrupted=interrupted,
        notes=tuple(map(texts("en").say, notes(plan.mode, session.measured, ceiling, interrupted=interrupted))),
        measured=session.measured,
        steps=session.steps,
    )
