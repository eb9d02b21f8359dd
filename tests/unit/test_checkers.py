"""The verdict can fail: every way in which a run can lose, double or alter something is named, and is not ok."""

import json
from collections import Counter
from typing import Any

import pytest

from contracts.records import partition_of, short_digest
from contracts.topics import APPLICATIONS_DECIDED, APPLICATIONS_SUBMITTED, CORRECTIONS_REQUESTED
from paperless.verification.checkers import Verdict, merged
from paperless.verification.positions import LoggedRecord, RefusedRecord, Submission
from services.scoring.rollup.cells import HASH_SPAN, CellKey, Fingerprint, Measures, Snapshot, add_cells
from tests.support.checkers_world import PARTITIONS, Log, decided, outcome_of, submissions


def altered(record: LoggedRecord, **changes: Any) -> bytes:
    return json.dumps({**json.loads(record.value or b""), **changes}).encode()


def named(verdict: Verdict, *words: str) -> bool:
    return any(all(word in line for word in words) for line in verdict.differences)


def name_of(record: LoggedRecord) -> str:
    return (record.key or b"").decode()


class LiveStore:
    """The live store of a log, as a fault may have left it: sums and rows can be changed apart from each other."""

    def __init__(self, log: Log) -> None:
        self.log = log
        rollup = log.live()
        self.cells, self.fingerprints = dict(rollup.cells), dict(rollup.fingerprints)
        self.content = log.content()

    def add(self, record: LoggedRecord, sign: int = 1) -> None:
        """Count an outcome once more, or (-1) once less."""
        one = decided(record)
        add_cells(self.cells, {one.cell: Measures(*[sign * value for value in one.measures])})
        held = self.fingerprints[record.partition]
        self.fingerprints[record.partition] = Fingerprint(
            held.applications + sign, (held.hash_sum + sign * one.content_hash) % HASH_SPAN
        )

    def drop(self, record: LoggedRecord) -> None:
        self.add(record, -1)
        del self.content[record.partition][name_of(record)]

    def verdict(self, *, with_oracle: bool = True) -> Verdict:
        return self.log.verdict(Snapshot(self.cells, self.fingerprints), self.content, with_oracle=with_oracle)


def same_cell(log: Log) -> tuple[LoggedRecord, LoggedRecord]:
    """Two applications that count alike: in one cell with the same measures, on one partition."""
    first: dict[tuple[int, CellKey, Measures], LoggedRecord] = {}
    for record in log.outcomes():
        one = decided(record)
        # Minutes differ from case to case; what two applications share is enough for them to cancel in the counts.
        other = first.setdefault((record.partition, one.cell, one.measures._replace(minutes=0)), record)
        if other is not record:
            return other, record
    raise AssertionError("no two applications count alike")


def test_a_run_without_faults_is_ok():
    log = Log.of()
    verdict = log.verdict(log.live().snapshot())
    assert verdict.ok
    assert (verdict.submitted, verdict.decided, verdict.lost, verdict.counted_twice) == (400, 400, 0, 0)
    assert (verdict.live_equals_recount, verdict.recount_equals_oracle, verdict.differences) == (True, True, ())


def test_an_outcome_that_was_never_written_is_lost():
    log = Log.of()
    gone = log.decided[1].pop(17)
    verdict = log.verdict(log.live().snapshot())
    assert not verdict.ok
    assert (verdict.lost, verdict.decided, verdict.recount_equals_oracle) == (1, 399, False)
    assert named(verdict, f"{APPLICATIONS_SUBMITTED.name}/1/", name_of(gone), "no outcome")


def test_an_application_dropped_from_the_store_is_lost():
    store = LiveStore(Log.of())
    gone = store.log.decided[0][5]
    store.drop(gone)
    verdict = store.verdict()
    assert not verdict.ok
    assert (verdict.lost, verdict.counted_twice, verdict.live_equals_recount) == (1, 0, False)
    assert named(verdict, name_of(gone), "not in the live store")
    assert named(verdict, "partition 0", "applications")


