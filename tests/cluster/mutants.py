"""Products that break one rule each: the histories must notice every one of them."""

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from copy import copy
from dataclasses import replace
from math import inf
from typing import Any, NamedTuple
from unittest.mock import patch

from aiokafka import TopicPartition
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError

from contracts.events import ApplicationSubmitted
from runtime import health
from runtime.consumer import PartitionConsumer
from runtime.log_positions import LogPositions
from runtime.messages import NOTHING, Effects, HandlerResult, State
from runtime.partition_state import PartitionState
from runtime.processor import StreamProcessor
from runtime.publisher import Publisher
from services.intake.core import Decision, RuleBook
from services.intake.handlers import IntakeHandlers
from services.scoring.handlers import StoreWriter
from services.scoring.store import store
from services.scoring.store.store import Store
from services.vneid_mock.handlers import VneidHandlers


class Mutant(NamedTuple):
    """A fault: what is put in place of which attribute, and the kinds of mishaps that it needs, if few bring it out."""

    owner: Any
    attribute: str
    replacement: Any
    kinds: tuple[str, ...] = ()
    together_with: "Mutant | None" = None


# The kernel


async def _commits_before_it_publishes(self: PartitionConsumer) -> None:
    flush, self.publisher.flush = self.publisher.flush, _nothing  # type: ignore[method-assign]
    try:
        await _commit(self)
    finally:
        self.publisher.flush = flush  # type: ignore[method-assign]


async def _nothing() -> None:
    pass


async def _keeps_its_window(self: PartitionConsumer, revoked: set[TopicPartition]) -> None:
    kept = self.partitions
    await _revoked(self, revoked)
    self.partitions = kept
    self._assigned.set()


async def _takes_errors_for_success(self: Publisher, ending: Any) -> None:
    try:
        await self._send_all()
    except KafkaError:
        self._sending.clear()
    for end in ending:
        end()


def _applies_stale_batches(self: PartitionConsumer, records: Any) -> Iterator[Any]:
    for tp, batch in records.items():
        state = self.partitions.get(tp.partition)
        if state is not None and tp.topic in state.next_offsets:
            state.next_offsets[tp.topic] = batch[0].offset
    yield from _unread(self, records)


async def _commits_for_ever(self: PartitionConsumer) -> None:
    await self.publisher.flush()
    changed = {TopicPartition(t, n): o for n, state in self.partitions.items() for t, o in state.commits().items()}
    if changed:
        with suppress(CommitFailedError, IllegalStateError, KafkaError):
            await self.consumer.commit(changed)


async def _asks_for_the_end_first(self: LogPositions, assigned: Any, owner: Any) -> Mapping[TopicPartition, int]:
    end = await self._end(list(assigned))

    async def known(_: list[TopicPartition]) -> Mapping[TopicPartition, int]:
        return end

    asked: Any = copy(self)
    asked._end = known
    return await _starts(asked, assigned, owner)


def _reads_over_what_it_refuses(self: StreamProcessor, *arguments: Any) -> tuple[Any, ...]:
    _refuses(self, *arguments)
    return ()


def _commits_what_it_read(self: PartitionState) -> dict[str, int]:
    return dict(self.next_offsets)


def _presumes_without_barrier(
    self: PartitionState, *, now: float, polled_at: float | None, highwater: int | None, limit: int
) -> list[bytes]:
    return self.pending.expired(now, limit)


def _presumes_by_the_first_fetch(
    self: PartitionState, *, now: float, polled_at: float | None, highwater: int | None, limit: int
) -> list[bytes]:
    deadline = self.pending.next_deadline()
    if polled_at is None or deadline is None or polled_at <= deadline:
        return []
    return self.pending.expired(min(now, polled_at), limit)


def _never_resumes(self: PartitionConsumer, partitions: set[TopicPartition], *, resume: bool = False) -> None:
    if partitions and not resume:
        self.consumer.pause(*partitions)


