"""Waiting until nothing moves, and what a verification refuses to judge."""

import itertools
import json
import signal
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any

import httpx
import pytest

from paperless.language import Message, message, texts
from paperless.verification import quiescence
from paperless.verification import verify as verification
from paperless.verification.backlog import Backlog
from paperless.verification.quiescence import wait_for_quiescence
from paperless.verification.verify import RunParameters, Target, VerifyError
from runtime.command_line import ctrl_c_held_back
from runtime.settings import KafkaAccess
from services.vneid_mock.plan_files import load_plan

RESTING: dict[str, Any] = {"ready": True, "reasons": [], "open": 0, "unsent": 0, "lag": {"applications.submitted": 0}}
TARGET = Target(
    kafka=KafkaAccess(kafka_servers="127.0.0.1:9"),
    health_urls={"intake": "http://127.0.0.1:1"},
    api_url="http://127.0.0.1:2",
)
# Real time only bounds a test; nothing is asserted about it.
SOON = 30.0


@pytest.fixture
def health(monkeypatch) -> Callable[[Iterable[Any]], list[int]]:
    """Answer `/health` with these bodies in turn, the last one for ever; an exception is raised instead."""

    def answering(bodies: Iterable[Any]) -> list[int]:
        left, asked = list(bodies), [0]

        def answer(request: httpx.Request) -> httpx.Response:
            asked[0] += 1
            body = left.pop(0) if len(left) > 1 else left[0]
            if isinstance(body, Exception):
                raise body
            return httpx.Response(200 if body["ready"] else 503, text=json.dumps(body))

        real = httpx.AsyncClient
        monkeypatch.setattr(httpx, "AsyncClient", lambda **_: real(transport=httpx.MockTransport(answer)))
        monkeypatch.setattr(quiescence, "POLL_S", 0.0)
        return asked

    return answering


async def test_a_system_at_rest_is_looked_at_several_times(health):
    asked = health([RESTING])
    assert await wait_for_quiescence(TARGET, partitions=6, within_s=SOON) == {"intake": RESTING}
    assert asked == [quiescence.QUIET_POLLS]


async def test_one_quiet_look_between_two_others_is_no_rest(health):
    asked = health([RESTING, RESTING, {**RESTING, "open": 1}, RESTING])
    await wait_for_quiescence(TARGET, partitions=6, within_s=SOON)
    assert asked == [3 + quiescence.QUIET_POLLS]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({**RESTING, "open": 3}, "intake: 3 open"),
        ({**RESTING, "unsent": 2}, "intake: 2 published, not yet acknowledged by the broker"),
        ({**RESTING, "lag": {"documents.provided": 7}}, "intake: documents.provided lag 7"),
        ({**RESTING, "ready": False, "reasons": ["no_assignment"]}, "intake: no_assignment"),
        (httpx.ConnectError("refused"), "intake: does not answer: ConnectError"),
    ],
    ids=["open", "on its way", "lag", "unready", "silent"],
)
async def test_what_still_moves_is_named_when_time_is_up(health, body, words):
    health([body])
    with pytest.raises(VerifyError, match="not at rest: nothing has moved for 0 s") as failure:
        await wait_for_quiescence(TARGET, partitions=6, within_s=0)
    assert words in str(failure.value)
    assert "look at the logs of who is named" in str(failure.value)
    assert "`paperless verify` goes on from here" in str(failure.value)


async def test_a_service_that_comes_back_is_waited_for(health):
    told: list[Backlog] = []
    health([httpx.ConnectError("refused"), {**RESTING, "open": 2}, RESTING])
    await wait_for_quiescence(TARGET, partitions=6, within_s=SOON, progress=told.append)
    assert "does not answer" in told[0].services[0].reasons[0]
    assert (told[1].open, told[1].rests) == (2, False)


def reading(offset: int, lag: int) -> dict[str, Any]:
    topic = "applications.submitted"
    return {**RESTING, "lag": {topic: lag}, "positions": {topic: {"0": offset}}, "partitions": [*range(6)]}


def seconds(step: float) -> Callable[[], float]:
    """Return a clock that goes on by so much at each look."""
    at = itertools.count(0.0, step)
    return lambda: next(at)


async def test_a_backlog_that_shrinks_is_waited_for_however_long_it_takes(health):
    health([*(reading(offset, 40 - offset) for offset in range(40)), reading(40, 0)])
    assert await wait_for_quiescence(TARGET, partitions=6, within_s=60, clock=seconds(59))


async def test_one_that_falls_back_again_and_again_does_not_get_on(health):
    health([reading(7, 3), *(reading(offset, 10 - offset) for offset in (5, 6, 7) * 30)])
    with pytest.raises(VerifyError, match=r"nothing has moved for 60 s: intake: applications\.submitted lag"):
        await wait_for_quiescence(TARGET, partitions=6, within_s=60, clock=seconds(5))


async def test_somebody_who_files_without_end_is_not_waited_for(health):
    health([reading(offset, 1) for offset in range(200)])
    with pytest.raises(VerifyError, match=r"not at rest: somebody has been filing for 6\d s"):
        await wait_for_quiescence(TARGET, partitions=6, within_s=60, clock=seconds(1))


def run_parameters(seed: int = 7) -> RunParameters:
    return RunParameters(plan=load_plan("mild").model_dump(mode="json"), seed=seed)


def test_the_services_themselves_say_seed_and_attempts():
    bodies = [{**RESTING, "attempts": 5}, {**RESTING, "seed": 7, "plan_changed_by_hand": 0}]
    checked = verification._confirmed(run_parameters(), bodies, lambda _: None)
    assert checked is not None
    assert (checked.seed, checked.attempts) == (7, 5)
    assert checked.oracle(6).book.attempts == 5


def test_a_mock_of_another_seed_cannot_be_foreseen():
    with pytest.raises(VerifyError, match="the mock's seed is 8, the manifest's 7"):
        verification._confirmed(run_parameters(), [{**RESTING, "seed": 8}], lambda _: None)


def test_a_plan_changed_by_hand_leaves_no_oracle():
    told: list[Message] = []
    assert verification._confirmed(run_parameters(), [{**RESTING, "plan_changed_by_hand": 2}], told.append) is None
    assert told == [message("verifying.by_hand")]
    assert texts("en").say(told[0]) == "the fault plan was changed by hand: the recount is the reference"


def test_ctrl_c_while_recounting_processes_start_waits_until_they_have():
    begun = []
    with pytest.raises(KeyboardInterrupt), ctrl_c_held_back():
        signal.raise_signal(signal.SIGINT)
        begun.append("all")
    assert begun == ["all"]
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, ())


def test_recounting_processes_leave_ctrl_c_to_the_command():
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        with ctrl_c_held_back():
            held_back = pool.submit(signal.pthread_sigmask, signal.SIG_BLOCK, ())
        assert signal.SIGINT in held_back.result(SOON)