def test_an_application_counted_twice_is_named():
    store = LiveStore(Log.of())
    twice = store.log.decided[1][3]
    store.add(twice)
    verdict = store.verdict()
    assert not verdict.ok
    assert (verdict.lost, verdict.counted_twice) == (0, 1)
    assert named(verdict, name_of(twice), "counted twice")


def test_a_loss_and_a_double_in_one_cell_do_not_cancel_out():
    store = LiveStore(Log.of())
    gone, twice = same_cell(store.log)
    counts = Counter({cell: measures.n for cell, measures in store.cells.items()})
    store.drop(gone)
    store.add(twice)
    assert counts == Counter({cell: measures.n for cell, measures in store.cells.items()})
    verdict = store.verdict()
    assert not verdict.ok
    assert (verdict.lost, verdict.counted_twice) == (1, 1)
    assert named(verdict, name_of(gone), "not in the live store")
    assert named(verdict, name_of(twice), "counted twice")


def test_a_cell_changed_by_hand_is_named():
    store = LiveStore(Log.of())
    cell, measures = next(iter(store.cells.items()))
    store.cells[cell] = measures._replace(on_time=measures.on_time + 1)
    verdict = store.verdict()
    assert not verdict.ok
    assert (verdict.live_equals_recount, verdict.recount_equals_oracle) == (False, True)
    assert named(verdict, "live and recount", cell.province, cell.pattern, "on_time")


def test_a_cell_that_nobody_filled_is_named():
    store = LiveStore(Log.of())
    store.cells[CellKey("1999-01", "01", "1.001193", "online", "x")] = Measures(1, 0, 0, 1, 60)
    verdict = store.verdict()
    assert not verdict.ok
    assert named(verdict, "1999-01", "n 1 != 0")


def test_an_outcome_of_wrong_content_differs_from_the_oracle():
    log = Log.of()
    record = next(one for one in log.outcomes() if json.loads(one.value or b"")["outcome"] == "end_to_end")
    wrong = record._replace(value=altered(record, outcome="partly_online"))
    log.decided[record.partition][record.offset] = wrong
    verdict = log.verdict(log.live().snapshot())
    assert not verdict.ok
    assert (verdict.live_equals_recount, verdict.recount_equals_oracle) == (True, False)
    assert named(verdict, name_of(record), "differs from the oracle's")


def test_an_outcome_from_nowhere_is_named():
    log = Log.of()
    template = log.decided[0][0]
    forged = "0199bf9f-4fe8-7999-8999-999999999999"
    log.decide(forged.encode(), altered(template, application_id=forged))
    for with_oracle in (True, False):
        verdict = log.verdict(log.live().snapshot(), with_oracle=with_oracle)
        assert not verdict.ok
        assert named(verdict, forged, "no submission")


def test_a_better_informed_outcome_overrules_and_is_counted():
    log = Log.of()
    stronger = next(one for one in log.outcomes() if decided(one).revision > 0)
    log.decided[stronger.partition].insert(0, stronger._replace(offset=-1, value=altered(stronger, revision=0)))
    verdict = log.verdict(log.live().snapshot())
    assert verdict.ok
    assert (verdict.overruled, verdict.decided) == (1, 400)


def test_a_repeated_outcome_is_told_but_not_counted():
    log = Log.of()
    for record in log.decided[0][:7]:
        log.decide(record.key or b"", record.value or b"")
    verdict = log.verdict(log.live().snapshot())
    assert verdict.ok
    assert (verdict.re_delivered, verdict.decided) == (7, 400)


def test_a_dead_letter_at_scoring_is_never_ok():
    log = Log.of()
    refused = log.decided[1][9]
    log.letters.append(RefusedRecord(APPLICATIONS_DECIDED.name, 1, refused.offset, "breaks_contract"))
    verdict = log.verdict(log.live().snapshot())
    assert not verdict.ok
    assert named(
        verdict, "dead letter at scoring", f"{APPLICATIONS_DECIDED.name}/1/{refused.offset}", "breaks_contract"
    )


def test_a_position_refused_without_cause_is_named():
    log = Log.of()
    gone = log.decided[0].pop(4)
    [record] = [one for one in log.submitted[0] if one.key == gone.key]
    log.letters.append(RefusedRecord(APPLICATIONS_SUBMITTED.name, 0, record.offset, "handler_error"))
    verdict = log.verdict(log.live().snapshot())
    assert not verdict.ok
    assert named(
        verdict, f"{APPLICATIONS_SUBMITTED.name}/0/{record.offset}", "handler_error", "the oracle says decided"
    )


