"""The parts of the flow as stages: each can be run again and again on the same real inputs, under any meter.

A stage calls what the services call, record by record. `take` stages are the whole way of a record through a handler
and the partition's state; others are pieces of it. Whole services are in `stages_whole`.
"""

import asyncio
import tempfile
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, NamedTuple

import orjson
from aiokafka.producer.message_accumulator import BatchBuilder

from benchmarks.played import (
    ATTEMPTS,
    DECIDED,
    KEY,
    PARTITIONS,
    PROVIDED,
    REQUESTED,
    SUBMITTED,
    Fetched,
    Played,
    Script,
    Silences,
    intake_handlers,
    intake_state,
    mock_handlers,
    mock_state,
    submitted_headers,
)
from contracts.draws import short_digest
from contracts.events import ApplicationDecided, ApplicationSubmitted, DocumentsProvided, DocumentsRequested
from contracts.records import decode_event, partition_of
from domain import load_domain
from paperless.population.arrivals import arrivals
from paperless.population.population import Population
from paperless.traffic.load.ceiling import InstantProducer
from paperless.verification.oracle import Oracle
from runtime.messages import Message, RecordHandler
from runtime.partition_state import PartitionState
from runtime.publisher import Publisher
from services.intake.context import facts_of, seal, unseal
from services.intake.core import RuleBook, answers_of, check, decide, look_ups
from services.scoring.rollup.outcome import ApplicationOutcome, decode
from services.scoring.rollup.rollup import deltas
from services.scoring.settings import ScoringSettings
from services.scoring.store.store import Positioned, Store
from services.vneid_mock.core import Vneid, respond
from services.vneid_mock.registry import Registry

Meter = AbstractContextManager[Any]


class Stage(NamedTuple):
    """One part of the flow.

    Attributes:
        name: `<process>.<part>`.
        records: how many records (or applications) one run handles.
        run: runs it once; what it must set up first is outside `with meter`.
        piece: whether its work is in another stage too, which is the whole of it.

    """

    name: str
    records: int
    run: Callable[[Meter], None]
    piece: bool = True


def stages_of(played: Played, folder: Path) -> list[Stage]:
    """Return all stages over a played day, in the order of the flow; `folder` is for stores."""
    return [
        *_driver(played),
        *_intake_first(played),
        *_mock(played),
        *_intake_second(played),
        *_scoring(played, folder),
        *_publishing(played),
        _oracle(played),
    ]


def _each(name: str, work: Callable[[Any], object], inputs: Sequence[Any]) -> Stage:
    def run(meter: Meter) -> None:
        with meter:
            for one in inputs:
                work(one)

    return Stage(name, len(inputs), run)


def _pairs(name: str, work: Callable[[Any, Any], object], inputs: Sequence[tuple[Any, Any]]) -> Stage:
    def run(meter: Meter) -> None:
        with meter:
            for left, right in inputs:
                work(left, right)

    return Stage(name, len(inputs), run)


def _driver(played: Played) -> Iterable[Stage]:
    def order(meter: Meter) -> None:
        with meter:
            for _ in arrivals(played.day):
                pass

    def message(submission: Any) -> Message:
        partition_of(submission.key, PARTITIONS)
        headers = submitted_headers(f"{submission.application_id}/submitted")
        return SUBMITTED, submission.key, submission.value, headers

    yield Stage("driver.arrivals", len(played.arrivals), order, piece=False)
    yield _each("driver.submission", Population(played.day).submission, played.arrivals)._replace(piece=False)
    yield _each("driver.message", message, played.submissions)._replace(piece=False)


def _parsing(name: str, fetches: Sequence[Fetched]) -> Stage:
    def run(meter: Meter) -> None:
        with meter:
            for fetched in fetches:
                fetched.parse()

    return Stage(name, sum(len(fetched.records) for fetched in fetches), run)


def _intake_first(played: Played) -> Iterable[Stage]:
    book = RuleBook.of(load_domain(), ATTEMPTS)
    records = played.records(SUBMITTED)
    submitted = [decode_event(record, ApplicationSubmitted, PARTITIONS) for record in records]
    facts = [facts_of(one, short_digest(record.value)) for one, record in zip(submitted, records, strict=True)]
    requests = [DocumentsRequested.model_validate_json(value or b"") for _, _, value, _ in played.messages[REQUESTED]]
    yield _parsing("intake1.parse", played.fetches[SUBMITTED])
    yield _each("intake1.decode_event", lambda record: decode_event(record, ApplicationSubmitted, PARTITIONS), records)
    yield _each("intake1.check", lambda one: check(one, book), submitted)
    yield _pairs(
        "intake1.facts_of",
        lambda one, record: facts_of(one, short_digest(record.value)),
        list(zip(submitted, records, strict=True)),
    )
    yield _each("intake1.look_ups", lambda one: look_ups(one, book), facts)
    yield _each("intake1.seal", lambda one: seal(one, KEY), facts)
    yield _each("intake1.encode_request", orjson.dumps, [one.model_dump() for one in requests])
    yield _taking("intake1.take", played.intake, intake_handlers, intake_state, SUBMITTED)


def _mock(played: Played) -> Iterable[Stage]:
    records = played.records(REQUESTED)
    requests = [decode_event(record, DocumentsRequested, PARTITIONS) for record in records]
    seed, plan = played.day.seed, played.plan
    vneid = Vneid(Registry.of(load_domain()), plan, seed)
    yield _parsing("mock.parse", played.fetches[REQUESTED])
    yield _each("mock.decode_event", lambda record: decode_event(record, DocumentsRequested, PARTITIONS), records)
    yield _each("mock.respond", lambda request: respond(request, vneid), requests)
    yield _taking("mock.take", played.mock, lambda: mock_handlers(plan, seed), mock_state, REQUESTED)