async def _stops_when_fenced(self: PartitionConsumer) -> None:
    changed = {TopicPartition(t, n): o for n, state in self.partitions.items() for t, o in state.commits().items()}
    await self.publisher.flush()
    try:
        await self.consumer.commit(changed)
    except (CommitFailedError, IllegalStateError) as error:
        self._stop_on(error, "fenced")
    except KafkaError:
        pass


async def _takes_markers_for_records(self: PartitionConsumer) -> None:
    self.progressed_at = self.clock.now()


async def _takes_gaps_for_losses(self: PartitionConsumer, records: Any) -> None:
    for tp in records:
        if tp in self._gaps:
            raise RuntimeError("gone from the log, unread")


# The services


def _forgets_scheduled_replies(self: VneidHandlers, record: Any, pending: Mapping[bytes, State]) -> HandlerResult:
    handled = _replies(self, record, pending)
    return handled._replace(open=None) if type(handled) is Effects and not handled.publish else handled


def _drops_what_is_misplaced(_: IntakeHandlers, __: Any, ___: ApplicationSubmitted) -> Effects:
    return NOTHING


def _moves_where_it_lies(self: IntakeHandlers, record: Any, submitted: ApplicationSubmitted) -> Effects:
    return _moves(self, record, submitted)._replace(partition=record.partition)


def _gives_up_at_once(self: IntakeHandlers, key: bytes, state: Any) -> Effects:
    return _on_deadline(self, key, (9, *state[1:]))


def _forgets_the_best_reply(self: IntakeHandlers, key: bytes, state: Any, *reply: Any) -> Effects:
    attempt, value, _, *sealed = state
    return _on_incomplete(self, key, (attempt, value, None, *sealed), *reply)


def _forgets_partial_replies(self: IntakeHandlers, key: bytes, state: Any) -> Effects:
    attempt, value, _, *sealed = state
    return _on_deadline(self, key, (attempt, value, None, *sealed))


def _takes_a_partial_reply_for_all(self: IntakeHandlers, key: bytes, state: Any, *reply: Any) -> Effects:
    return _on_incomplete(self, key, (9, *state[1:]), *reply)


def _never_gives_up(self: IntakeHandlers, key: bytes, state: Any) -> Effects:
    return _ask_again(self, key, (min(state[0], self._book.attempts - 1), *state[1:]))


def _dates_by_attempt(self: IntakeHandlers, record: Any, pending: Mapping[bytes, State]) -> Effects:
    """The event time of a decision follows from the attempt that brought it."""
    patient, self._book = self._book, RuleBook.of(self._book.domain, json.loads(record.value)["attempt"])
    try:
        return _on_provided(self, record, pending)
    finally:
        self._book = patient


def _corrects_nothing_of_what_is_presumed(self: IntakeHandlers, decision: Decision, answers: Any) -> tuple[Any, ...]:
    messages: tuple[Any, ...] = _outcome(self, decision, answers)
    return messages[:1] if decision.presumed else messages


def _corrects_one_for_an_application(self: IntakeHandlers, decision: Decision, answers: Any) -> tuple[Any, ...]:
    return _outcome(self, decision, answers)[:2]


def _dates_corrections_by_the_last_answer(self: IntakeHandlers, decision: Decision, answers: Any) -> tuple[Any, ...]:
    last = max((each.at for each in answers.values()), default=decision.submitted_at)
    return _outcome(self, decision, {slug: replace(each, at=last) for slug, each in answers.items()})


def _keeps_one_submission_per_id(self: IntakeHandlers, record: Any, pending: Mapping[bytes, State]) -> HandlerResult:
    handled = _on_submitted(self, record, pending)
    same = any(json.loads(state[1])["application_id"].encode() == record.key for state in pending.values())  # type: ignore[arg-type]
    return NOTHING if same else handled


