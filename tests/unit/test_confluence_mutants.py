"""Flows that break one rule each: the histories of the confluence tests must notice every one of them."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from contracts.events import ApplicationSubmitted, DocumentsProvided
from runtime.messages import NOTHING, Effects, HandlerResult, State
from runtime.partition_state import PartitionState
from services.intake.core import RuleBook
from services.intake.handlers import IntakeHandlers
from services.scoring.rollup.rollup import Rollup
from services.vneid_mock.handlers import VneidHandlers
from tests.support.confluence_filings import ATTEMPTS
from tests.support.confluence_world import assert_equal_knowledge_gives_equal_bytes, drawn_script, drawn_world


def forgetting(state: Any) -> Any:
    attempt, value, _, *sealed = state
    return (attempt, value, None, *sealed)


class ForgetsTheBestReply(IntakeHandlers):
    def _on_incomplete(self, key: bytes, state: Any, provided: DocumentsProvided, reply: bytes) -> Effects:
        return super()._on_incomplete(key, forgetting(state), provided, reply)


class ForgetsPartialReplies(IntakeHandlers):
    def on_deadline(self, key: bytes, state: State) -> Effects:
        return super().on_deadline(key, forgetting(state))


class GivesUpAtOnce(IntakeHandlers):
    def on_deadline(self, key: bytes, state: State) -> Effects:
        return super().on_deadline(key, (ATTEMPTS, *state[1:]))


class TakesAPartialReplyForAll(IntakeHandlers):
    def _on_incomplete(self, key: bytes, state: Any, provided: DocumentsProvided, reply: bytes) -> Effects:
        return super()._on_incomplete(key, (ATTEMPTS, *state[1:]), provided, reply)


class NeverGivesUp(IntakeHandlers):
    def _ask_again(self, key: bytes, state: Any) -> Effects:
        return super()._ask_again(key, (min(state[0], ATTEMPTS - 1), *state[1:]))


class DatesByAttempt(IntakeHandlers):
    """The event time of a decision follows from the attempt that brought it."""

    def _on_provided(self, record: Any, pending: Mapping[bytes, State]) -> Effects:
        attempt = json.loads(record.value)["attempt"]
        patient, self._book = self._book, RuleBook.of(self._book.domain, attempt)
        try:
            return super()._on_provided(record, pending)
        finally:
            self._book = patient


class KeepsOneSubmissionPerId(IntakeHandlers):
    def _on_submitted(self, record: Any, pending: Mapping[bytes, State]) -> HandlerResult:
        effects = super()._on_submitted(record, pending)
        same = any(json.loads(state[1])["application_id"].encode() == record.key for state in pending.values())  # type: ignore[arg-type]
        return NOTHING if same else effects


class DropsWhatIsMisplaced(IntakeHandlers):
    def _moved(self, record: Any, submitted: ApplicationSubmitted) -> Effects:
        return NOTHING


class MovesUnderTheOldKey(IntakeHandlers):
    def _moved(self, record: Any, submitted: ApplicationSubmitted) -> Effects:
        effects = super()._moved(record, submitted)
        [(topic, _, value, headers)] = effects.publish
        return effects._replace(publish=((topic, record.key, value, headers),))


class MovesWhereItLies(IntakeHandlers):
    def _moved(self, record: Any, submitted: ApplicationSubmitted) -> Effects:
        return super()._moved(record, submitted)._replace(partition=record.partition)


class ForgetsScheduledReplies(VneidHandlers):
    """A reply to come is remembered by nothing that survives."""

    def on_record(self, record: Any, pending: Mapping[bytes, State]) -> HandlerResult:
        handled = super().on_record(record, pending)
        return handled._replace(open=None) if type(handled) is Effects and not handled.publish else handled


class CommitsWhatItRead(PartitionState):
    def commits(self) -> dict[str, int]:
        return dict(self.next_offsets)


class PresumesWithoutBarrier(PartitionState):
    def due(self, *, now: float, polled_at: float | None, highwater: int | None, limit: int) -> list[bytes]:
        return self.pending.expired(now, limit)


class LastOneWins(Rollup):
    def apply_all(self, batch: Any) -> None:
        for partition, decided in batch:
            self._outcomes.pop(decided.application_id, None)
            super().apply_all([(partition, decided)])


class CountsRepeats(Rollup):
    def apply_all(self, batch: Any) -> None:
        for partition, decided in batch:
            super().apply_all([(partition, decided)])
            measures = self.cells.get(decided.cell)
            if measures is not None and self.counters["ignored_equal"]:
                self.cells[decided.cell] = measures._replace(n=measures.n + 1)


def problem_of(parts: Mapping[str, Any], histories: int = 60) -> str | None:
    """What is wrong with a flow that has these parts; None when nothing is noticed."""
    for seed in range(histories):
        world = drawn_world(seed, **parts)
        try:
            world.play(drawn_script(seed, 600))
            world.finish()
            world.check()
            assert_equal_knowledge_gives_equal_bytes(world)
        except AssertionError as error:
            return str(error)
        if world.late_readers:
            return "presumed although answered"
    return None


@pytest.mark.parametrize(
    ("parts", "noticed"),
    [
        ({"intake": ForgetsTheBestReply}, "the live sums"),
        ({"intake": ForgetsPartialReplies}, "the live sums"),
        ({"intake": GivesUpAtOnce}, "the live sums"),
        ({"intake": TakesAPartialReplyForAll}, "the live sums"),
        ({"intake": NeverGivesUp}, "not quiescent"),
        ({"intake": DatesByAttempt}, "the live sums"),
        ({"intake": KeepsOneSubmissionPerId}, "the live sums"),
        ({"intake": DropsWhatIsMisplaced}, "lost by a move"),
        ({"intake": MovesUnderTheOldKey}, "not quiescent"),
        ({"intake": MovesWhereItLies}, "not quiescent"),
        ({"mock": ForgetsScheduledReplies}, "the live sums"),
        ({"state": CommitsWhatItRead}, "the live sums"),
        ({"state": PresumesWithoutBarrier}, "presumed although answered"),
        ({"rollup": LastOneWins}, "the live sums"),
        ({"rollup": CountsRepeats}, "the live sums"),
    ],
    ids=lambda value: next(iter(value.values())).__name__ if isinstance(value, dict) else "",
)
def test_a_flow_with_a_broken_rule_is_noticed(parts: dict[str, Any], noticed: str):
    assert noticed in (problem_of(parts) or "nothing")


def test_a_sound_flow_is_not_accused():
    assert problem_of({}, histories=4) is None
