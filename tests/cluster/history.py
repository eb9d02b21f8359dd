"""One history: services, broker, network and store from one seed, with what goes wrong, until rest and the verdict."""

import asyncio
import gc
import json
import logging
import random
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any
from unittest.mock import patch

from aiokafka.errors import KafkaError
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from structlog.testing import capture_logs

from contracts.records import partition_of
from contracts.topics import (
    ALL,
    APPLICATIONS_SUBMITTED,
    DOCUMENTS_PROVIDED,
    DOCUMENTS_REQUESTED,
    LOG_IDENTITY,
    dead_letter_topics,
)
from runtime.broker import RestartableProducer, open_producer
from runtime.messages import Message
from runtime.publisher import Publisher
from runtime.settings import KafkaAccess
from services.scoring.store.errors import StoreUnavailableError
from tests.cluster import checks
from tests.cluster.draws import Draws
from tests.cluster.kafka import KafkaCluster
from tests.cluster.members import SERVICES, Options, SupervisedMember
from tests.cluster.mishaps import Mishap, begin, planned
from tests.cluster.network import Network
from tests.cluster.partition_log import TRANSACTIONAL, with_attributes
from tests.cluster.simulated_loop import (
    CURRENT,
    Process,
    ProcessHandle,
    ProcessTimer,
    SimulatedLoop,
    ThreadWork,
    simulated_time,
)
from tests.support.confluence_filings import HARSH, SILENT, VARIANTS, Submitted, filed, variants

APPLICATIONS = 30
PARTITIONS = 3
# A member's ticker turns a little less often than in earnest: it is a tenth of a history's cost.
TICK_S = 0.15
# All mishaps have ended by then; what is not at rest so much later stands still.
REST_WITHIN_S = 150.0
WATCHED_EVERY_S = 1.0
PLANS = {"harsh": HARSH, "silent": SILENT}
MISPLACED = 0.15
READ_BY_HANDLERS = {APPLICATIONS_SUBMITTED.name, DOCUMENTS_REQUESTED.name, DOCUMENTS_PROVIDED.name}
IDEMPOTENT = 0.6
STORE_DELAY_S = (0.0005, 0.01)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """Which history: its seed, and what is left out or added to find out why it fails."""

    seed: int
    applications: int = APPLICATIONS
    without: frozenset[int] = frozenset()
    kinds: tuple[str, ...] = ()

    def command(self) -> str:
        """Return the command that plays exactly this history."""
        without = f" --without {','.join(map(str, sorted(self.without)))}" if self.without else ""
        fewer = f" --applications {self.applications}" if self.applications != APPLICATIONS else ""
        kinds = f" --kinds {','.join(self.kinds)!r}" if self.kinds else ""
        return f"python -m tests.cluster --seed {self.seed}{fewer}{without}{kinds}"


@dataclass
class History:
    """What happened: `lines` are (simulated second, sentence); `violations` are empty if all held."""

    wish: Wish
    mishaps: list[Mishap]
    lines: list[tuple[float, str]] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    submitted: int = 0
    requests: int = 0
    lasted_s: float = 0.0


