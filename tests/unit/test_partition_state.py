"""What one partition may commit, whom it may call silent, and when it is full."""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from contracts.errors import Reject
from runtime.messages import Effects, Record, State
from runtime.partition_state import PartitionState, PendingOptions
from tests.support.fakes_runtime import ANSWERS, OPENS, PATIENCE_S, AskHandler, MemoryLog, stored, take

NO_RETRIES: dict[str, Any] = {"retry_share": 0.0, "retries_per_s": 0.0, "retry_burst": 0.0}


def state_of(*, starts: Mapping[str, int] | None = None, **options: Any) -> PartitionState:
    options = {"opens": OPENS, "answered_on": ANSWERS, **options}
    return PartitionState(starts or {OPENS: 0, ANSWERS: 0}, PendingOptions(**options))


def ask(state: PartitionState, offset: int, *, now: float = 0.0, key: bytes = b"", handler: AskHandler | None = None):
    return take(state, stored(offset, b"q", key=key), handler or AskHandler(), now)


def answer(state: PartitionState, offset: int, key: bytes, *, now: float = 0.0):
    return take(state, stored(offset, b"a", key=key, topic=ANSWERS), AskHandler(), now)


def due(
    state: PartitionState, now: float, *, polled_at: float | None = None, mark: int | None = 0, limit: int = 99
) -> list[bytes]:
    return state.due(now=now, polled_at=now if polled_at is None else polled_at, highwater=mark, limit=limit)


def certain(state: PartitionState, now: float, *, mark: int = 0, limit: int = 99) -> list[bytes]:
    """Poll as long as a fetch may still have been under way when the deadline passed."""
    due(state, now, mark=mark, limit=limit)
    return due(state, now + 1, mark=mark, limit=limit)