def test_a_malformed_submission_is_a_dead_letter_and_ok():
    log = Log.of()
    broken = log.submit(b"no id", b"{", partition=1)
    assert not log.verdict(log.live().snapshot()).ok
    log.letters += [RefusedRecord(APPLICATIONS_SUBMITTED.name, 1, broken.offset, "not_json")] * 2
    verdict = log.verdict(log.live().snapshot())
    assert verdict.ok
    assert (verdict.submitted, verdict.dead_lettered, verdict.lost) == (401, 1, 0)
    assert verdict.dead_letters == {f"{APPLICATIONS_SUBMITTED.name}: not_json": 1}


def test_a_dead_letter_with_another_reason_is_named():
    log = Log.of()
    broken = log.submit(b"no id", b"{", partition=1)
    log.letters.append(RefusedRecord(APPLICATIONS_SUBMITTED.name, 1, broken.offset, "unknown_procedure"))
    verdict = log.verdict(log.live().snapshot())
    assert not verdict.ok
    assert named(verdict, "dead letter unknown_procedure, the oracle says not_json")


def test_a_lost_position_is_named_even_without_an_oracle():
    log = Log.of()
    broken = log.submit(b"no id", None, partition=0)
    verdict = log.verdict(log.live().snapshot(), with_oracle=False)
    assert (verdict.ok, verdict.lost, verdict.recount_equals_oracle) == (False, 1, None)
    assert named(verdict, f"{APPLICATIONS_SUBMITTED.name}/0/{broken.offset}", "no outcome")


def test_a_submission_sent_twice_is_decided_once():
    log = Log.of()
    for key, value in submissions()[:20]:
        log.submit(key, value)
    verdict = log.verdict(log.live().snapshot())
    assert verdict.ok
    assert (verdict.submitted, verdict.decided, verdict.lost) == (420, 400, 0)


def misplaced(log: Log) -> tuple[bytes, bytes, int]:
    """A submission's key and value, and a partition that is not its own."""
    key, value = submissions()[3]
    return key, value, 1 - partition_of(key, PARTITIONS)


@pytest.mark.parametrize("with_oracle", [True, False])
@pytest.mark.parametrize("key", ["own", None, b"any", "another's"])
def test_a_misplaced_submission_is_counted_as_moved(key: str | bytes | None, *, with_oracle: bool):
    log = Log.of()
    own, value, elsewhere = misplaced(log)
    another = next(name for name, _ in submissions() if partition_of(name, PARTITIONS) == elsewhere)
    log.submit({"own": own, "another's": another}.get(key, key), value, partition=elsewhere)  # type: ignore[arg-type]
    verdict = log.verdict(log.live().snapshot(), with_oracle=with_oracle)
    assert verdict.ok
    assert (verdict.submitted, verdict.moved, verdict.decided, verdict.lost) == (401, 1, 400, 0)


def test_a_submission_under_a_foreign_key_on_its_own_partition_is_moved_too():
    log = Log.of()
    key, value = submissions()[3]
    log.submit(b"any", value, partition=partition_of(key, PARTITIONS))
    verdict = log.verdict(log.live().snapshot())
    assert (verdict.ok, verdict.moved) == (True, 1)


@pytest.mark.parametrize("with_oracle", [True, False])
def test_a_misplaced_submission_that_was_never_moved_is_lost(*, with_oracle: bool):
    log = Log.of()
    own, value, elsewhere = misplaced(log)
    home = 1 - elsewhere
    log.submitted[home] = [record for record in log.submitted[home] if record.key != own]
    log.decided[home] = [record for record in log.decided[home] if record.key != own]
    record = log.submit(None, value, partition=elsewhere)
    verdict = log.verdict(log.live().snapshot(), with_oracle=with_oracle)
    assert (verdict.ok, verdict.lost, verdict.moved) == (False, 1, 0)
    assert named(verdict, f"{APPLICATIONS_SUBMITTED.name}/{elsewhere}/{record.offset}", "not moved")


