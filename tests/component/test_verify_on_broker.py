"""Verification against a real log: what is read, and what becomes of it when parts do not answer."""

import asyncio
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from typer.testing import CliRunner

from contracts.records import partition_of
from contracts.topics import APPLICATIONS_DECIDED, APPLICATIONS_SUBMITTED, CORRECTIONS_REQUESTED
from domain import load_domain
from paperless.cli.main import app
from paperless.language import Message, message
from paperless.local.ports import Ports
from paperless.operations.topics import ensure_topics
from paperless.verification.log_reader import LogReader
from paperless.verification.positions import LoggedRecord, RefusedRecord
from paperless.verification.verify import RunParameters, Target, VerifyError, verify
from runtime.dead_letters import dead_letter
from runtime.settings import KafkaAccess
from services.vneid_mock.plan_files import load_plan
from tests.support.brokers import Broker
from tests.support.checkers_world import PARTITIONS, SEED, Log, submissions
from tests.support.fakes_runtime import Stored

pytestmark = pytest.mark.timeout(120)

DEAD = APPLICATIONS_SUBMITTED.dead_letter("intake")
RESTING = {"ready": True, "reasons": [], "open": 0, "unsent": 0, "lag": {}}


class Api:
    """The scoring API and a consumer's health in one: answers by path."""

    def __init__(self) -> None:
        self.answers: dict[str, Any] = {"/health": RESTING}
        api = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                found = api.answers.get(self.path)
                body = json.dumps(found).encode()
                self.send_response(404 if found is None else 200)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
                return

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    def serve(self, log: Log) -> None:
        """Answer as a store would that has taken the log's outcomes."""
        held = {str(number): len(content) for number, content in log.content().items()}
        self.answers["/reading"] = log.live().snapshot().to_json() | {"outcomes": held}
        for number, content in log.content().items():
            self.answers[f"/reading/{number}"] = {name: f"{value:016x}" for name, value in content.items()}

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def api() -> Iterator[Api]:
    api = Api()
    yield api
    api.close()


@pytest.fixture
async def identity(broker: Broker) -> str:
    return (await ensure_topics(broker.access, partitions=PARTITIONS)).log_identity


def sides(log: Log) -> list[tuple[str, dict[int, list[LoggedRecord]]]]:
    """The records of a log by topic and partition."""
    return [
        (APPLICATIONS_SUBMITTED.name, log.submitted),
        (APPLICATIONS_DECIDED.name, log.decided),
        (CORRECTIONS_REQUESTED.name, log.requested),
    ]


async def write(broker: Broker, log: Log) -> None:
    """Put a log of the world onto the broker; offsets come out the same."""
    async with AIOKafkaProducer(bootstrap_servers=broker.address, acks="all", linger_ms=5) as producer:
        for topic, side in sides(log):
            for number, records in side.items():
                for record in records:
                    await producer.send(topic, record.value, key=record.key, partition=number)
        for letter in log.letters:
            refused = Stored(letter.topic, letter.partition, letter.offset, 0, b"no id", b"{", ())
            _, key, value, headers = dead_letter(refused, topic=DEAD, reason=letter.reason, detail="value: no JSON")
            await producer.send(DEAD, value, key=key, partition=letter.partition, headers=headers)


def target(access: KafkaAccess, api: Api) -> Target:
    return Target(kafka=access, health_urls={"intake": api.url}, api_url=api.url)


def run_parameters() -> RunParameters:
    return RunParameters(plan=load_plan("mild").model_dump(mode="json"), seed=SEED)


async def test_a_partition_is_read_whole_and_in_order(broker, identity):
    log = Log.of(120)
    broken = log.submit(b"no id", b"{", partition=1)
    log.letters.append(RefusedRecord(APPLICATIONS_SUBMITTED.name, 1, broken.offset, "not_json"))
    await write(broker, log)
    async with LogReader(broker.access) as reader:
        for number in range(PARTITIONS):
            for topic, written in sides(log):
                pieces = [piece async for piece in reader.logged(topic, number)]
                assert [record for piece in pieces for record in piece] == written[number]
            letters = [letter for letter in log.letters if letter.partition == number]
            assert await reader.refused(number) == letters


async def test_an_empty_log_is_read_to_its_end(broker, identity):
    async with LogReader(broker.access) as reader:
        found = await reader.read([APPLICATIONS_SUBMITTED.name, DEAD], 0)
    assert found == {APPLICATIONS_SUBMITTED.name: [], DEAD: []}


