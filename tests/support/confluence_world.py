"""The whole flow in memory: real handlers, real partition states and real roll-up on a log of lists.

A script of steps says what happens in between: in which portions records are read, what is published twice or in
another order, who dies and when, which deadline fires. Whatever the script, `finish` plays on until nothing is left.
"""

import json
from collections.abc import Callable
from typing import Any, NamedTuple

from contracts.draws import draws
from contracts.errors import Misplaced, Reject
from contracts.events import ApplicationDecided, DocumentsProvided
from contracts.records import partition_of, short_digest
from contracts.topics import APPLICATIONS_DECIDED, APPLICATIONS_SUBMITTED, DOCUMENTS_PROVIDED, DOCUMENTS_REQUESTED
from paperless.verification.oracle import Oracle
from runtime.messages import Message, RecordHandler
from runtime.partition_state import PartitionState, PendingOptions
from services.intake.context import unseal
from services.intake.core import answers_of
from services.intake.handlers import IntakeHandlers
from services.scoring.rollup.cells import Snapshot
from services.scoring.rollup.outcome import decode
from services.scoring.rollup.rollup import Rollup
from services.vneid_mock.control import PlanState
from services.vneid_mock.core import Vneid
from services.vneid_mock.faults import FaultPlan
from services.vneid_mock.handlers import VneidHandlers
from tests.support.confluence_filings import HARSH, SILENT, VARIANTS, Submitted, book, filed, registry, variants
from tests.support.fakes_runtime import ManualClock, MemoryLog, Stored, effects_of

SUBMITTED, DECIDED = APPLICATIONS_SUBMITTED.name, APPLICATIONS_DECIDED.name
REQUESTED, PROVIDED = DOCUMENTS_REQUESTED.name, DOCUMENTS_PROVIDED.name
PARTITIONS, PATIENCE_S, KEY = 2, 4.0, b"a signing key"
DEAD = ".dlq"
# A message with the partition it goes to.
Targeted = tuple[Message, int]
MAX_ROUNDS, MAX_REQUESTS = 100, 20_000


class Step(NamedTuple):
    """What happens next, to which partition; `amount` and `salt` mean what the action makes of them."""

    action: str
    partition: int = 0
    amount: int = 1
    salt: int = 0


