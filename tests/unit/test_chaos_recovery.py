"""How long a fault takes to be got over follows from the samples alone."""

from typing import Any

from paperless.chaos.plan import Fault, Kind
from paperless.chaos.recovery import Occurrence, Sample, recovery_s, stands_still_s, steady_backlog
from paperless.chaos.result import ChaosResult, as_json, timeline_of

KILLED = Occurrence(Fault(Kind.KILL, "intake", 5.0, 0.0), 5.0, 5.1)


def sample(at_s: float, waiting: int, **changes: Any) -> Sample:
    return Sample(at_s, 100, 90, 80, waiting, 0)._replace(**changes)


STEADY = [sample(1.0, 3), sample(2.0, 8), sample(4.9, 5)]


def test_calm_is_the_highest_backlog_before_the_first_fault_and_what_arrives_in_a_second():
    assert steady_backlog([*STEADY, sample(5.0, 500)], 5.0, 99.5) == 8 + 100
    assert steady_backlog([], 5.0, 10.0) == 10
    assert steady_backlog([sample(1.0, 3, lag=None)], 5.0, 10.0) == 10


def test_recovery_lasts_from_the_faults_end_to_the_first_calm_sample():
    samples = [*STEADY, sample(5.2, 300), sample(6.0, 200, lag=50), sample(7.6, 60, lag=40), sample(8.0, 4)]
    assert recovery_s(KILLED, samples, 108) == 2.5


def test_a_calm_sample_from_before_the_end_does_not_count():
    assert recovery_s(KILLED, [sample(5.05, 0)], 108) is None


def test_a_part_that_is_not_ready_has_not_recovered():
    samples = [sample(5.5, 0, unready=("intake",)), sample(6.0, 0, unready=("scoring",))]
    assert recovery_s(KILLED, samples, 108) == 0.9


def test_where_the_lag_is_not_known_nothing_has_recovered():
    assert recovery_s(KILLED, [sample(5.5, 0, lag=None), sample(6.1, 0)], 108) == 1.0


def test_a_container_is_ready_when_its_health_says_so_under_another_name():
    paused = Occurrence(Fault(Kind.FREEZE, "vneid-mock", 5.0, 1.0), 5.0, 6.0)
    assert recovery_s(paused, [sample(6.0, 0, unready=("vneid_mock",)), sample(6.5, 0)], 108) == 0.5


def test_in_a_system_that_others_have_disturbed_the_level_before_is_enough():
    disturbed = [sample(1.0, 900), sample(3.0, 300), sample(4.9, 200), sample(5.5, 301), sample(7.1, 300)]
    assert recovery_s(KILLED, [each for each in disturbed if each.at_s > 1], 108) == 2.0
    assert recovery_s(KILLED, disturbed, 108) == 0.4
    long_ago = [each._replace(at_s=each.at_s - 6) for each in disturbed[:3]]
    assert recovery_s(KILLED, [*long_ago, *disturbed[3:]], 108) is None


def test_what_never_becomes_calm_is_not_recovered():
    assert recovery_s(KILLED, [sample(6.0, 109), sample(60.0, 109)], 108) is None


def test_a_run_stands_still_since_its_last_change_of_any_kind():
    changes = [sample(1.0, 9), sample(2.0, 8), sample(30.0, 8), sample(61.0, 8)]
    assert stands_still_s(changes) == 59.0
    assert stands_still_s([*changes, sample(62.0, 8, unready=("intake",))]) == 0.0
    assert stands_still_s([sample(1.0, 9), sample(5.0, 9)]) == 4.0
    assert stands_still_s([]) == 0.0


def result(**changes: Any) -> ChaosResult:
    run = timeline_of([KILLED.fault], [KILLED], [*STEADY, sample(6.0, 4)], applications=100, rate=10.0)
    counts = {"re_delivered": 3, "presumed": 2, "overruled": 1}
    return ChaosResult(
        command="paperless chaos", seed=1, fault_plan="rough", run=run, verdict_ok=True, counts=counts,
        restarts={"intake": 1}, unready=(),
    )._replace(**changes)  # fmt: skip


def test_all_holds_only_with_the_verdict_each_recovery_and_every_part_ready():
    assert result().ok
    assert not result(verdict_ok=False).ok
    assert not result(unready=("scoring",)).ok
    never = timeline_of([KILLED.fault], [KILLED], STEADY, applications=100, rate=10.0)
    assert not result(run=never).ok


def test_a_fault_that_did_not_happen_is_not_recovered():
    assert not timeline_of([KILLED.fault], [], STEADY, applications=100, rate=10.0).recovered


def test_the_json_has_plan_samples_and_recoveries():
    told = as_json(result())
    assert told["ok"] is True
    assert told["plan"] == [{"kind": "kill", "target": "intake", "begins_s": 5.0, "lasts_s": 0.0}]
    [recovery] = told["recoveries"]
    assert recovery == {"kind": "kill", "target": "intake", "began_s": 5.0, "ended_s": 5.1, "recovery_s": 0.9}
    assert told["samples"][-1]["open"] == 4
    assert told["steady_backlog"] == 18