def test_a_misplaced_submission_with_other_content_is_not_taken_for_the_one_that_is_there():
    log = Log.of()
    own, value, elsewhere = misplaced(log)
    log.submit(own, value + b" ", partition=elsewhere)
    assert log.verdict(log.live().snapshot()).lost == 1


def test_a_misplaced_submission_that_was_refused_is_named():
    log = Log.of()
    own, value, elsewhere = misplaced(log)
    record = log.submit(own, value, partition=elsewhere)
    log.letters.append(RefusedRecord(APPLICATIONS_SUBMITTED.name, elsewhere, record.offset, "key_mismatch"))
    verdict = log.verdict(log.live().snapshot())
    assert not verdict.ok
    assert named(verdict, f"{APPLICATIONS_SUBMITTED.name}/{elsewhere}/{record.offset}", "must be moved")


def test_a_misplaced_submission_that_is_broken_is_a_dead_letter_where_it_lies():
    log = Log.of()
    _, value, elsewhere = misplaced(log)
    broken = json.dumps(json.loads(value) | {"procedure": "9.999999"}).encode()
    record = log.submit(None, broken, partition=elsewhere)
    log.letters.append(RefusedRecord(APPLICATIONS_SUBMITTED.name, elsewhere, record.offset, "unknown_procedure"))
    verdict = log.verdict(log.live().snapshot())
    assert (verdict.ok, verdict.moved, verdict.dead_lettered) == (True, 0, 1)


def refused(log: Log, value: bytes | None, reason: str, key: bytes | None = b"no id") -> LoggedRecord:
    """Submit to partition 1 what is refused there."""
    record = log.submit(key, value, partition=1)
    log.letters.append(RefusedRecord(APPLICATIONS_SUBMITTED.name, 1, record.offset, reason))
    return record


def settle(log: Log, state: Any, written_back: tuple[bytes, bytes] | None = None) -> None:
    """Change what became of the last letter."""
    submission = Submission(written_back[0].decode(), short_digest(written_back[1])) if written_back else None
    log.letters[-1] = log.letters[-1]._replace(state=state, written_back=submission)


@pytest.mark.parametrize("with_oracle", [True, False])
@pytest.mark.parametrize(("value", "reason"), [(b"{", "not_json"), (None, "unreadable")])
def test_what_was_repaired_and_is_decided_is_counted_once(value: bytes | None, reason: str, *, with_oracle: bool):
    log = Log.of()
    refused(log, value, reason)
    settle(log, "repaired", submissions()[3])
    verdict = log.verdict(log.live().snapshot(), with_oracle=with_oracle)
    assert verdict.ok, verdict
    assert (verdict.submitted, verdict.replayed, verdict.decided, verdict.dead_lettered) == (401, 1, 400, 0)
    assert (verdict.dead_letters, verdict.settled) == ({}, {f"{APPLICATIONS_SUBMITTED.name}: repaired": 1})


def test_what_was_repaired_and_is_nowhere_is_lost():
    log = Log.of()
    record = refused(log, b"{", "not_json")
    key, value = submissions()[3]
    settle(log, "repaired", (key, value + b" "))
    verdict = log.verdict(log.live().snapshot())
    assert (verdict.ok, verdict.lost, verdict.replayed) == (False, 1, 0)
    assert named(
        verdict, f"{APPLICATIONS_SUBMITTED.name}/1/{record.offset}", "written back", "not on its own partition"
    )


def replayable(log: Log) -> LoggedRecord:
    """Let a good submission of partition 1 be refused by a bug: no outcome, a dead letter."""
    record = log.submitted[1][5]
    log.decided[1] = [outcome for outcome in log.decided[1] if outcome.key != record.key]
    log.letters.append(RefusedRecord(APPLICATIONS_SUBMITTED.name, 1, record.offset, "handler_error"))
    return record


def test_what_was_replayed_and_is_decided_is_counted_once():
    log = Log.of()
    record = replayable(log)
    settle(log, "replayed")
    again = log.submit(record.key, record.value)
    log.decide(record.key or b"", outcome_of(again))
    verdict = log.verdict(log.live().snapshot())
    assert verdict.ok, verdict
    assert (verdict.submitted, verdict.replayed, verdict.decided) == (401, 1, 400)


