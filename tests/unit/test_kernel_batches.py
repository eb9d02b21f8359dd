"""The kernel at work: which records count, what is published, paused, dead-lettered and committed."""

import asyncio
from collections.abc import Mapping

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import (
    CommitFailedError,
    IllegalStateError,
)

from runtime.consumer import COMMIT_AGAIN_AFTER_S
from runtime.dead_letters import DeadLetterLimit
from runtime.messages import Effects, Record, State
from tests.support.fakes_runtime import (
    ANSWERS,
    OPENS,
    AskHandler,
    BrokerDownError,
    answer,
    eventually,
    said,
    silence,
    started,
    stored,
)


async def test_outputs_go_to_the_partition_of_their_cause():
    bench = await started(0, 1)
    await bench.batch(stored(0, b"q"), stored(0, b"q", partition=1), stored(1, b"q", partition=1))
    assert (bench.values(partition=0), bench.values(partition=1)) == ([b"request"], [b"request", b"request"])


class Mover(AskHandler):
    """Publishes what it reads on partition 1, at the first try or, where it fails once, at the second."""

    def __init__(self, failures: int) -> None:
        super().__init__()
        self.failures = failures

    def on_record(self, record: Record, pending: Mapping[bytes, State]) -> Effects:
        if self.failures:
            self.failures -= 1
            raise ZeroDivisionError
        return Effects((said(record.key or b"", b"moved"),), partition=1)


@pytest.mark.parametrize("failures", [0, 1])
async def test_a_record_may_be_published_on_another_partition(failures: int):
    bench = await started(0, handler=Mover(failures))
    await bench.batch(stored(0, b"q"))
    assert (bench.values(partition=0), bench.values(partition=1)) == ([], [b"moved"])


async def test_no_commit_passes_a_record_whose_move_is_not_stored():
    bench = await started(0, handler=Mover(0))
    bench.producer.gate.clear()
    await bench.take(stored(0, b"q"))
    committing = asyncio.create_task(bench.commit())
    await eventually(lambda: bench.kernel.publisher._flight is not None)
    assert bench.consumer.commits == []
    bench.producer.gate.set()
    assert (await committing)[OPENS, 0] == 1
    assert bench.values(partition=1) == [b"moved"]


async def test_a_batch_is_announced_before_its_first_record_is_handled():
    told: list[list[int]] = []

    class Listens(AskHandler):
        def on_record(self, record: Record, pending: Mapping[bytes, State]) -> Effects:
            assert record.offset in told[-1]
            return Effects()

    bench = await started(
        0, 1, handler=Listens(), before_batch=lambda records: told.append([record.offset for record in records])
    )
    await bench.batch(stored(0, b"q"), stored(1, b"q"), stored(0, b"q", partition=1))
    assert told == [[0, 1], [0]]


async def test_the_commit_trails_what_is_open():
    bench = await started()
    await bench.batch(stored(0, b"q"), stored(1, b"q"), answer(0, b"k1"))
    assert await bench.commit() == {(OPENS, 0): 0, (ANSWERS, 0): 1}
    await bench.batch(answer(1, b"k0"))
    assert await bench.commit() == {(OPENS, 0): 2, (ANSWERS, 0): 2}


async def test_an_unchanged_offset_is_committed_once():
    bench = await started()
    await bench.batch(stored(0, b"q"))
    await bench.commit()
    await bench.commit()
    assert len(bench.consumer.commits) == 1


async def test_what_is_committed_is_committed_again_after_a_while():
    """A history found it: an earlier commit, tried again by the client, arrived late and took the last one back."""
    bench = await started()
    await bench.batch(stored(0, b"q"), answer(0, b"k0"))
    await bench.commit()
    bench.consumer.offsets[TopicPartition(OPENS, 0)] = 0
    bench.clock.advance(COMMIT_AGAIN_AFTER_S)
    assert await bench.commit() == {(OPENS, 0): 1, (ANSWERS, 0): 1}


async def test_a_batch_of_a_partition_given_away_is_dropped():
    bench = await started(0, 1)
    await bench.revoke()
    await bench.assign(1)
    await bench.batch(stored(0, b"q"), stored(0, b"q", partition=1))
    assert (bench.values(), bench.values(partition=1)) == ([], [b"request"])


async def test_a_batch_from_before_a_rebalance_is_not_applied_twice():
    bench = await started()
    await bench.batch(stored(0, b"q"), answer(0, b"k0"))
    await bench.revoke()
    await bench.assign()
    await bench.batch(stored(0, b"q"))
    assert bench.values() == [b"request", b"decided"]


async def test_giving_away_commits_and_forgets():
    bench = await started()
    await bench.batch(stored(0, b"q"), stored(1, b"q"), answer(0, b"k0"))
    await bench.revoke()
    assert bench.consumer.commits[-1] == {TopicPartition(OPENS, 0): 1, TopicPartition(ANSWERS, 0): 1}
    assert (bench.kernel.partitions, bench.kernel.open_records()) == ({}, 0)


async def test_the_next_owner_asks_again_for_what_was_open():
    bench = await started()
    await bench.batch(stored(0, b"q"), stored(1, b"q"), answer(0, b"k0"))
    await bench.revoke()
    await bench.assign()
    await bench.batch(stored(1, b"q"))
    assert bench.values() == [b"request", b"request", b"decided", b"request"]


async def test_a_full_window_pauses_questions_only():
    bench = await started(max_open=2)
    await bench.batch(stored(0, b"q"), stored(1, b"q"))
    assert bench.consumer.paused() == {TopicPartition(OPENS, 0)}


