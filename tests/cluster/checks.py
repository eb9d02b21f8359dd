"""What must hold, at all times and at the end, which the product's own auditor, oracle and store reader judge."""

import json
import sqlite3
from collections import defaultdict
from collections.abc import Collection, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from aiokafka.structs import ConsumerRecord

from contracts.topics import (
    APPLICATIONS_DECIDED,
    APPLICATIONS_SUBMITTED,
    CORRECTIONS_REQUESTED,
    DOCUMENTS_PROVIDED,
    DOCUMENTS_REQUESTED,
    dead_letter_topics,
)
from paperless.verification.checkers import PartitionAuditor, judge, partitions_that_differ
from paperless.verification.positions import LoggedRecord, RefusedRecord
from paperless.verification.verify import RunParameters
from runtime.consumer import PartitionConsumer
from runtime.partition_state import PartitionState
from services.scoring.store.errors import StoreError
from services.scoring.store.reader import StoreReader
from services.vneid_mock.plan_files import load_plan
from tests.cluster.consumer_group import Position
from tests.cluster.members import SupervisedMember
from tests.cluster.partition_log import PartitionLog
from tests.support.checkers_world import not_arrived

if TYPE_CHECKING:
    from tests.cluster.history import World

# Longer than any batch, time-out or back-off of a member that works; it must say by then that it does not.
STALLED_S = 45.0
# Records of one topic's partition for each application: three attempts, of two filings, repeated by members that are
# killed, by lost answers, and by a broker that says for 13 s that what it has written is not on enough replicas: each
# time a producer without idempotence writes it again (seed 336: over 20). Whoever asks or moves for ever writes more.
MOST_RECORDS = 60
REFUSED = "store_refuses"


