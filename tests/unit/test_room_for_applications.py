"""No command files applications whose records would not fit into the memory where the embedded broker keeps them."""

import asyncio
from datetime import UTC, datetime

import pytest

from paperless.cli import send
from paperless.local import memory
from paperless.local.broker_kinds import KFAKE, embedded_kind
from paperless.local.state import ProcessState, RunState, StateDirectory, Status, this_process
from paperless.traffic.load import session
from paperless.traffic.load.ceiling import InstantProducer
from paperless.traffic.load.plan import LoadPlan, LoadTarget
from paperless.traffic.load.result import Measured
from paperless.traffic.load.run import Rate, Rig
from runtime.settings import KafkaAccess
from services.vneid_mock.plan_files import load_plan
from tests.support.cli_runs import Ended, Paperless, paperless_in
from tests.support.load_examples import figures_of, recorded

# Nobody answers there: whoever is not refused for want of memory finds no broker, and files nothing either.
NOBODY = "127.0.0.1:1"
EXPECTED = 2
SERVICES = ("intake", "vneid_mock", "scoring", "scoring_api")
ON_KAFKA = ["--kafka", NOBODY, "--api", f"http://{NOBODY}", "--health", f"vneid_mock=http://{NOBODY}"]
# 40,000 applications beside what a running system's processes may still take.
FREE = 40_000 * KFAKE.bytes_per_application + memory.BYTES_FOR_PROCESSES
TOO_MANY = [
    ["send", "--applications", "40001"],
    ["send"],
    ["load", "--rate", "1000", "--seconds", "35.1"],
    ["load", "--rate", "1", "--seconds", "50000"],
    ["load", "--max", "--rate", "8000"],
    ["load", "--closed", "100"],
]


@pytest.fixture
def paperless(monkeypatch, capsys, tmp_path) -> Paperless:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(memory, "memory_available", lambda: FREE)
    mock = {"plan": load_plan("calm").model_dump(mode="json"), "seed": 1}
    monkeypatch.setattr(send, "fetch", lambda _: mock)
    return paperless_in(monkeypatch, capsys)


@pytest.fixture
def running(tmp_path) -> StateDirectory:
    """The state of a system that runs, as far as anybody can see."""
    directory = StateDirectory(tmp_path / "build" / "run")
    directory.create()
    state = RunState(
        run_id="r1",
        status=Status.HEALTHY,
        seed=1,
        plan="calm",
        started_at=datetime(2025, 10, 8, tzinfo=UTC),
        supervisor=this_process(),
        address=NOBODY,
        broker=KFAKE.name,
        endpoints=dict.fromkeys(SERVICES, f"http://{NOBODY}"),
        # What the broker has taken is no part of what the services need.
        processes={"broker": ProcessState(pid=1, started=0, peak_rss_bytes=5_000_000_000)},
    )
    directory.write(state)
    return directory


def refused_for_memory(ended: Ended) -> bool:
    assert ended.code == EXPECTED
    assert "Traceback" not in ended.err
    return "in the embedded broker and the services" in ended.err


@pytest.mark.parametrize("command", TOO_MANY, ids=" ".join)
@pytest.mark.usefixtures("running")
def test_what_does_not_fit_is_refused_before_anything_is_filed(paperless, tmp_path, command):
    ended = paperless(*command)
    assert refused_for_memory(ended)
    assert "play at most 40,000 applications, or use Apache Kafka" in ended.err
    assert not (tmp_path / "build" / "run" / send.MANIFEST).exists()


@pytest.mark.parametrize(
    "command",
    [["send", "--applications", "40000"], ["load", "--rate", "1000", "--seconds", "35"], ["load", "--max"]],
    ids=" ".join,
)
@pytest.mark.usefixtures("running")
def test_what_fits_is_not_refused(paperless, command):
    ended = paperless(*command)
    assert not refused_for_memory(ended)
    assert f"broker {NOBODY}: no answer" in ended.err


@pytest.mark.parametrize("command", TOO_MANY, ids=" ".join)
def test_a_broker_elsewhere_is_not_asked_for_memory(paperless, command):
    ended = paperless(*command, *ON_KAFKA)
    assert not refused_for_memory(ended)
    assert f"broker {NOBODY}: no answer" in ended.err


@pytest.mark.parametrize("command", [["demo"], ["chaos", "--faults", "1"], ["whatif", "--play"]], ids=" ".join)
def test_a_system_of_its_own_is_refused_before_it_starts(paperless, monkeypatch, tmp_path, command):
    free = 49 * embedded_kind().bytes_per_application + memory.BYTES_FOR_PROCESSES
    monkeypatch.setattr(memory, "memory_available", lambda: free)
    ended = paperless(*command, "--applications", "50")
    assert refused_for_memory(ended)
    assert "play at most 49 applications" in ended.err
    assert not list(tmp_path.rglob("logs"))


def test_a_loads_applications_are_those_of_its_warm_up_too():
    assert LoadPlan(seconds=30, warm_up_s=5).most_applications(1_000) == 35_000
    assert LoadPlan(seconds=1, warm_up_s=0).most_applications(0.01) == 1


def test_a_closed_loop_is_counted_by_what_is_in_flight_up_to_what_a_system_can():
    plans = [LoadPlan(mode="closed", in_flight=number, seconds=9, warm_up_s=1) for number in (1, 10, 10_000)]
    assert [plan.most_applications(1_000) for plan in plans] == [1_000, 10_000, 120_000]


def test_a_search_ends_before_the_step_that_does_not_fit(monkeypatch, tmp_path):
    rates: list[float | None] = []
    said: list[str] = []

    async def run_once(_: LoadPlan, rate: Rate, __: Rig) -> Measured:
        rates.append(rate.rate)
        return figures_of(recorded([0.05] * 100))

    async def search() -> session._Session:
        plan, found = LoadPlan(mode="max", rate=1_000, seconds=10, warm_up_s=0), session._Session(0)
        rig = Rig(target=target, partitions=1, producer=InstantProducer(), show=lambda _: None, stop=asyncio.Event())
        await session._search(plan, rig, found, lambda message: said.append(message.key))
        return found

    target = LoadTarget(
        kafka=KafkaAccess(kafka_servers=NOBODY),
        api_url=f"http://{NOBODY}",
        idempotent_producer=True,
        mock={},
        manifest=tmp_path / "manifest.json",
        rules_version=1,
        fits=lambda applications: applications <= 20_000,
    )
    monkeypatch.setattr(session, "run_once", run_once)
    found = asyncio.run(search())
    assert rates == [1_000, 2_000]
    assert found.measured is not None
    assert said[-1] == "load.search_full"
