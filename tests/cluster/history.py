"""One history: services, broker, network and store from one seed, with what goes wrong, until rest and the verdict."""

import asyncio
import gc
import inspect
import json
import logging
import random
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any
from unittest.mock import patch

from aiokafka.errors import KafkaError
from aiokafka.structs import ConsumerRecord
from structlog.testing import capture_logs

from contracts.records import partition_of
from contracts.topics import (
    ALL,
    APPLICATIONS_DECIDED,
    APPLICATIONS_SUBMITTED,
    LOG_IDENTITY,
    dead_letter_topics,
)
from runtime.broker import RestartableProducer, open_producer
from runtime.messages import Message
from runtime.publisher import Publisher
from runtime.settings import KafkaAccess
from services.scoring.store.errors import StoreRefusesError, StoreUnavailableError
from services.scoring.store.store import Applied, Positioned, Store
from services.vneid_mock.faults import FaultPlan
from tests.cluster import checks, foreign
from tests.cluster.draws import Draws
from tests.cluster.kafka import KafkaCluster
from tests.cluster.members import SERVICES, Options, SupervisedMember
from tests.cluster.mishaps import Mishap, begin, planned
from tests.cluster.network import Network
from tests.cluster.savings import cheap, empty_store
from tests.cluster.simulated_loop import (
    CURRENT,
    Process,
    ProcessCall,
    SimulatedLoop,
    ThreadWork,
    simulated_time,
)
from tests.support.filings import HARSH, PLANS, VARIANTS, Submitted, filed, variants

APPLICATIONS = 30
PARTITIONS = 3
# All mishaps have ended by then; what is not at rest so much later stands still.
REST_WITHIN_S = 150.0
WATCHED_EVERY_S = 1.0
MISPLACED = 0.15
# The largest share that a drawn plan gives to a fault: those that exclude each other must not come to more than 1.
DRAWN_SHARE = 0.3
READ_BY_HANDLERS = {topic.name for topic in ALL if topic is not APPLICATIONS_DECIDED}
IDEMPOTENT = 0.6
STORE_DELAY_S = (0.0005, 0.01)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """Which history: its seed, and what is left out or added to find out why it fails."""

    seed: int
    applications: int = APPLICATIONS
    without: frozenset[int] = frozenset()
    kinds: tuple[str, ...] = ()
    plan: str = ""

    def command(self) -> str:
        """Return the command that plays exactly this history."""
        without = f" --without {','.join(map(str, sorted(self.without)))}" if self.without else ""
        fewer = f" --applications {self.applications}" if self.applications != APPLICATIONS else ""
        kinds = f" --kinds {','.join(self.kinds)!r}" if self.kinds else ""
        plan = f" --plan {self.plan}" if self.plan else ""
        return f"python -m tests.cluster --seed {self.seed}{fewer}{without}{kinds}{plan}"