class CommitTwin(RuleBasedStateMachine):
    """Questions and answers in any order; the commit beside a plain account of what is open."""

    keys = st.sampled_from([b"a", b"b", b"c", b"d"])

    @initialize()
    def start(self) -> None:
        self.state = state_of()
        self.log = MemoryLog()
        self.open: dict[bytes, int] = {}
        self.now = 0.0

    @rule(key=keys)
    def asks(self, key: bytes) -> None:
        record = self.log.append(OPENS, 0, key, b"q")
        take(self.state, record, AskHandler(), self.now)
        self.open.setdefault(key, record.offset)

    @rule(key=keys)
    def answers(self, key: bytes) -> None:
        take(self.state, self.log.append(ANSWERS, 0, key, b"a"), AskHandler(), self.now)
        self.open.pop(key, None)

    @rule(topic=st.sampled_from([OPENS, ANSWERS]))
    def refuses(self, topic: str) -> None:
        record = self.log.append(topic, 0, b"a", b"bad")
        with pytest.raises(Reject):
            take(self.state, record, AskHandler(), self.now)
        self.state.read_past(record)

    @precondition(lambda self: self.open)
    @rule(retries=st.sampled_from([0, 1_000_000]))
    def falls_silent(self, retries: int) -> None:
        key = min(self.open)
        self.state.fire(key, AskHandler(retries=retries), self.now)
        if retries == 0:
            del self.open[key]

    @rule(seconds=st.sampled_from([0.0, 1.0, 5.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @invariant()
    def commit_trails_the_oldest_open_record(self) -> None:
        ends = {topic: self.log.end(topic, 0) for topic in (OPENS, ANSWERS)}
        oldest = min(self.open.values(), default=ends[OPENS])
        assert self.state.commits() == {OPENS: oldest, ANSWERS: ends[ANSWERS]}


TestCommitTwin = CommitTwin.TestCase


def test_a_duplicate_question_keeps_the_commit_at_the_first():
    state = state_of()
    ask(state, 0, key=b"a")
    ask(state, 1, key=b"b")
    assert ask(state, 2, key=b"a") == ()
    answer(state, 0, b"b")
    assert state.commits() == {OPENS: 0, ANSWERS: 1}
    answer(state, 1, b"a")
    assert state.commits() == {OPENS: 3, ANSWERS: 2}


def test_a_failing_handler_leaves_the_state_as_it_was():
    state = state_of()
    ask(state, 0, key=b"a")
    with pytest.raises(ZeroDivisionError):
        take(state, stored(1, b"bug"), AskHandler(), 0.0)
    assert (state.next_offsets, state.commits(), list(state.pending)) == (
        {OPENS: 1, ANSWERS: 0},
        {OPENS: 0, ANSWERS: 0},
        [b"a"],
    )


def test_nobody_is_silent_before_the_deadline():
    state = state_of()
    ask(state, 0, key=b"a")
    assert certain(state, PATIENCE_S - 2) == []
    assert certain(state, PATIENCE_S + 1) == [b"a"]


def test_without_a_fetch_after_the_deadline_nobody_is_silent():
    state = state_of()
    ask(state, 0, key=b"a")
    for now in (5.0, 50.0, 500.0):
        assert due(state, now, polled_at=PATIENCE_S - 0.5) == []
    assert state.due(now=600.0, polled_at=None, highwater=None, limit=9) == []


def test_a_fetch_sent_before_the_deadline_proves_no_silence():
    state = state_of()
    ask(state, 0, key=b"a")
    # It came back after the deadline, but its mark may have been read before.
    assert due(state, 5.0, polled_at=4.5) == []
    assert due(state, 5.1, polled_at=4.5) == []
    assert due(state, 5.2, polled_at=5.15) == [b"a"]


def test_a_late_reader_first_reads_to_the_mark():
    state = state_of()
    ask(state, 0, key=b"a")
    ask(state, 1, key=b"b")
    assert certain(state, 5.0, mark=2) == []
    answer(state, 0, b"z")
    assert due(state, 7.0, mark=2) == []
    answer(state, 1, b"a")
    assert due(state, 8.0, mark=2) == [b"b"]


def test_records_after_the_mark_do_not_put_off_the_deadline():
    state = state_of()
    ask(state, 0, key=b"a")
    assert certain(state, 5.0, mark=1) == []
    answer(state, 0, b"z")
    assert due(state, 9.0, mark=1_000) == [b"a"]


def test_a_deadline_after_the_mark_waits_for_another_mark():
    state = state_of()
    ask(state, 0, key=b"a", now=0.0)
    ask(state, 1, key=b"b", now=2.0)
    # The fetch that settles the first deadline (4) came before the second (6).
    assert due(state, 5.0, mark=0) == []
    assert due(state, 5.5, mark=0) == [b"a"]
    state.fire(b"a", AskHandler(), 5.5)
    assert due(state, 6.5, polled_at=5.5, mark=0) == []
    assert certain(state, 7.0) == [b"b"]


def test_many_deadlines_are_taken_in_portions_under_one_mark():
    state = state_of()
    for offset in range(5):
        ask(state, offset)
    taken = []
    portion = certain(state, 5.0, limit=2)
    while portion:
        taken.append(len(portion))
        for key in portion:
            state.fire(key, AskHandler(), 6.0)
        portion = due(state, 6.0, limit=2)
    assert (taken, len(state.pending)) == ([2, 2, 1], 0)


def test_a_schedule_fires_on_time_without_any_fetch():
    state = state_of(starts={OPENS: 0}, answered_on=None)
    ask(state, 0, key=b"a")
    assert state.due(now=3.9, polled_at=None, highwater=None, limit=9) == []
    assert state.due(now=4.0, polled_at=None, highwater=None, limit=9) == [b"a"]


def test_without_budget_a_deadline_stretches_and_asks_nobody():
    state = state_of(**NO_RETRIES, stretch_s=3.0)
    ask(state, 0, key=b"a")
    assert state.fire(b"a", AskHandler(retries=1), 4.0) == ()
    assert (state.pending.next_deadline(), state.pending[b"a"], state.commits()[OPENS]) == (7.0, (0,), 0)


def test_giving_up_needs_no_budget():
    state = state_of(**NO_RETRIES)
    ask(state, 0, key=b"a")
    [(_, _, value, _)] = state.fire(b"a", AskHandler(retries=0), 4.0)
    assert (value, len(state.pending)) == (b"presumed", 0)


def test_a_slow_peer_is_asked_again_at_the_budgets_rate():
    state = state_of(retry_share=0.1, retries_per_s=0.0, retry_burst=5.0, stretch_s=3.0)
    handler = AskHandler(retries=1)
    for offset in range(40):
        ask(state, offset, handler=handler)
    again = sum(len(state.fire(b"k%d" % offset, handler, 4.0)) for offset in range(40))
    assert (again, len(state.pending)) == (5, 40)


def test_too_many_open_records_make_it_full():
    state = state_of(max_open=3)
    ask(state, 0)
    ask(state, 1)
    assert not state.is_full()
    ask(state, 2)
    assert (state.is_full(), state.is_full(0.5)) == (True, True)
    answer(state, 0, b"k0")
    assert (state.is_full(), state.is_full(0.5)) == (False, True)


def test_one_old_record_bounds_how_far_reading_runs_ahead():
    state = state_of(max_span=4)
    ask(state, 0, key=b"old")
    for offset in range(1, 4):
        ask(state, offset)
        answer(state, offset - 1, b"k%d" % offset)
        assert state.is_full() is (offset == 3)
    answer(state, 3, b"old")
    assert not state.is_full()


def test_a_consumer_without_window_commits_what_it_read():
    state = PartitionState({"decided": 7}, None)
    state.read_past(stored(7, topic="decided"))
    assert (state.commits(), state.is_full(), state.due(now=9.0, polled_at=9.0, highwater=1, limit=9)) == (
        {"decided": 8},
        False,
        [],
    )


class OpenTwice(AskHandler):
    """Opens under one key whatever comes, as a handler may that does not look."""

    def on_record(self, record: Record, pending: Mapping[bytes, State]) -> Effects:
        return super().on_record(record, {})


def test_opening_an_open_key_neither_moves_nor_earns():
    state = state_of(retry_share=1.0, retries_per_s=0.0, retry_burst=1.0)
    ask(state, 0, key=b"a")
    state.fire(b"a", AskHandler(retries=9), 4.0)
    take(state, stored(1, b"q", key=b"a"), OpenTwice(), 5.0)
    assert state.commits()[OPENS] == 0
    assert state.fire(b"a", AskHandler(retries=9), 9.0) == ()