def _intake_second(played: Played) -> Iterable[Stage]:
    book = RuleBook.of(load_domain(), ATTEMPTS)
    records = played.records(PROVIDED)
    provided = [decode_event(record, DocumentsProvided, PARTITIONS) for record in records]
    facts = [unseal(one.context, one.application_id, KEY) for one in provided]
    answers = [answers_of(one) for one in provided]
    decisions = [decide(one, known, book) for one, known in zip(facts, answers, strict=True)]
    yield _parsing("intake2.parse", played.fetches[PROVIDED])
    yield _each("intake2.decode_event", lambda record: decode_event(record, DocumentsProvided, PARTITIONS), records)
    yield _each("intake2.unseal", lambda one: unseal(one.context, one.application_id, KEY), provided)
    yield _each("intake2.answers_of", answers_of, provided)
    yield _pairs("intake2.decide", lambda one, known: decide(one, known, book), list(zip(facts, answers, strict=True)))
    yield _each("intake2.to_json", lambda decision: decision.to_json(), decisions)
    yield _taking("intake2.take", played.intake, intake_handlers, intake_state, PROVIDED)


def _taking(
    name: str,
    scripts: Sequence[Script],
    handlers: Callable[[], RecordHandler],
    state: Callable[[], PartitionState],
    topic: str,
) -> Stage:
    """Return the whole handling of a topic's records; what happens in between is played too, unmeasured."""
    # What it works out once for equal cases is known in a service that has run for a while.
    handler = handlers()

    def run(meter: Meter) -> None:
        for script in scripts:
            _follow(script, handler, state(), topic, meter)

    steps = [step for script in scripts for step in script.steps]
    count = sum(len(step.records) for step in steps if isinstance(step, Fetched) and step.topic == topic)
    return Stage(name, count, run)


def _follow(script: Script, handler: RecordHandler, state: PartitionState, topic: str, meter: Meter) -> None:
    now = 0.0
    for step in script.steps:
        if isinstance(step, Silences):
            for key in step.keys:
                now += 1.0
                state.fire(key, handler, now)
        elif step.topic == topic:
            with meter:
                _take_all(step, handler, state)
        else:
            _take_all(step, handler, state)


def _take_all(step: Fetched, handler: RecordHandler, state: PartitionState) -> list[Message]:
    # The loop of the kernel, without its care for errors.
    messages: list[Message] = []
    take = state.take
    for record in step.records:
        messages += take(record, handler, 0.0)
    return messages


def _scoring(played: Played, folder: Path) -> Iterable[Stage]:
    domain = load_domain()
    records = played.records(DECIDED)
    decided = [decode(record, PARTITIONS, domain) for record in records]
    batch = [Positioned(record.partition, record.offset, one) for record, one in zip(records, decided, strict=True)]
    yield _parsing("scoring.parse", played.fetches[DECIDED])
    yield _each("scoring.decode_event", lambda record: decode_event(record, ApplicationDecided, PARTITIONS), records)
    yield _each("scoring.decode", lambda record: decode(record, PARTITIONS, domain), records)
    yield _deltas([(one.partition, one.outcome) for one in batch])
    yield Stage("scoring.apply", len(batch), lambda meter: _apply(batch, folder, meter))


def _deltas(pairs: list[tuple[int, ApplicationOutcome]]) -> Stage:
    size = ScoringSettings().max_records

    def run(meter: Meter) -> None:
        with meter:
            for start in range(0, len(pairs), size):
                deltas(pairs[start : start + size], {})

    return Stage("scoring.deltas", len(pairs), run)


def _apply(batch: Sequence[Positioned], folder: Path, meter: Meter) -> None:
    """Apply everything to an empty store on disk, in the largest batches that the service takes."""
    size = ScoringSettings().max_records
    with tempfile.TemporaryDirectory(dir=folder) as place, Store(f"sqlite:///{place}/scoring.db") as store:
        store.bind_log("benchmarks")
        for start in range(0, len(batch), size):
            some = batch[start : start + size]
            with meter:
                store.apply(some)


class Stored(InstantProducer):
    """Stands for a broker that has every batch at once, as bytes."""

    async def send_batch(self, *batch: Any, **target: Any) -> asyncio.Future[None]:
        batch[0]._build()  # noqa: SLF001  what aiokafka's sender does with it
        return await super().send_batch(*batch, **target)


def _publishing(played: Played) -> Iterable[Stage]:
    sent = [
        (fetched.partition, [(r.topic, r.key, r.value, list(r.headers)) for r in fetched.records])
        for fetched in played.fetches[DECIDED]
    ]
    count = sum(len(messages) for _, messages in sent)

    def append(meter: Meter) -> None:
        for _, messages in sent:
            batch = BatchBuilder(1 << 30, 0)
            with meter:
                for _, key, value, headers in messages:
                    batch.append(key=key, value=value, timestamp=None, headers=headers)

    async def publish(meter: Meter) -> None:
        producer = Stored()
        publisher = Publisher(lambda: producer)
        for partition, messages in sent:
            with meter:
                publisher.add(messages, partition)
                await publisher.flush()

    yield Stage("publish.append", count, append)
    yield Stage("publish.publisher", count, lambda meter: asyncio.run(publish(meter)))


def _oracle(played: Played) -> Stage:
    domain = load_domain()
    vneid = Vneid(Registry.of(domain), played.plan, played.day.seed)
    oracle = Oracle(RuleBook.of(domain, ATTEMPTS), vneid, PARTITIONS)
    return _each("oracle.outcome", oracle.outcome, played.records(SUBMITTED))._replace(piece=False)