async def test_a_window_with_room_reads_on():
    bench = await started(max_open=5)
    await bench.batch(*[stored(offset, b"q") for offset in range(5)])
    await bench.batch(answer(0, b"k0"))
    assert bench.consumer.paused(), "it must not flap at the bound"
    await bench.batch(answer(1, b"k1"))
    assert not bench.consumer.paused()


async def test_a_deadline_too_makes_room():
    bench = await started(max_open=1)
    await bench.batch(stored(0, b"q"))
    await silence(bench)
    assert (bench.values(), bench.consumer.paused()) == ([b"request", b"presumed"], set())


async def test_nothing_stays_paused_across_a_rebalance():
    bench = await started(max_open=1)
    await bench.batch(stored(0, b"q"))
    await bench.revoke()
    await bench.assign()
    assert not bench.consumer.paused()


async def test_silence_is_certain_before_it_is_presumed():
    bench = await started()
    await bench.batch(stored(0, b"q"))
    await silence(bench, mark=1)
    assert bench.values() == [b"request"]
    await bench.batch(answer(0, b"k0"))
    await silence(bench, mark=1)
    assert bench.values() == [b"request", b"decided"]


async def test_two_copies_of_a_reply_at_once_do_no_harm():
    """Two incomplete replies in one batch rearm one entry to the same moment."""

    class Rearming(AskHandler):
        def on_record(self, record, pending):
            if record.topic != ANSWERS:
                return super().on_record(record, pending)
            return self.on_deadline(record.key, pending[record.key])._replace(retry=False)

    bench = await started(handler=Rearming(retries=2))
    await bench.batch(stored(0, b"q"), answer(0, b"k0"), answer(1, b"k0"))
    await silence(bench, mark=2)
    assert bench.values() == [b"request", b"again", b"again", b"presumed"]


@pytest.mark.parametrize("error", [IllegalStateError("not assigned"), CommitFailedError()])
async def test_a_commit_of_what_is_not_ours_is_dropped(error):
    bench = await started()
    await bench.batch(stored(0, b"q"))
    bench.consumer.commit_errors = [error]
    assert await bench.commit() == {}
    assert bench.kernel.fatal is None
    assert bench.counted("commits_total", result="not_ours") == 1


async def test_a_failed_commit_is_tried_again():
    bench = await started()
    await bench.batch(stored(0, b"q"), answer(0, b"k0"))
    bench.consumer.commit_errors = [BrokerDownError()]
    assert await bench.commit() == {}
    assert await bench.commit() == {(OPENS, 0): 1, (ANSWERS, 0): 1}


async def test_a_poison_record_is_set_aside_with_reason_and_place():
    bench = await started()
    await bench.batch(stored(0, b"bad"), stored(1, b"q"))
    [letter] = bench.log.all_of("asked.dlq")
    headers = dict(letter.headers)
    assert (letter.value, headers["dlq_reason"], headers["dlq_offset"]) == (b"bad", b"not_json", b"0")
    assert bench.values() == [b"request"]
    assert bench.counted("dead_letters_total", topic=OPENS, reason="not_json") == 1


async def test_our_own_bug_gets_one_more_try():
    handler = AskHandler()
    bench = await started(handler=handler)
    await bench.batch(stored(0, b"flaky"))
    assert (bench.values(), handler.calls) == ([b"request"], [b"flaky"] * 2)
    assert bench.log.all_of("asked.dlq") == []


async def test_our_own_bug_that_stays_becomes_a_dead_letter():
    handler = AskHandler()
    bench = await started(handler=handler)
    await bench.batch(stored(0, b"bug"), stored(1, b"q"))
    [letter] = bench.log.all_of("asked.dlq")
    assert dict(letter.headers)["dlq_reason"] == b"handler_error"
    assert b"ZeroDivisionError" in dict(letter.headers)["dlq_detail"]
    assert (bench.values(), handler.calls) == ([b"request"], [b"bug"] * 2 + [b"q"])


async def test_a_poison_record_does_not_hold_up_the_commit():
    bench = await started()
    await bench.batch(stored(0, b"bad"), stored(1, b"bug"))
    assert (await bench.commit())[OPENS, 0] == 2


async def test_a_flood_of_dead_letters_empties_nothing_into_the_bin():
    bench = await started(limit=DeadLetterLimit(max_run=3))
    await bench.batch(stored(0, b"q"), answer(0, b"k0"))
    before = await bench.commit()
    await bench.batch(stored(1, b"q"), stored(2, b"bad"), stored(3, b"bad"), stored(4, b"bad"), stored(5, b"q"))
    assert "bad deploy" in (bench.kernel.fatal or "")
    await bench.kernel.drain()
    assert bench.consumer.offsets == {TopicPartition(topic, number): at for (topic, number), at in before.items()}
    assert (bench.values(), bench.log.all_of("asked.dlq")) == ([b"request", b"decided"], [])
    assert bench.stops == ["stop"]


async def test_a_stopped_line_takes_no_more_records():
    bench = await started(limit=DeadLetterLimit(max_run=1))
    await bench.batch(stored(0, b"bad"))
    await bench.batch(stored(0, b"q"))
    assert bench.values() == []


async def test_a_bug_outside_the_handler_stops_the_line_uncommitted():
    bench = await started()
    bench.producer.errors = [TypeError("headers")]
    await bench.take(stored(0, b"q"))
    await bench.take(stored(1, b"q"))
    assert "TypeError" in (bench.kernel.fatal or "")
    await bench.kernel.drain()
    assert (bench.consumer.offsets, bench.values()) == ({}, [])