def test_what_was_replayed_is_not_taken_for_what_was_refused():
    log = Log.of()
    record = replayable(log)
    settle(log, "replayed")
    verdict = log.verdict(log.live().snapshot())
    assert (verdict.ok, verdict.lost, verdict.replayed) == (False, 1, 0)
    assert named(verdict, f"{APPLICATIONS_SUBMITTED.name}/1/{record.offset}", "written back")


def test_what_was_replayed_and_refused_again_is_open_again():
    log = Log.of()
    record = replayable(log)
    settle(log, "replayed")
    again = log.submit(record.key, record.value)
    log.letters.append(RefusedRecord(APPLICATIONS_SUBMITTED.name, 1, again.offset, "handler_error"))
    verdict = log.verdict(log.live().snapshot())
    assert (verdict.ok, verdict.replayed, verdict.dead_lettered) == (False, 1, 1)
    assert [letter.offset for letter in verdict.open_dead_letters] == [again.offset]
    settle(log, "replayed")
    third = log.submit(record.key, record.value)
    log.decide(record.key or b"", outcome_of(third))
    verdict = log.verdict(log.live().snapshot())
    assert (verdict.ok, verdict.submitted, verdict.replayed, verdict.decided) == (True, 402, 2, 400)


def test_what_was_replayed_where_it_is_misplaced_is_moved_and_decided():
    log = Log.of()
    _, value, elsewhere = misplaced(log)
    record = log.submit(None, value, partition=elsewhere)
    log.letters.append(RefusedRecord(APPLICATIONS_SUBMITTED.name, elsewhere, record.offset, "handler_error"))
    settle(log, "replayed")
    log.submit(None, value, partition=elsewhere)
    verdict = log.verdict(log.live().snapshot())
    assert (verdict.ok, verdict.submitted, verdict.moved, verdict.replayed) == (True, 402, 1, 1)


def test_what_was_dropped_is_neither_lost_nor_expected():
    log = Log.of()
    replayable(log)
    settle(log, "dropped")
    verdict = log.verdict(log.live().snapshot())
    assert verdict.ok, verdict
    assert (verdict.submitted, verdict.decided, verdict.dropped, verdict.lost) == (400, 399, 1, 0)


def test_a_settlement_that_is_not_finished_is_not_ok():
    log = Log.of()
    record = refused(log, b"{", "not_json")
    settle(log, "begun", submissions()[3])
    verdict = log.verdict(log.live().snapshot())
    assert not verdict.ok
    assert named(verdict, "settlement not finished", f"{APPLICATIONS_SUBMITTED.name}/1/{record.offset}")


@pytest.mark.parametrize("state", ["repaired", "replayed", "dropped"])
def test_a_settled_dead_letter_at_scoring_is_ok_when_everything_agrees(state: str):
    log = Log.of()
    record = log.decided[1][9]
    broken = log.decide(record.key or b"", b"{}")
    log.letters.append(RefusedRecord(APPLICATIONS_DECIDED.name, 1, broken.offset, "breaks_contract"))
    good = Log(log.submitted, {0: log.decided[0], 1: log.decided[1][:-1]})
    live, content = good.live().snapshot(), good.content()
    assert not log.verdict(live, content).ok
    settle(log, state)
    assert log.verdict(live, content).ok


def test_dropping_at_scoring_hides_no_loss():
    log = Log.of()
    record = log.decided[1][9]
    log.letters.append(RefusedRecord(APPLICATIONS_DECIDED.name, 1, record.offset, "store_refuses", state="dropped"))
    without = Log(log.submitted, {0: log.decided[0], 1: [one for one in log.decided[1] if one is not record]})
    verdict = log.verdict(without.live().snapshot(), without.content())
    assert (verdict.ok, verdict.recount_equals_oracle) == (False, False)


def test_many_losses_are_all_counted_and_some_named():
    log = Log.of()
    del log.decided[0][:50]
    verdict = log.verdict(log.live().snapshot())
    assert (verdict.ok, verdict.lost) == (False, 50)
    assert 20 <= len(verdict.differences) <= 100