def _moves_under_the_old_key(self: IntakeHandlers, record: Any, submitted: ApplicationSubmitted) -> Effects:
    effects = _moves(self, record, submitted)
    [(topic, _, value, headers)] = effects.publish
    return effects._replace(publish=((topic, record.key, value, headers),))


def _lets_the_last_one_win(fresh: Any, before: Any) -> Any:
    """Whatever comes is stronger than what is known."""
    weaker = {name: known._replace(revision=-1) for name, known in before.outcomes.items()}
    return _changes(fresh, before._replace(outcomes=weaker))


async def _refuses_together(self: StoreWriter, part: Any, batches: Any, error: Any, refused: Any) -> Any:
    """All outcomes of a batch are set aside with the one that the store refuses."""
    if not part:
        return await _smaller(self, part, batches, error, refused)
    for each in part:
        await _smaller(self, [each], batches, error, refused)
    return [[]]


async def _skips_what_the_store_refuses(self: StoreWriter, part: Any, *rest: Any) -> Any:
    return [[]] if len(part) == 1 else await _smaller(self, part, *rest)


async def _starts_where_the_group_is(
    self: StoreWriter, partitions: list[TopicPartition]
) -> dict[TopicPartition, int | None]:
    await _start_offsets(self, partitions)
    return {tp: await self.consumer.committed(tp) for tp in partitions}


def _counts_repeats(self: Store, batch: Any, advance: Any = None, starts: Any = None) -> Any:
    with patch.object(Store, "_before", lambda store, names: _before(store, names)._replace(offsets={}, outcomes={})):
        return _apply(self, batch, advance)


def _moves_offsets_apart(self: Store, batch: Any, advance: Any = None, starts: Any = None) -> Any:
    """Offsets in a transaction of their own, before the outcomes'."""
    ends = dict(advance or {})
    with self._writing():
        self._session.run_many(
            "INSERT INTO consumer_offset (topic, partition, next_offset) VALUES ('applications.decided', ?, ?)"
            " ON CONFLICT (topic, partition) DO UPDATE SET next_offset = excluded.next_offset",
            list(ends.items()),
        )
    return _apply(self, batch, advance, starts)


_commit, _revoked, _unread = (
    PartitionConsumer._commit,
    PartitionConsumer.on_partitions_revoked,
    PartitionConsumer._unread,
)
_starts, _refuses = LogPositions.starts, StreamProcessor._retry_or_dead_letter
_replies, _moves, _on_deadline = VneidHandlers.on_record, IntakeHandlers._moved, IntakeHandlers.on_deadline
_on_incomplete, _start_offsets = IntakeHandlers._on_incomplete, StoreWriter._start_offsets
_ask_again, _on_provided, _on_submitted = (
    IntakeHandlers._ask_again,
    IntakeHandlers._on_provided,
    IntakeHandlers._on_submitted,
)
_outcome = IntakeHandlers._outcome
_before, _apply, _changes, _smaller = Store._before, Store.apply, store._changes_of, StoreWriter._smaller