class World:
    """All that takes part in one history."""

    def __init__(self, wish: Wish, folder: Path, loop: SimulatedLoop) -> None:
        self.loop, self.folder = loop, folder
        self.draws = Draws(wish.seed)
        self.history = History(
            wish, [each for each in planned(self.draws, wish.kinds) if each.number not in wish.without]
        )
        self.network = Network(loop, self.draws)
        topics = {topic.name: PARTITIONS for topic in ALL} | {name: PARTITIONS for name, _ in dead_letter_topics()}
        self.kafka = KafkaCluster(
            loop, self.draws, self.network, topics | {LOG_IDENTITY: 1}, self.tell, self._offset_moved
        )
        shape = self.draws.of("shape")
        plan = shape.choice(sorted(PLANS))
        (folder / f"{plan}.toml").write_text(_toml(PLANS[plan].model_dump()))
        self.options = Options(
            servers=self.kafka.address,
            partitions=PARTITIONS,
            store=f"sqlite:///{folder / 'scoring.db'}",
            plan=str(folder / f"{plan}.toml"),
            seed=wish.seed,
            max_open=shape.choice((4, 1_000)),
            fetch_wait_ms=shape.choice((300, 1_000)),
            # The embedded broker knows no producers; without them the client gives up, and the publisher must not.
            idempotent=shape.random() < IDEMPOTENT,
        )
        self.members: dict[str, SupervisedMember] = {}
        self._counts = dict.fromkeys(SERVICES, 0)
        for service in SERVICES:
            for _ in range(shape.choice((1, 2))):
                self._add(service)
        self.watch = checks.Watch(self)
        self._store_trouble = ""
        self._copies = 0
        self.driver_done = False
        loop.thread_work = self._thread_work

    def tell(self, sentence: str) -> None:
        """Write a line of the history."""
        self.history.lines.append((self.loop.time(), sentence))

    def on_error(self, _: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Note an error of the simulation's own callbacks; those of processes are theirs."""
        if "handle" in context and not isinstance(context["handle"], ProcessHandle | ProcessTimer):
            self.network.error = self.network.error or context.get("exception")

    def violate(self, sentence: str) -> None:
        """Note that something does not hold that must hold."""
        if sentence not in self.history.violations:
            self.tell(f"VIOLATION {sentence}")
            self.history.violations.append(sentence)

    def after(self, seconds: float, act: Callable[[], None]) -> None:
        """Do something later."""
        self.loop.in_world(act, after=seconds)

    def _offset_moved(self, group: str, place: tuple[str, int], before: int, offset: int) -> None:
        self.watch.committed(group, place, before, offset)

    def _add(self, service: str) -> SupervisedMember:
        self._counts[service] += 1
        name = f"{service}-{self._counts[service]}"
        member = SupervisedMember(name, service, self.options, self.network, self.tell)
        self.members[name] = member
        return member

    def add_member(self, service: str) -> None:
        """Let one more member join for good; one without a partition would be unready for ever."""
        if self._counts[service] < PARTITIONS:
            self._add(service).start()

    def store_away(self, how: str) -> None:
        """Let the store refuse, be slow, or leave it unsure whether a transaction was made; "" ends it."""
        self.tell(f"the store {how or 'is well again'}")
        self._store_trouble = how

    def _thread_work(self) -> ThreadWork:
        process = CURRENT.get()
        draw = self.draws.of(f"store/{process.name if process else ''}")
        before, after = draw.uniform(*STORE_DELAY_S), draw.uniform(*STORE_DELAY_S)
        away = StoreUnavailableError("the store is away")
        if self._store_trouble == "refuses":
            return ThreadWork(before, after, refused=away)
        if self._store_trouble == "unsure" and draw.random() < 0.5:
            return ThreadWork(before, after, unsure=away)
        if self._store_trouble == "slow":
            return ThreadWork(before + draw.uniform(1, 12), after + draw.uniform(0, 3))
        return ThreadWork(before, after)

    def restore_store(self) -> None:
        """Put an earlier copy of the store in its place, as an operator does with the members stopped."""
        self.tell("the store is copied")
        store, copy = self.folder / "scoring.db", self.folder / "copy.db"
        if not store.exists():
            return
        checks.copy_store(store, copy)

        def restore() -> None:
            self.tell("the store is restored from its copy")
            for member in self.members.values():
                if member.service == "scoring":
                    member.kill(restart_after_s=2.0)
            for stale in self.folder.glob("scoring.db*"):
                stale.unlink()
            shutil.copy(copy, store)

        self.after(8.0, restore)

    def foreign_transaction(self, draw: Random) -> None:
        """Let another client write a transaction, committed or aborted, into a topic."""
        topic, number = draw.choice([place for place in self.kafka.logs if place[0] in {each.name for each in ALL}])
        log = self.kafka.logs[topic, number]
        producer, aborted = 1_000_000 + len(self.history.lines), draw.random() < 0.5
        if aborted:
            record = _batch(b"foreign", b"{}", self.kafka.wall_ms(), producer)
            log.append(with_attributes(record, TRANSACTIONAL))
        log.end_transaction(producer, self.kafka.wall_ms(), aborted=aborted)
        log.show(self.loop.time())
        self.tell(f"another client's transaction in {topic}/{number} is {'aborted' if aborted else 'committed'}")

    def unreadable_batch(self, draw: Random) -> None:
        """Let another client write records that no client can unpack, into a topic that intake or the mock reads."""
        topic, number = draw.choice([place for place in self.kafka.logs if place[0] in READ_BY_HANDLERS])
        fault, log = draw.choice(sorted(UNREADABLE)), self.kafka.logs[topic, number]
        written = log.append(UNREADABLE[fault](_with_headers(draw.randint(1, 3), self.kafka.wall_ms())), readable=False)
        log.show(self.loop.time())
        self.tell(f"another client's records from {topic}/{number}/{written.offset} on have {fault}")

    def truncate_logs(self) -> None:
        """Delete what every group has committed, as retention does; not what a restored store will have to read."""
        self.tell("the logs lose what is committed")
        restored = any(mishap.kind == "store restored" for mishap in self.history.mishaps)
        for (topic, number), log in self.kafka.logs.items():
            for group in SERVICES[:-1] if restored else SERVICES:
                offset = self.kafka.group(group).offsets.get((topic, number))
                if offset is not None:
                    self.watch.keep(log)
                    log.truncate(offset)


async def _history(world: World) -> None:
    world.kafka.append(LOG_IDENTITY, 0, _batch(None, b"the-log-of-this-history", world.kafka.wall_ms()))
    for member in world.members.values():
        world.loop.in_world(member.start, after=world.draws.of(f"start/{member.name}").uniform(0, 1.5))
    driver = Process("driver")
    driving = world.loop.spawn(driver, _drive(world))
    for mishap in world.history.mishaps:
        draw = world.draws.of(f"mishap/{mishap.number}")
        world.loop.in_world(begin, mishap, world, draw, after=mishap.at_s)
    ends = max([0.0, *(mishap.at_s + max(mishap.lasts_s, 12.0) for mishap in world.history.mishaps)])
    rested = await _rest(world, driving, ends + REST_WITHIN_S)
    world.history.lasted_s = world.loop.time()
    world.history.requests = world.kafka.requests.total()
    if rested:
        for sentence in checks.verdict(world):
            world.violate(sentence)


async def _rest(world: World, driving: "asyncio.Task[None]", deadline: float) -> bool:
    """Watch until nothing moves; return whether that came about."""
    quiet = 0
    while quiet < 3 and world.loop.time() < deadline:
        await asyncio.sleep(WATCHED_EVERY_S)
        if world.network.error is not None:
            raise world.network.error
        world.watch.look()
        moving = checks.moving(world) + ([] if driving.done() else ["the driver sends"])
        mishaps = world.loop.time() < max([0.0, *(mishap.at_s + 0.1 for mishap in world.history.mishaps)])
        quiet = 0 if moving or mishaps else quiet + 1
    if driving.done() and driving.exception():
        world.violate(f"the driver failed: {driving.exception()!r}")
    if quiet < 3:
        world.violate(f"no rest: {'; '.join(moving)}")
    return quiet >= 3


async def _drive(world: World) -> None:
    """Send the history's submissions, spread over the time of its mishaps."""
    access = KafkaAccess(kafka_servers=world.kafka.address)
    producer = RestartableProducer(lambda: open_producer(access, client_id="driver", idempotent=True))
    await _started(producer)
    publisher = Publisher(producer, producer.renew)
    draw = world.draws.of("driver")
    for submission in _submissions(world):
        await asyncio.sleep(draw.choice((0.0, 0.1, 0.6)))
        world.history.submitted += 1
        # Some clients have another partitioner, or send no key.
        elsewhere, keyless = draw.random() < MISPLACED, draw.random() < MISPLACED
        number = draw.randrange(PARTITIONS) if elsewhere else partition_of(submission.key, PARTITIONS)
        key = None if keyless else submission.key
        message: Message = (APPLICATIONS_SUBMITTED.name, key, submission.value, [])
        publisher.add([message], number)
        await publisher.flush()
    await producer.stop()


async def _started(producer: RestartableProducer) -> None:
    while True:
        try:
            await producer.start()
        except KafkaError:
            await asyncio.sleep(0.5)
        else:
            return


def _submissions(world: World) -> Iterable[Submitted]:
    draw = world.draws.of("filings")
    events = filed(draw.randrange(4))
    for number in range(world.history.wish.applications):
        event = events[number % len(events)]
        yield from variants(event, world.draws.of(f"filing/{number}").randrange(VARIANTS))


def _batch(key: bytes | None, value: bytes, timestamp_ms: int, producer: int = -1) -> bytes:
    builder = DefaultRecordBatchBuilder(
        2, 0, 0, producer, 0 if producer >= 0 else -1, 0 if producer >= 0 else -1, 65_536
    )
    builder.append(0, timestamp_ms, key, value, [])
    return bytes(builder.build())


def _with_headers(records: int, timestamp_ms: int) -> bytes:
    builder = DefaultRecordBatchBuilder(2, 0, 0, -1, -1, -1, 65_536)
    for number in range(records):
        builder.append(number, timestamp_ms, b"key", b"{}", [("a-name", b"")])
    return bytes(builder.build())


UNREADABLE: dict[str, Callable[[bytes], bytes]] = {
    "a header name that is not UTF-8": lambda data: with_attributes(data.replace(b"a-name", b"\xff\xfename"), 0),
    "a codec that nobody has": lambda data: with_attributes(data, 0x07),
    "a check sum that is wrong": lambda data: data[:-1] + bytes([data[-1] ^ 1]),
}


def _toml(plan: dict[str, Any]) -> str:
    return "".join(
        f"{name} = {json.dumps(value)}\n" for name, value in plan.items() if isinstance(value, bool | int | float | str)
    )


def play(wish: Wish, folder: Path) -> History:
    """Play one history to its end in an empty folder; some 0.3 s of processor time."""
    random.seed(wish.seed)
    loop = SimulatedLoop()
    asyncio.set_event_loop(loop)
    logging.disable(logging.CRITICAL)
    gc.disable()
    try:
        with simulated_time(loop):
            world = World(wish, folder, loop)
            loop.set_exception_handler(world.on_error)
            loop.create_connection = world.network.connect  # type: ignore[method-assign,assignment]
            with world.watch.watching(), capture_logs(), patch("runtime.consumer.TICK_S", TICK_S):
                loop.run_until_complete(loop.create_task(_history(world), context=loop.world))
            return world.history
    finally:
        _forget(loop)
        gc.enable()


def _forget(loop: SimulatedLoop) -> None:
    """End all that still runs, without letting it do anything."""
    for task in loop.tasks:
        task._log_destroy_pending = False  # type: ignore[attr-defined]
    loop.close()
