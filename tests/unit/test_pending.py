"""The two orders of pending records, and the budget for asking again."""

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from runtime.messages import State
from runtime.partition_state import PendingRecords, RetryBudget

KEYS = st.sampled_from([b"a", b"b", b"c", b"d", b"e"])
DEADLINES = st.integers(0, 12).map(float)


class PendingTwin(RuleBasedStateMachine):
    """Pending records beside the plainest thing that could do the same: a dictionary that is searched."""

    @initialize()
    def start(self) -> None:
        self.pending = PendingRecords()
        self.twin: dict[bytes, tuple[int, float, State]] = {}
        self.offset = 0

    @rule(key=KEYS, deadline=DEADLINES, step=st.integers(0, 2))
    def opens(self, key: bytes, deadline: float, step: int) -> None:
        self.offset += step
        assert self.pending.open(key, self.offset, deadline, (self.offset,)) is (key not in self.twin)
        self.twin.setdefault(key, (self.offset, deadline, (self.offset,)))

    @rule(key=KEYS, deadline=DEADLINES)
    def rearms(self, key: bytes, deadline: float) -> None:
        self.pending.rearm(key, deadline, ("again",))
        if key in self.twin:
            self.twin[key] = (self.twin[key][0], deadline, ("again",))

    @rule(key=KEYS)
    def closes(self, key: bytes) -> None:
        self.pending.close(key)
        self.twin.pop(key, None)

    @rule(until=DEADLINES, limit=st.integers(1, 4))
    def expires(self, until: float, limit: int) -> None:
        """Whoever expires must be rearmed or closed, as `RecordHandler.on_deadline` promises."""
        due = sorted((deadline, key) for key, (_, deadline, _) in self.twin.items() if deadline <= until)
        keys = self.pending.expired(until, limit)
        assert keys == [key for _, key in due[:limit]]
        for key in keys:
            self.closes(key)

    @invariant()
    def shows_what_is_open(self) -> None:
        assert dict(self.pending) == {key: state for key, (_, _, state) in self.twin.items()}
        assert all((key in self.pending) is (key in self.twin) for key in (b"a", b"e"))

    @invariant()
    def knows_the_oldest_offset(self) -> None:
        assert self.pending.oldest_offset() == min((offset for offset, _, _ in self.twin.values()), default=None)

    @invariant()
    def knows_the_next_deadline(self) -> None:
        assert self.pending.next_deadline() == min((deadline for _, deadline, _ in self.twin.values()), default=None)


TestPendingTwin = PendingTwin.TestCase


def test_a_duplicate_moves_neither_offset_nor_deadline():
    pending = PendingRecords()
    assert pending.open(b"a", 3, 10.0, (1,))
    assert not pending.open(b"a", 8, 99.0, (2,))
    assert (pending.oldest_offset(), pending.next_deadline(), pending[b"a"]) == (3, 10.0, (1,))


def test_asking_again_keeps_the_place_in_the_log():
    pending = PendingRecords()
    pending.open(b"a", 3, 10.0, (1,))
    pending.open(b"b", 4, 11.0, (1,))
    pending.rearm(b"a", 20.0, (2,))
    assert (pending.oldest_offset(), pending.expired(15.0, 9)) == (3, [b"b"])


def test_two_incomplete_replies_at_once_expire_once():
    pending = PendingRecords()
    pending.open(b"a", 0, 5.0, (1,))
    pending.rearm(b"a", 5.0, (1,))
    pending.rearm(b"a", 5.0, (2,))
    assert pending.expired(5.0, 9) == [b"a"]


def test_a_flood_of_reasks_does_not_grow_the_heap():
    pending = PendingRecords()
    for key in range(50):
        pending.open(b"%d" % key, key, 1e9, ())
    for turn in range(200):
        for key in range(50):
            pending.rearm(b"%d" % key, 1e6 + turn, ())
        pending.next_deadline()
    assert len(pending._deadlines) <= 1_024 + 50


def test_closed_records_leave_the_offset_order():
    pending = PendingRecords()
    for offset in range(5_000):
        pending.open(b"%d" % offset, offset, 1e6 + offset, ())
        pending.close(b"%d" % offset)
        pending.oldest_offset()
        pending.next_deadline()
    assert (len(pending._offsets), len(pending._deadlines)) == (0, 0)


spends = st.lists(st.tuples(st.integers(0, 30), st.sampled_from([0.0, 0.1, 1.0, 7.0])), max_size=60)


@given(spends, st.sampled_from([0.0, 0.1, 1.0]), st.sampled_from([0.0, 0.5, 20.0]), st.integers(1, 50))
def test_retries_stay_within_their_budget(steps, share, per_s, burst):
    budget = RetryBudget(share=share, per_s=per_s, burst=burst)
    now, earned, granted = 0.0, 0.0, 0
    for requests, wait in steps:
        budget.earn(requests)
        earned += share * requests
        now += wait
        granted += budget.spend(now)
    assert granted <= burst + earned + per_s * now + 1e-6


def test_a_used_up_budget_recovers_with_time():
    budget = RetryBudget(share=0.0, per_s=0.5, burst=1)
    assert [budget.spend(at) for at in (0.0, 1.0, 2.0, 2.1)] == [True, False, True, False]


def test_requests_earn_their_share_of_retries():
    budget = RetryBudget(share=0.1, per_s=0.0, burst=3)
    assert [budget.spend(0.0) for _ in range(4)] == [True, True, True, False]
    budget.earn(9)
    assert not budget.spend(0.0)
    budget.earn(2)
    assert budget.spend(0.0)