REBALANCES = ("join", "leave", "kill", "freeze", "coordination faults", "coordinator moves")
MUTANTS: dict[str, Mutant] = {
    "commits before it publishes": Mutant(PartitionConsumer, "_commit", _commits_before_it_publishes),
    "keeps what is pending over a revoke": Mutant(PartitionConsumer, "on_partitions_revoked", _keeps_its_window),
    "takes a lost acknowledgement for success": Mutant(
        Publisher, "_deliver", _takes_errors_for_success, ("produce faults", "cut off", "broker down")
    ),
    "applies stale batches": Mutant(PartitionConsumer, "_unread", _applies_stale_batches, REBALANCES),
    "commits for ever": Mutant(
        PartitionConsumer, "_commit", _commits_for_ever, ("commits stuck at join", "commit faults", "join")
    ),
    "is ready while a commit waits": Mutant(
        PartitionConsumer,
        "_commit",
        _commits_for_ever,
        ("coordinator away",),
        Mutant(health, "PROGRESS_LIMIT_S", inf, (), Mutant(health, "BUSY_LIMIT_S", inf)),
    ),
    "asks for the log's end before its offsets": Mutant(
        LogPositions, "starts", _asks_for_the_end_first, ("store away at join", "join", "look-up faults")
    ),
    "reads over what it refuses": Mutant(StreamProcessor, "_retry_or_dead_letter", _reads_over_what_it_refuses),
    "commits what it read": Mutant(PartitionState, "commits", _commits_what_it_read),
    "presumes without barrier": Mutant(PartitionState, "due", _presumes_without_barrier),
    "presumes by the first fetch": Mutant(PartitionState, "due", _presumes_by_the_first_fetch),
    "never resumes": Mutant(PartitionConsumer, "_pause", _never_resumes),
    "stops when fenced": Mutant(PartitionConsumer, "_commit", _stops_when_fenced, REBALANCES),
    "takes markers for records": Mutant(
        PartitionConsumer, "_pass_markers", _takes_markers_for_records, ("foreign transaction",)
    ),
    "takes gaps for losses": Mutant(PartitionConsumer, "_pass_gaps", _takes_gaps_for_losses, ("foreign transaction",)),
    "forgets scheduled replies": Mutant(VneidHandlers, "on_record", _forgets_scheduled_replies),
    "drops what is misplaced": Mutant(IntakeHandlers, "_moved", _drops_what_is_misplaced),
    "moves where it lies": Mutant(IntakeHandlers, "_moved", _moves_where_it_lies),
    "gives up at once": Mutant(IntakeHandlers, "on_deadline", _gives_up_at_once),
    "forgets the best reply": Mutant(IntakeHandlers, "_on_incomplete", _forgets_the_best_reply),
    "forgets partial replies": Mutant(IntakeHandlers, "on_deadline", _forgets_partial_replies),
    "takes a partial reply for all": Mutant(IntakeHandlers, "_on_incomplete", _takes_a_partial_reply_for_all),
    "never gives up": Mutant(IntakeHandlers, "_ask_again", _never_gives_up),
    "dates by attempt": Mutant(IntakeHandlers, "_on_provided", _dates_by_attempt),
    "corrects nothing of what is presumed": Mutant(IntakeHandlers, "_outcome", _corrects_nothing_of_what_is_presumed),
    "corrects one for an application": Mutant(IntakeHandlers, "_outcome", _corrects_one_for_an_application),
    "dates corrections by the last answer": Mutant(IntakeHandlers, "_outcome", _dates_corrections_by_the_last_answer),
    "keeps one submission per id": Mutant(IntakeHandlers, "_on_submitted", _keeps_one_submission_per_id),
    "moves under the old key": Mutant(IntakeHandlers, "_moved", _moves_under_the_old_key),
    "lets the last one win": Mutant(store, "_changes_of", _lets_the_last_one_win),
    "sets aside together what the store refuses": Mutant(
        StoreWriter, "_smaller", _refuses_together, ("store refuses one",)
    ),
    "skips what the store refuses": Mutant(
        StoreWriter, "_smaller", _skips_what_the_store_refuses, ("store refuses one",)
    ),
    "starts where the group is": Mutant(StoreWriter, "_start_offsets", _starts_where_the_group_is),
    "counts repeats": Mutant(Store, "apply", _counts_repeats),
    "moves offsets in a transaction of their own": Mutant(Store, "apply", _moves_offsets_apart, ("kill", "kill twice")),
}


@contextmanager
def mutated(name: str) -> Iterator[tuple[str, ...]]:
    """Let the product break a rule; gives the kinds of mishaps that bring it out."""
    mutant: Mutant | None = MUTANTS[name]
    with ExitStack() as stack:
        while mutant is not None:
            stack.enter_context(patch.object(mutant.owner, mutant.attribute, mutant.replacement))
            mutant = mutant.together_with
        yield MUTANTS[name].kinds
