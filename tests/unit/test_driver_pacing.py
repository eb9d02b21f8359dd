"""The pace: when records are handed over, on a clock that only sleeping moves."""

import asyncio

import pytest

from domain import load_domain
from paperless.population.scenario import load_scenario
from paperless.traffic.driver import LINGER_S, DrivePlan, DriveResult, Progress, _Run
from paperless.traffic.sender import Sender
from runtime.publisher import Publisher
from tests.support.sending_fakes import Broker, SleepClock


async def play(
    broker: Broker, *, seconds_per_day: float | None, scenario: str = "national-day", stop_at: int = 10**9
) -> tuple[DriveResult, list[Progress]]:
    clock, stop, shown = SleepClock(), asyncio.Event(), list[Progress]()

    def show(progress: Progress) -> None:
        shown.append(progress)
        if progress.sent >= stop_at:
            stop.set()

    loaded = load_scenario(scenario, load_domain())
    plan = DrivePlan(scenario=loaded, seed=7, applications=2_000, seconds_per_day=seconds_per_day)
    run = _Run(plan, plan.days(), progress=show, clock=clock, sleep=clock.sleep, stop=stop)
    await run.play(Sender(Publisher(lambda: broker), 3, run.tally, clock, run.show))
    return run.result(), shown


async def test_a_paced_day_takes_its_seconds_and_no_more():
    result, _ = await play(Broker(), seconds_per_day=10)
    assert result.sent == 2_000
    assert result.elapsed_s == pytest.approx(10, abs=0.5)


async def test_no_record_waits_longer_than_the_linger():
    result, _ = await play(Broker(), seconds_per_day=10)
    assert 0 < result.slip_mean_s <= result.slip_max_s <= LINGER_S + 1e-6


async def test_paced_records_travel_in_company():
    broker = Broker()
    await play(broker, seconds_per_day=2)
    assert broker.batches <= 3 * (2 / LINGER_S + 2)


async def test_at_full_speed_nobody_sleeps():
    result, _ = await play(Broker(), seconds_per_day=None)
    assert (result.sent, result.elapsed_s, result.slip_max_s) == (2_000, 0, 0)


async def test_each_day_of_a_week_takes_the_same_time():
    result, shown = await play(Broker(), seconds_per_day=3, scenario="week")
    assert result.elapsed_s == pytest.approx(21, abs=0.5)
    seen = {progress.at.date(): progress.elapsed_s for progress in shown if progress.at}
    assert [round(elapsed / 3) for elapsed in seen.values()] == [1, 2, 3, 4, 5, 6, 7]


async def test_progress_moves_forward_to_the_end():
    result, shown = await play(Broker(), seconds_per_day=5)
    counts = [progress.sent for progress in shown]
    assert counts == sorted(counts)
    assert len(counts) > 20
    assert counts[-1] == result.sent == shown[-1].planned


async def test_a_stop_ends_the_day_early():
    broker = Broker()
    result, _ = await play(broker, seconds_per_day=10, stop_at=500)
    assert 500 <= result.sent < 700
    assert result.stopped
    assert len(broker.stored) == result.sent