class Watch:
    """Looks on while a history is played."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self._kept: dict[Position, dict[int, ConsumerRecord]] = defaultdict(dict)
        self._progress: dict[str, tuple[object, float]] = {}
        self._checked: dict[int, int] = {}
        # Commits that were taken back by an earlier one, which its client had tried again and which came a second time.
        self.taken_back: dict[tuple[str, Position], int] = {}

    # Commits

    def committed(self, group: str, place: Position, before: int, offset: int, *, twice: bool) -> None:
        """Check a commit that the coordinator has taken; `twice`: the same one of the same member came before."""
        topic, number = place
        world = self._world
        world.tell(f"{group} commits {topic}/{number} {before} -> {offset}")
        if offset > world.kafka.logs[place].end:
            world.violate(f"commit past the log's end: {group} {topic}/{number} {offset}")
        if group == "scoring":
            self._check_shown(place, offset)
        elif offset < before and twice:
            self.taken_back[group, place] = max(before, self.taken_back.get((group, place), 0))
        elif offset < before:
            world.violate(f"commit moved back: {group} {topic}/{number} from {before} to {offset}")
        if offset >= self.taken_back.get((group, place), 0):
            self.taken_back.pop((group, place), None)
        if group == "intake" and topic == APPLICATIONS_SUBMITTED.name:
            self._check_decided(number, offset)

    def _check_shown(self, place: Position, offset: int) -> None:
        """Check a commit that only shows how far the store is; between that and the commit there are no records."""
        topic, number = place
        # While a store is put back, what its consumer showed before may still arrive.
        if any(mishap.kind == "store restored" for mishap in self._world.history.mishaps):
            return
        stored = self._stored_offset(number)
        if any(stored <= record.offset < offset for record in self.records(topic, number)):
            self._world.violate(f"commit past the store: {topic}/{number} {offset}")

    def _check_decided(self, number: int, offset: int) -> None:
        """Every submission below intake's commit has an outcome in the log, a dead letter, or lies where it belongs."""
        letters = {letter.offset for letter in self.dead_letters(number) if letter.topic == APPLICATIONS_SUBMITTED.name}
        decided = {record.key for record in self.records(APPLICATIONS_DECIDED.name, number)}
        for record in self.records(APPLICATIONS_SUBMITTED.name, number):
            new = self._checked.get(number, 0) <= record.offset < offset
            if new and record.offset not in letters and record.key not in decided and not self._moved(record):
                self._world.violate(f"commit past what is decided: {record.topic}/{number}/{record.offset}")
        self._checked[number] = max(self._checked.get(number, 0), offset)

    def _moved(self, record: ConsumerRecord) -> bool:
        topic, partitions = APPLICATIONS_SUBMITTED.name, self._world.options.partitions
        place = (record.partition, record.offset)
        everything = (other for number in range(partitions) for other in self.records(topic, number))
        return any(other.value == record.value and (other.partition, other.offset) != place for other in everything)

    def _stored_offset(self, number: int) -> int:
        path = self._world.folder / "scoring.db"
        with closing(sqlite3.connect(path)) as store:
            rows = store.execute(
                "SELECT next_offset FROM consumer_offset WHERE topic = ? AND partition = ?",
                (APPLICATIONS_DECIDED.name, number),
            ).fetchall()
        return int(rows[0][0]) if rows else 0

    # Records

    def keep(self, log: PartitionLog) -> None:
        """Remember a partition's records: they are about to be deleted."""
        self._kept[log.topic, log.number].update({record.offset: record for record in log.records()})

    def records(self, topic: str, number: int) -> list[ConsumerRecord]:
        """Return all records that a topic's partition ever had."""
        log = self._world.kafka.logs[topic, number]
        kept = self._kept.get((topic, number))
        if not kept:
            return list(log.records())
        self.keep(log)
        return [kept[offset] for offset in sorted(kept)]

    def submitted(self, number: int) -> list[LoggedRecord]:
        """Return all records of the submissions' partition, those too that no client can unpack."""
        topic = APPLICATIONS_SUBMITTED.name
        readable = [LoggedRecord(number, each.offset, each.key, each.value) for each in self.records(topic, number)]
        damaged = self._world.kafka.logs[topic, number].unreadable()
        logged = [*readable, *(LoggedRecord(number, offset, None, None, unreadable=True) for offset in damaged)]
        return sorted(logged, key=lambda record: record.offset)

    def dead_letters(self, number: int) -> list[RefusedRecord]:
        """Return the dead letters of one partition of all topics."""
        return [
            _letter_of(record, topic.name, number)
            for name, topic in dead_letter_topics()
            for record in self.records(name, number)
        ]

    # Members

    def look(self) -> None:
        """Look at every member: has it stopped for good, does it hold too much, does it stand still in silence?"""
        world = self._world
        for (topic, number), log in world.kafka.logs.items():
            if log.end > MOST_RECORDS * max(10, world.history.wish.applications):
                world.violate(f"goes on for ever: {log.end} records in {topic}/{number}")
        for member in world.members.values():
            if member.fatal:
                world.violate(f"{member.name} stopped for good: {member.fatal}")
            if member.consumer is not None and member.process is not None and not member.process.frozen:
                self._check_stall(member, member.consumer)
                self._check_memory(member, member.consumer)

    def _check_stall(self, member: SupervisedMember, consumer: PartitionConsumer) -> None:
        world, now = self._world, self._world.loop.time()
        # What is full is not read on purpose; whoever it waits for is looked at by itself.
        paused = {(tp.topic, tp.partition) for tp in consumer.consumer.paused()} if consumer.consumer else set()
        ahead = [
            f"{topic}/{number}"
            for number, state in consumer.partitions.items()
            for topic, offset in state.next_offsets.items()
            if (topic, number) not in paused and offset < world.kafka.logs[topic, number].stable
        ]
        marker = [(n, dict(state.next_offsets), len(state.pending)) for n, state in sorted(consumer.partitions.items())]
        if not ahead or member.unready() or self._progress.get(member.name, (None, 0.0))[0] != marker:
            self._progress[member.name] = (marker, now)
        elif now - self._progress[member.name][1] > STALLED_S:
            world.violate(f"silent stall: {member.name} is ready, {', '.join(ahead)} stand still")

    def _check_memory(self, member: SupervisedMember, consumer: PartitionConsumer) -> None:
        if member.service == "intake":
            bound = self._world.options.max_open + consumer._resources.settings.max_records
            for number, state in consumer.partitions.items():
                if len(state.pending) > bound:
                    self._world.violate(f"{member.name} holds {len(state.pending)} of partition {number}")

    # Silence

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Check at every deadline that passes that no answer lies in the log which came before it and is unread."""
        fire, watch = PartitionState.fire, self

        def checked(state: PartitionState, key: bytes, handler: Any, now: float) -> Any:
            watch._check_silence(state, key)
            return fire(state, key, handler, now)

        with patch.object(PartitionState, "fire", checked):
            yield

    def _check_silence(self, state: PartitionState, key: bytes) -> None:
        topic = DOCUMENTS_PROVIDED.name
        if topic not in state.next_offsets:
            return
        members = self._world.members.values()
        numbers = [n for m in members if m.consumer for n, s in m.consumer.partitions.items() if s is state]
        deadline = state.pending._entries[key][1]
        for number in numbers:
            log = self._world.kafka.logs[topic, number]
            for record in log.records():
                unread = record.offset >= state.next_offsets[topic]
                if unread and log.shown_at(record.offset) < deadline and key in (record.value or b""):
                    self._world.violate(f"presumed while an answer waits: {topic}/{number}/{record.offset}")


def _letter_of(record: ConsumerRecord, source: str, partition: int) -> RefusedRecord:
    headers = dict(record.headers)
    return RefusedRecord(source, partition, int(headers["dlq_offset"]), headers["dlq_reason"].decode())


def moving(world: "World") -> list[str]:
    """Return what is not at rest: who is unready, who owns nothing, what lies unread, what is open or on its way."""
    lines = [f"{member.name}: {reason}" for member in world.members.values() for reason in member.unready()]
    lines += [f"{group}: {at} is not committed again" for (group, _), at in world.watch.taken_back.items()]
    for service, topics in TOPICS_OF.items():
        consumers = [m.consumer for m in world.members.values() if m.service == service and m.consumer]
        lines += [f"{service}: {left} unsent" for consumer in consumers if (left := consumer.publisher.unsent)]
        for number in range(world.options.partitions):
            owners = [consumer for consumer in consumers if number in consumer.partitions]
            if len(owners) != 1:
                lines.append(f"{service}: partition {number} has {len(owners)} owners")
                continue
            state = owners[0].partitions[number]
            lines += [f"{service}: {len(state.pending)} open in partition {number}"] if state.pending else []
            for topic in topics:
                left = world.kafka.logs[topic, number].stable - state.next_offsets[topic]
                lines += [f"{service}: {topic}/{number} lag {left}"] if left > 0 else []
    return lines


TOPICS_OF = {
    "intake": (APPLICATIONS_SUBMITTED.name, DOCUMENTS_PROVIDED.name),
    "vneid_mock": (DOCUMENTS_REQUESTED.name, CORRECTIONS_REQUESTED.name),
    "scoring": (APPLICATIONS_DECIDED.name,),
}


def verdict(world: "World") -> list[str]:
    """Return what is wrong at rest; what the store was made to refuse is judged apart, as if it had not been filed."""
    return [*_accounts(world), *_refused(world), *_equal_knowledge(world)]


def _accounts(world: "World") -> list[str]:
    """Return in what the live store, a recount of the log and the oracle differ, as `paperless verify` finds it."""
    watch, options = world.watch, world.options
    plan = load_plan(options.plan).model_dump()
    oracle = RunParameters(plan=plan, seed=options.seed).oracle(options.partitions)

    def submitted(number: int) -> list[LoggedRecord]:
        return [record for record in watch.submitted(number) if not _names(record.value, world.refused)]

    audits = {}
    for number in range(options.partitions):
        letters = [letter for letter in watch.dead_letters(number) if letter.reason != REFUSED]
        auditor = PartitionAuditor(partition=number, partitions=options.partitions, refused=letters, oracle=oracle)
        decided = watch.records(APPLICATIONS_DECIDED.name, number)
        auditor.decided([record for record in decided if not _names(record.value, world.refused)])
        auditor.submitted(submitted(number))
        asked = watch.records(CORRECTIONS_REQUESTED.name, number)
        auditor.requested([record for record in asked if not _names(record.value, world.refused)])
        audits[number] = auditor.result(with_content=True)
    missing = not_arrived(audits.values(), options.partitions, submitted)
    try:
        reader = StoreReader(options.store)
        snapshot, stored = reader.snapshot(), reader.outcome_counts()
        differing = partitions_that_differ(snapshot, stored, audits)
        content = {number: reader.content_hashes(number) for number in differing}
    except StoreError as error:
        return [f"the store cannot be read: {error}"]
    judged = judge(snapshot, audits, content, missing)
    return [] if judged.ok else [f"verdict: {judged.differences} {judged}"]


def _names(value: bytes | None, names: Collection[str]) -> bool:
    return any(name.encode() in (value or b"") for name in names)


def _refused(world: "World") -> list[str]:
    """Return outcomes that the store was to refuse and that are not set aside, and those set aside without a reason."""
    topic, differing = APPLICATIONS_DECIDED.name, []
    for number in range(world.options.partitions):
        records = world.watch.records(topic, number)
        expected = {record.offset for record in records if _names(record.value, world.refused)}
        letters = [letter for letter in world.watch.dead_letters(number) if letter.topic == topic]
        if expected != {letter.offset for letter in letters} or any(letter.reason != REFUSED for letter in letters):
            differing.append(f"set aside by scoring: {topic}/{number} {letters}, to be refused: {sorted(expected)}")
    return differing


def _equal_knowledge(world: "World") -> list[str]:
    """Return the outcomes that know as much of one submission as others and say something else."""
    contents = defaultdict[tuple[Any, ...], set[bytes]](set)
    for number in range(world.options.partitions):
        for record in world.watch.records(APPLICATIONS_DECIDED.name, number):
            outcome = json.loads(record.value)
            contents[outcome["application_id"], outcome["submission"], outcome["revision"]].add(record.value)
    return [f"one revision, two contents: {key}" for key, values in sorted(contents.items()) if len(values) > 1]


def copy_store(source: Path, target: Path) -> None:
    """Copy a store as its backup does: of one moment."""
    with closing(sqlite3.connect(source)) as store, closing(sqlite3.connect(target)) as copy:
        store.backup(copy)