async def test_a_good_log_and_store_are_ok(broker, identity, api):
    log = Log.of(120)
    await write(broker, log)
    api.serve(log)
    told: list[Message] = []
    verdict = await verify(
        target(broker.access, api),
        partitions=PARTITIONS,
        parameters=run_parameters(),
        log_identity=identity,
        progress=told.append,
    )
    assert verdict.ok, verdict
    assert (verdict.submitted, verdict.decided) == (120, 120)
    assert verdict.corrections.requested == sum(map(len, log.requested.values())) > 5
    assert told[-1] == message("verifying.recounted", done=PARTITIONS, partitions=PARTITIONS)


@pytest.mark.parametrize("arrived", [True, False])
async def test_a_misplaced_submission_is_looked_for_on_its_own_partition(broker, identity, api, *, arrived: bool):
    log = Log.of(120)
    key, value = submissions(120)[0]
    home = partition_of(key, PARTITIONS)
    if not arrived:
        log.submitted[home] = [record for record in log.submitted[home] if record.key != key]
        log.decided[home] = [record for record in log.decided[home] if record.key != key]
    record = log.submit(None, value, partition=1 - home)
    await write(broker, log)
    api.serve(log)
    verdict = await verify(target(broker.access, api), partitions=PARTITIONS, parameters=run_parameters())
    assert (verdict.ok, verdict.moved, verdict.lost) == (arrived, int(arrived), int(not arrived))
    place = f"{APPLICATIONS_SUBMITTED.name}/{record.partition}/{record.offset}"
    assert any(place in line for line in verdict.differences) is not arrived


async def test_a_store_behind_the_log_is_compared_one_by_one(broker, identity, api):
    log = Log.of(120)
    await write(broker, log)
    gone = log.decided[1].pop(7)
    api.serve(log)
    told: list[Message] = []
    verdict = await verify(
        target(broker.access, api), partitions=PARTITIONS, parameters=run_parameters(), progress=told.append
    )
    assert (verdict.ok, verdict.lost) == (False, 1)
    assert any((gone.key or b"").decode() in line for line in verdict.differences)
    assert message("verifying.comparing", partitions="1") in told


async def test_without_parameters_the_recount_is_the_reference(broker, identity, api):
    log = Log.of(60)
    await write(broker, log)
    api.serve(log)
    verdict = await verify(target(broker.access, api), partitions=PARTITIONS, parameters=None)
    assert (verdict.ok, verdict.recount_equals_oracle) == (True, None)


async def test_a_manifest_of_another_log_is_refused(broker, identity, api):
    with pytest.raises(VerifyError, match=f"of log another, the broker serves log {identity}"):
        await verify(
            target(broker.access, api), partitions=PARTITIONS, parameters=run_parameters(), log_identity="another"
        )


async def test_a_silent_scoring_api_is_named(broker, identity, api):
    with pytest.raises(VerifyError, match=rf"the scoring API at {api.url} does not answer.*is scoring_api running"):
        await verify(target(broker.access, api), partitions=PARTITIONS, parameters=run_parameters())


async def test_a_silent_broker_is_named_before_anything_else(api):
    address = f"127.0.0.1:{Ports().take('broker')}"
    with pytest.raises(VerifyError, match=f"broker {address}: no answer"):
        await verify(
            target(KafkaAccess(kafka_servers=address), api),
            partitions=PARTITIONS,
            parameters=run_parameters(),
            log_identity="x",
        )


async def test_the_backlog_of_the_owners_is_counted_over_the_log(broker, identity, tmp_path):
    log = Log.of(120)
    await write(broker, log)
    await write(broker, Log({}, {}, log.requested))
    result = tmp_path / "corrections.json"
    words = ["--kafka", broker.address, "--day", "2025-10-31", "--json", str(result)]
    ended = await asyncio.to_thread(CliRunner().invoke, app, ["corrections", *words])
    assert ended.exit_code == 0, ended.output
    told = json.loads(result.read_text("utf-8"))
    assert told["total"]["requested"] == sum(map(len, log.requested.values()))
    assert told["total"]["backlog"] + told["total"]["worked_off"] == told["total"]["requested"]
    assert {row["database"] for row in told["owners"]} <= load_domain().databases.keys()