class Member:
    """One service's owner of one partition: what it has read and what it has committed."""

    def __init__(self, world: "World", handler: RecordHandler, options: PendingOptions, partition: int) -> None:
        self.world, self.handler, self.options, self.partition = world, handler, options, partition
        topics = [options.opens, *([options.answered_on] if options.answered_on else [])]
        self.committed = dict.fromkeys(topics, 0)
        self.fetched: tuple[float, int] | None = None
        self.restart()

    def restart(self) -> None:
        """Lose everything but the commit; an eager rebalance does the same."""
        self.state = self.world.state_type(self.committed, self.options)
        self.fetched = None

    def commit(self) -> None:
        self.committed = self.state.commits()

    def read(self, topic: str, count: int, salt: int = 0, *, dies: bool = False) -> int:
        """Handle the next records and publish; who dies has published a part, and remembers nothing."""
        log, clock = self.world.log, self.world.clock
        records = log.read(topic, self.partition, self.state.next_offsets[topic], count)
        messages: list[Targeted] = []
        for record in records:
            try:
                handled = self.handler.on_record(record, self.state.pending)
                target = effects_of(handled).partition
                caused = self.state.apply(handled, record.offset, clock.now())
                messages += [(message, self.partition if target is None else target) for message in caused]
            except Reject as reject:
                place = f"{reject.reason}@{record.offset}".encode()
                messages.append(((record.topic + DEAD, record.key, place, []), self.partition))
            self.state.read_past(record)
        if dies:
            self.publish(messages[: len(messages) * salt // 4], salt)
            self.restart()
        else:
            self.publish(messages, salt)
        return len(records)

    def publish(self, messages: list[Targeted], salt: int) -> None:
        """Store messages; a retry may repeat some (salt 1), in another order (salt 2)."""
        order = messages[::-1] if salt & 2 else messages
        repeats = order[: len(order) // 2 + 1] if salt & 1 else []
        for (topic, key, value, headers), partition in order + repeats:
            self.world.log.append(topic, partition, key, value, headers)

    def fetch(self) -> None:
        if self.options.answered_on:
            mark = self.world.log.end(self.options.answered_on, self.partition)
            self.fetched = (self.world.clock.now(), mark)

    def tick(self, limit: int = 100, salt: int = 0) -> int:
        now = self.world.clock.now()
        polled_at, mark = self.fetched or (None, None)
        keys = self.state.due(now=now, polled_at=polled_at, highwater=mark, limit=limit)
        for key in keys:
            self.publish(self.fire(key, now), salt)
        return len(keys)

    def fire(self, key: bytes, now: float) -> list[Targeted]:
        messages = list(self.state.fire(key, self.handler, now))
        self.world.fired(self, messages)
        return [(message, self.partition) for message in messages]

    def fire_early(self, salt: int) -> None:
        """Any deadline may pass at any moment: the outcome does not depend on it."""
        keys = list(self.state.pending)
        if keys:
            messages = self.state.fire(keys[salt % len(keys)], self.handler, self.world.clock.now())
            self.publish([(message, self.partition) for message in messages], 0)

    def idle(self) -> bool:
        ends = {topic: self.world.log.end(topic, self.partition) for topic in self.committed}
        return not self.state.pending and self.state.next_offsets == ends


class World:
    """The flow over two partitions; parts can be replaced by mutants."""

    def __init__(
        self,
        submissions: list[Submitted],
        plan: FaultPlan,
        seed: int,
        *,
        intake: type[IntakeHandlers] = IntakeHandlers,
        mock: type[VneidHandlers] = VneidHandlers,
        state: Callable[[Any, PendingOptions], PartitionState] = PartitionState,
        rollup: type[Rollup] = Rollup,
    ) -> None:
        self.log, self.clock, self.state_type = MemoryLog(), ManualClock(), state
        self.submissions, self.plan, self.seed = submissions, plan, seed
        self.late_readers: list[str] = []
        self.rollup, self.scored = rollup(), dict.fromkeys(range(PARTITIONS), 0)
        asks = intake(book(), key=KEY, partitions=PARTITIONS, patience_s=PATIENCE_S)
        knows = mock(registry(), PlanState(plan, seed), partitions=PARTITIONS)
        # A small budget, so that deadlines stretch here too.
        patience = PendingOptions(
            opens=SUBMITTED, answered_on=PROVIDED, retry_burst=2.0, retries_per_s=0.5, stretch_s=PATIENCE_S
        )
        schedule = PendingOptions(opens=REQUESTED)
        self.intake = [Member(self, asks, patience, number) for number in range(PARTITIONS)]
        self.mock = [Member(self, knows, schedule, number) for number in range(PARTITIONS)]

    def submit(self, number: int) -> None:
        """Store a submission; the same one again is a repeat."""
        one = self.submissions[number % len(self.submissions)]
        self.log.append(SUBMITTED, partition_of(one.key, PARTITIONS), one.key, one.value)

    def submit_anywhere(self, number: int, partition: int, salt: int) -> None:
        """Store a submission on any partition, under its own key, none, that of another application, or any other."""
        one = self.submissions[number % len(self.submissions)]
        key = (one.key, None, self.submissions[(number + 1) % len(self.submissions)].key, b"any")[salt]
        self.log.append(SUBMITTED, partition, key, one.value, [("filed", b"anywhere")])

    def submit_some(self, first: int, count: int) -> None:
        for number in range(first, first + count):
            self.submit(number)

    def play(self, script: list[Step]) -> None:
        for step in script:
            ACTIONS[step.action](self, step)

    def score(self, partition: int, count: int, back: int = 0) -> int:
        """Roll up the next outcomes; `back` reads that many again, as after a lost transaction."""
        start = max(0, self.scored[partition] - back)
        records = self.log.read(DECIDED, partition, start, count + back)
        self.rollup.apply_all([(partition, decode(record, PARTITIONS)) for record in records])
        self.scored[partition] = max(self.scored[partition], start + len(records))
        return len(records)

    def fired(self, member: Member, messages: list[Message]) -> None:
        """Note who was presumed silent although the complete reply was in the log when the deadline passed."""
        for message in messages:
            topic, key, value, _ = message
            if topic == DECIDED and self._was_answered(member, value):
                self.late_readers.append((key or b"").decode())

    def _was_answered(self, member: Member, decided: bytes | None) -> bool:
        outcome = ApplicationDecided.model_validate_json(decided or b"")
        unread = self.log.read(PROVIDED, member.partition, member.state.next_offsets[PROVIDED], 10_000)
        read_to = member.fetched[1] if member.fetched else 0
        for record in unread:
            reply = DocumentsProvided.model_validate_json(record.value or b"")
            if record.offset < read_to and reply.application_id == outcome.application_id:
                facts = unseal(reply.context, reply.application_id, KEY)
                if facts.submission == outcome.submission and len(answers_of(reply)) > outcome.revision:
                    return True
        return False

    def finish(self) -> None:
        """Submit what was never submitted, and play on until nothing is left to do."""
        # Also what was filed under another key, or elsewhere: it must come out all the same.
        stored = {(_own_key(record), record.value) for record in self.log.all_of(SUBMITTED)}
        for number, one in enumerate(self.submissions):
            if one not in stored:
                self.submit(number)
        self.play_on()

    def play_on(self) -> None:
        """Play until nothing is left to do."""
        for _ in range(MAX_ROUNDS):
            self._read_all()
            if all(member.idle() for member in [*self.intake, *self.mock]):
                break
            assert len(self.log.all_of(REQUESTED)) < MAX_REQUESTS, "not quiescent: it asks for ever"
            self._wait()
        else:
            raise AssertionError(f"not quiescent after {MAX_ROUNDS} rounds")
        for number in range(PARTITIONS):
            self.score(number, 1_000_000)

    def _read_all(self) -> None:
        for member in [*self.intake, *self.mock]:
            for topic in member.committed:
                member.read(topic, 10_000)

    def _wait(self) -> None:
        for _ in range(2):
            self.clock.advance(PATIENCE_S)
            for member in self.intake:
                member.fetch()
                member.tick()
        for member in self.mock:
            member.tick()

    def oracle(self) -> Oracle:
        return Oracle(book(), Vneid(registry(), self.plan, self.seed), PARTITIONS)

    def expected(self) -> tuple[Rollup, dict[tuple[int, int], str]]:
        """The oracle's roll-up, and the reason of each submission that it refuses, by position; what is moved has none.

        What is moved lies under its own key on its own partition, too.
        """
        oracle, rollup = self.oracle(), Rollup()
        refused = {}
        for record in self.log.all_of(SUBMITTED):
            try:
                rollup.apply(oracle.outcome(record), record.partition)
            except Misplaced as misplaced:
                name = misplaced.event.application_id.encode()
                moved = self.log.records[SUBMITTED, partition_of(name, PARTITIONS)]
                assert (name, record.value) in {(other.key, other.value) for other in moved}, "lost by a move"
            except Reject as reject:
                refused[record.partition, record.offset] = reject.reason
        return rollup, refused

    def check(self) -> None:
        """Assert that live sums, a recount and the oracle agree, and that every position is accounted for."""
        expected, refused = self.expected()
        assert sums(self.rollup) == sums(expected), "the live sums are not the oracle's"
        assert sums(self.recount(lambda records: records)) == sums(expected), "the recount is not the oracle's"
        assert sums(self.recount(lambda records: records[::-1] + records[::2])) == sums(expected), "order matters"
        decided = {ApplicationDecided.model_validate_json(r.value or b"").submission for r in self.log.all_of(DECIDED)}
        dead = self.dead_letters(SUBMITTED)
        assert dead == refused, "the dead letters are not those the oracle refuses"
        for record in self.log.all_of(SUBMITTED):
            accounted = short_digest(record.value or b"") in decided or (record.partition, record.offset) in dead
            assert accounted, f"lost: {record.key!r}"
        assert self.dead_letters(PROVIDED) == self.dead_letters(REQUESTED) == {}

    def recount(self, arrange: Callable[[list[Stored]], list[Stored]]) -> Rollup:
        rollup = type(self.rollup)()
        for record in arrange(self.log.all_of(DECIDED)):
            rollup.apply(decode(record, PARTITIONS), record.partition)
        return rollup

    def dead_letters(self, topic: str) -> dict[tuple[int, int], str]:
        letters = {}
        for record in self.log.all_of(topic + DEAD):
            reason, _, offset = (record.value or b"").decode().partition("@")
            letters[record.partition, int(offset)] = reason
        return letters


def _own_key(record: Stored) -> bytes | None:
    """The key under which a submission belongs; its own one where the value names no application."""
    try:
        return str(json.loads(record.value or b"")["application_id"]).encode()
    except ValueError:
        return record.key


def sums(rollup: Rollup) -> tuple[Any, Any]:
    snapshot: Snapshot = rollup.snapshot()
    return {cell: measures for cell, measures in snapshot.cells.items() if any(measures)}, snapshot.fingerprints


def _duplicate(world: World, step: Step) -> None:
    """A producer's retry stores an old record once more, long after."""
    topic = (SUBMITTED, REQUESTED, PROVIDED, DECIDED)[step.salt]
    records = world.log.records[topic, step.partition]
    if records:
        old = records[step.amount * 7 % len(records)]
        world.log.append(topic, step.partition, old.key, old.value, old.headers)


def _fetch_and_tick(world: World, step: Step) -> None:
    member = world.intake[step.partition]
    member.fetch()
    member.tick(limit=step.amount, salt=step.salt)


# One line per thing that can happen to the system.
ACTIONS: dict[str, Callable[[World, Step], object]] = {
    "submit": lambda world, s: world.submit_some(s.amount * 5, s.salt + 1),
    "submit anywhere": lambda world, s: world.submit_anywhere(s.amount, s.partition, s.salt),
    "submissions read": lambda world, s: world.intake[s.partition].read(SUBMITTED, s.amount, s.salt),
    "requests read": lambda world, s: world.mock[s.partition].read(REQUESTED, s.amount, s.salt),
    "replies read": lambda world, s: world.intake[s.partition].read(PROVIDED, s.amount, s.salt),
    "intake dies on a submission": lambda world, s: world.intake[s.partition].read(
        SUBMITTED, s.amount, s.salt, dies=True
    ),
    "intake dies on a reply": lambda world, s: world.intake[s.partition].read(PROVIDED, s.amount, s.salt, dies=True),
    "mock dies on a request": lambda world, s: world.mock[s.partition].read(REQUESTED, s.amount, s.salt, dies=True),
    "intake commits": lambda world, s: world.intake[s.partition].commit(),
    "mock commits": lambda world, s: world.mock[s.partition].commit(),
    "intake restarts": lambda world, s: world.intake[s.partition].restart(),
    "mock restarts": lambda world, s: world.mock[s.partition].restart(),
    "time passes": lambda world, s: world.clock.advance(s.amount * 0.9),
    "replies fetched": lambda world, s: world.intake[s.partition].fetch(),
    "deadlines pass": lambda world, s: world.intake[s.partition].tick(limit=s.amount, salt=s.salt),
    "deadlines pass after a fetch": _fetch_and_tick,
    "a deadline passes early": lambda world, s: world.intake[s.partition].fire_early(s.amount),
    "scheduled replies leave": lambda world, s: world.mock[s.partition].tick(limit=s.amount, salt=s.salt),
    "a scheduled reply leaves early": lambda world, s: world.mock[s.partition].fire_early(s.amount),
    "a record is stored again": _duplicate,
    "outcomes are scored": lambda world, s: world.score(s.partition, s.amount, back=s.salt * 3),
}


# Without these nothing moves; of the others each history leaves some out, as what one mishap breaks another may mend.
ALWAYS = ("submit", "submissions read", "requests read", "replies read", "time passes", "deadlines pass after a fetch")


def drawn_script(seed: int, steps: int) -> list[Step]:
    """A script without hypothesis, for mutants: actions drawn by name from this history's part of them."""
    names = [name for name in ACTIONS if name in ALWAYS or draws(seed, "in use", name)[0] < 0.5]
    script = []
    for number in range(steps):
        which, partition, amount, salt, *_ = draws(seed, "script", number)
        script.append(
            Step(names[int(which * len(names))], int(partition * PARTITIONS), 1 + int(amount * 12), int(salt * 4))
        )
    return script


def drawn_world(seed: int, **parts: Any) -> World:
    """A fixed world of many citizens under a harsh plan, for tests that compare or mutate."""
    events = filed(seed % 3)
    wanted = [one for place in range(40) for one in variants(events[place], (place + seed) % VARIANTS)]
    return World(wanted, (HARSH, SILENT)[seed % 2], seed, **parts)


def assert_equal_knowledge_gives_equal_bytes(world: World) -> None:
    contents: dict[tuple[str, str, int], set[bytes | None]] = {}
    for record in world.log.all_of(DECIDED):
        outcome = ApplicationDecided.model_validate_json(record.value or b"")
        key = outcome.application_id, outcome.submission, outcome.revision
        contents.setdefault(key, set()).add(record.value)
    assert all(len(values) == 1 for values in contents.values()), "one revision, two contents"