def test_readings_of_partitions_add_up_to_the_whole():
    log = Log.of()
    whole = log.live().snapshot()
    assert merged(log.audit(number).recount for number in range(PARTITIONS)) == whole


# --- requests for corrections ---------------------------------------------------------------------------------------


def test_every_request_for_a_correction_is_counted_once():
    log = Log.of()
    everything = [record for records in log.requested.values() for record in records]
    for record in log.requested[0][:5]:
        log.request(record.key or b"", record.value or b"")
    for with_oracle in (True, False):
        verdict = log.verdict(log.live().snapshot(), with_oracle=with_oracle)
        assert verdict.ok, verdict
        assert (verdict.corrections.requested, verdict.corrections.repeated) == (len(everything), 5)
        assert len(everything) > 20


@pytest.mark.parametrize("with_oracle", [True, False])
def test_a_request_that_was_never_made_is_lost(with_oracle: bool):
    log = Log.of()
    gone = log.requested[1].pop(3)
    verdict = log.verdict(log.live().snapshot(), with_oracle=with_oracle)
    assert (verdict.ok, len(verdict.corrections.lost)) == (False, 1)
    assert named(verdict, "correction request", name_of(gone), json.loads(gone.value or b"")["component"], "lost")


@pytest.mark.parametrize("with_oracle", [True, False])
def test_a_request_without_cause_is_named(with_oracle: bool):
    log = Log.of()
    template = log.requested[0][2]
    log.request(template.key or b"", altered(template, component="nobody_needs_it"))
    verdict = log.verdict(log.live().snapshot(), with_oracle=with_oracle)
    assert (verdict.ok, len(verdict.corrections.unfounded)) == (False, 1)
    assert named(verdict, "correction request", name_of(template), "nobody_needs_it", "without cause")


def test_a_request_and_its_loss_do_not_cancel_out():
    log = Log.of()
    gone = log.requested[0].pop(0)
    log.request(gone.key or b"", altered(gone, component="nobody_needs_it"))
    verdict = log.verdict(log.live().snapshot())
    assert (len(verdict.corrections.lost), len(verdict.corrections.unfounded)) == (1, 1)


@pytest.mark.parametrize("change", [{"database": "con_dau"}, {"worked_off_at": "2025-10-08T17:00:00+07:00"}])
def test_a_request_that_says_something_else_is_named(change: dict[str, str]):
    log = Log.of()
    template = log.requested[0][2]
    log.requested[0][2] = template._replace(value=altered(template, **change))
    verdict = log.verdict(log.live().snapshot())
    assert (verdict.ok, len(verdict.corrections.wrong)) == (False, 1)
    assert named(verdict, "correction request", name_of(template), "other than it must be")


@pytest.mark.parametrize("with_oracle", [True, False])
def test_two_requests_about_one_record_that_differ_are_named(with_oracle: bool):
    log = Log.of()
    template = log.requested[1][2]
    log.request(template.key or b"", altered(template, database="con_dau"))
    verdict = log.verdict(log.live().snapshot(), with_oracle=with_oracle)
    assert (verdict.ok, len(verdict.corrections.wrong), verdict.corrections.repeated) == (False, 1, 1)


@pytest.mark.parametrize("value", [b"{", None])
def test_a_broken_request_asks_for_nothing(value: bytes | None):
    log = Log.of()
    broken = log.requested[0][1]
    log.requested[0][1] = broken._replace(value=value)
    verdict = log.verdict(log.live().snapshot())
    assert (verdict.ok, len(verdict.corrections.lost)) == (False, 1)


def test_a_request_that_was_set_aside_asks_for_nothing():
    log = Log.of()
    template = log.requested[0][1]
    foreign = log.request(template.key or b"", altered(template, component="nobody_needs_it", database="no_such"))
    log.letters.append(RefusedRecord(CORRECTIONS_REQUESTED.name, 0, foreign.offset, "unknown_database"))
    verdict = log.verdict(log.live().snapshot())
    assert verdict.ok, verdict
    assert verdict.dead_letters == {f"{CORRECTIONS_REQUESTED.name}: unknown_database": 1}