@dataclass
class History:
    """What happened: `lines` are (simulated second, sentence); `violations` are empty if all held.

    `records` has what was ever in each topic, partition by partition. `owned` are (member, partition, from when, until
    when), in simulated seconds.
    """

    wish: Wish
    mishaps: list[Mishap]
    lines: list[tuple[float, str]] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    records: dict[str, list[ConsumerRecord]] = field(default_factory=dict)
    owned: list[tuple[str, int, float, float]] = field(default_factory=list)
    submitted: int = 0
    requests: int = 0
    lasted_s: float = 0.0
    processor_s: float = 0.0


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
        (folder / "scoring.db").write_bytes(empty_store())
        shape = self.draws.of("shape")
        plan = wish.plan or shape.choice(("drawn", "harsh", "silent"))
        (folder / f"{plan}.toml").write_text(_toml((PLANS.get(plan) or self._drawn_plan()).model_dump()))
        self.options = Options(
            servers=self.kafka.address,
            partitions=PARTITIONS,
            store=f"sqlite:///{folder / 'scoring.db'}",
            plan=str(folder / f"{plan}.toml"),
            seed=wish.seed,
            max_open=shape.choice((4, 1_000)),
            fetch_wait_ms=shape.choice((600, 1_200)),
            # The embedded broker knows no producers; without them the client gives up, and the publisher must not.
            idempotent=shape.random() < IDEMPOTENT,
        )
        self.members: dict[str, SupervisedMember] = {}
        self._owned: dict[tuple[str, int], float] = {}
        self._counts = dict.fromkeys(SERVICES, 0)
        for service in SERVICES:
            for _ in range(shape.choice((1, 2))):
                self._add(service)
        self.filings = filed(self.draws.of("filings").randrange(4))
        self.refused: set[str] = set()
        self.watch = checks.Watch(self)
        self._store_trouble = ""
        self._copies = 0
        self.driver_done = False
        loop.thread_work = self._thread_work

    def _drawn_plan(self) -> FaultPlan:
        draw = self.draws.of("plan")
        shares = {name: draw.uniform(0, DRAWN_SHARE) for name in FaultPlan.model_fields if name.endswith("_share")}
        return HARSH.model_copy(update={"name": "drawn", **shares})

    def tell(self, sentence: str) -> None:
        """Write a line of the history."""
        self.history.lines.append((self.loop.time(), sentence))
        self._see_owners(self.loop.time())

    def _see_owners(self, now: float) -> None:
        owners = {
            (member.name, number)
            for member in self.members.values()
            if member.process is not None and member.consumer is not None
            for number in member.consumer.partitions
        }
        for member, number in sorted(self._owned.keys() - owners):
            self.history.owned.append((member, number, self._owned.pop((member, number)), now))
        for place in owners:
            self._owned.setdefault(place, now)

    def ended(self) -> None:
        """Write down who owns what at the end."""
        now = self.history.lasted_s = self.loop.time()
        self.history.owned += [(member, number, since, now) for (member, number), since in sorted(self._owned.items())]

    def on_error(self, _: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Note an error of the simulation's own callbacks; those of processes are theirs."""
        if "handle" in context and not isinstance(context["handle"], ProcessCall):
            self.network.error = self.network.error or context.get("exception")

    def violate(self, sentence: str) -> None:
        """Note that something does not hold that must hold."""
        if sentence not in self.history.violations:
            self.tell(f"VIOLATION {sentence}")
            self.history.violations.append(sentence)

    def after(self, seconds: float, act: Callable[[], None]) -> None:
        """Do something later."""
        self.loop.in_world(act, after=seconds)

    def _offset_moved(self, group: str, place: tuple[str, int], before: int, offset: int, twice: bool) -> None:
        self.watch.committed(group, place, before, offset, twice=twice)

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
        draw = self.draws.of(("store", process.name if process else ""))
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

    def refuse_outcome(self, draw: Random) -> None:
        """Let the store refuse all outcomes of one application that has none yet, for good."""
        names = {event["application_id"] for event in self.filings[: self.history.wish.applications]}
        topic = APPLICATIONS_DECIDED.name
        decided = {record.key for number in range(PARTITIONS) for record in self.watch.records(topic, number)}
        open_ones = sorted(name for name in names if name.encode() not in decided)
        if open_ones:
            self.refused.add(draw.choice(open_ones))
            self.tell(f"the store refuses {', '.join(sorted(self.refused))}")

    @contextmanager
    def refusing(self) -> Iterator[None]:
        """Let the store refuse what it is to refuse."""
        apply = Store.apply

        def refusing(store: Store, batch: Sequence[Positioned], *offsets: Any) -> Applied:
            if any(outcome.application_id in self.refused for *_, outcome in batch):
                raise StoreRefusesError("a value that this store has no place for")
            return apply(store, batch, *offsets)

        with patch.object(Store, "apply", refusing):
            yield

    def foreign_transaction(self, draw: Random) -> None:
        """Let another client write a transaction, committed or aborted, into a topic."""
        topic, number = draw.choice([place for place in self.kafka.logs if place[0] in {each.name for each in ALL}])
        log = self.kafka.logs[topic, number]
        producer, aborted = 1_000_000 + len(self.history.lines), draw.random() < 0.5
        foreign.transaction(log, producer, self.kafka.wall_ms(), aborted=aborted)
        log.show(self.loop.time())
        self.tell(f"another client's transaction in {topic}/{number} is {'aborted' if aborted else 'committed'}")

    def unreadable_batch(self, draw: Random) -> None:
        """Let another client write records that no client can unpack, into a topic that intake or the mock reads."""
        topic, number = draw.choice([place for place in self.kafka.logs if place[0] in READ_BY_HANDLERS])
        fault, log = draw.choice(sorted(foreign.UNREADABLE)), self.kafka.logs[topic, number]
        written = log.append(foreign.unreadable(fault, draw.randint(1, 3), self.kafka.wall_ms()), readable=False)
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
    world.kafka.append(LOG_IDENTITY, 0, foreign.batch(None, b"the-log-of-this-history", world.kafka.wall_ms()))
    for member in world.members.values():
        world.loop.in_world(member.start, after=world.draws.of(f"start/{member.name}").uniform(0, 1.5))
    driver = Process("driver")
    driving = world.loop.spawn(driver, _drive(world))
    for mishap in world.history.mishaps:
        draw = world.draws.of(f"mishap/{mishap.number}")
        world.loop.in_world(begin, mishap, world, draw, after=mishap.at_s)
    ends = max([0.0, *(mishap.at_s + max(mishap.lasts_s, 12.0) for mishap in world.history.mishaps)])
    rested = await _rest(world, driving, ends + REST_WITHIN_S)
    world.ended()
    world.history.requests = world.kafka.requests.total()
    for topic, number in world.kafka.logs:
        world.history.records.setdefault(topic, []).extend(world.watch.records(topic, number))
    if rested:
        for sentence in checks.verdict(world):
            world.violate(sentence)


async def _rest(world: World, driving: "asyncio.Task[None]", deadline: float) -> bool:
    """Watch until nothing moves; return whether that came about."""
    quiet = 0
    # What does not hold once will not hold at the end.
    while quiet < 3 and world.loop.time() < deadline and not world.history.violations:
        await asyncio.sleep(WATCHED_EVERY_S)
        if world.network.error is not None:
            raise world.network.error
        world.watch.look()
        moving = checks.moving(world) + ([] if driving.done() else ["the driver sends"])
        mishaps = world.loop.time() < max([0.0, *(mishap.at_s + 0.1 for mishap in world.history.mishaps)])
        quiet = 0 if moving or mishaps else quiet + 1
    if driving.done() and driving.exception():
        world.violate(f"the driver failed: {driving.exception()!r}")
    if quiet < 3 and not world.history.violations:
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
        # Some clients have another partitioner, or send no key, or any.
        elsewhere, otherwise = draw.random() < MISPLACED, draw.random() < MISPLACED
        number = draw.randrange(PARTITIONS) if elsewhere else partition_of(submission.key, PARTITIONS)
        key = draw.choice((None, b"any", world.filings[0]["application_id"].encode())) if otherwise else submission.key
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
    for number in range(world.history.wish.applications):
        event = world.filings[number % len(world.filings)]
        yield from variants(event, world.draws.of(f"filing/{number}").randrange(VARIANTS))


def _toml(plan: dict[str, Any]) -> str:
    return "".join(
        f"{name} = {json.dumps(value)}\n" for name, value in plan.items() if isinstance(value, bool | int | float | str)
    )


def play(wish: Wish, folder: Path) -> History:
    """Play one history to its end in an empty folder; some 0.6 s of processor time."""
    random.seed(wish.seed)
    loop = SimulatedLoop()
    asyncio.set_event_loop(loop)
    logging.disable(logging.CRITICAL)
    collected = gc.isenabled()
    gc.disable()
    try:
        with simulated_time(loop):
            world = World(wish, folder, loop)
            loop.set_exception_handler(world.on_error)
            loop.create_connection = world.network.connect  # type: ignore[method-assign,assignment]
            with world.watch.watching(), world.refusing(), capture_logs(), cheap():
                loop.run_until_complete(loop.create_task(_history(world), context=loop.world))
            return world.history
    finally:
        _forget(loop)
        if collected:
            gc.enable()


def _forget(loop: SimulatedLoop) -> None:
    """End all that still runs, without letting it do anything."""
    for task in loop.tasks:
        task._log_destroy_pending = False  # type: ignore[attr-defined]
        work = task.get_coro()
        if inspect.iscoroutine(work) and inspect.getcoroutinestate(work) == inspect.CORO_CREATED:
            work.close()
    loop.close()
