"""A whole system for a test to work with: file an application, await its outcome, change how VNeID misbehaves."""

import asyncio
import json
import secrets
import subprocess
import time
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import httpx
from confluent_kafka import KafkaError, Producer

from contracts.events import ApplicationSubmitted
from contracts.records import header_maker, partition_of
from contracts.topics import APPLICATIONS_SUBMITTED, DEFAULT_PARTITIONS
from paperless.http_client import async_http_client, http_client
from paperless.local.broker_kinds import APACHE_KAFKA
from paperless.local.health import wait_ready
from paperless.local.layout import LayoutInputs, LocalOptions, ServiceSpec, environment, services
from paperless.local.ports import Ports
from paperless.local.processes import until_parent_ends
from paperless.local.system import start, stop
from paperless.operations.topics import ensure_topics
from paperless.supervise import COMMAND
from paperless.testing.kafka import KafkaContainer
from paperless.testing.postgres import PostgresServer
from runtime.settings import KafkaAccess
from services.scoring.api.models import Application

# A test that says nothing about faults meets none.
PLAN, SEED = "calm", 1
READY_WITHIN_S, STOP_WITHIN_S, SEND_WITHIN_S, REQUEST_TIMEOUT_S = 60.0, 15.0, 10.0, 5.0
POLL_S = 0.05
# A birth with four components. Of this citizen every database has matching data, whatever the seed and the plan.
TEMPLATE = files("contracts") / "examples" / APPLICATIONS_SUBMITTED.name / "birth-every-proof-by-data.json"
ALL_FOUND = "999099000001"
Result = TypeVar("Result")
_headers = header_maker("/testing", APPLICATIONS_SUBMITTED.event_type)


class Addresses(NamedTuple):
    """Where the parts of a system are reached: the broker as host:port, the others as http://…"""

    kafka: str
    scoring_api: str
    vneid_mock: str


class PaperlessSystem:
    """A running system; its log holds what all tests of the session have filed.

    Args:
        addresses: of its parts.
        logs: the folder of what its processes say.

    """

    def __init__(self, addresses: Addresses, logs: Path) -> None:
        self.addresses, self.logs = addresses, logs
        self._producer = Producer({"bootstrap.servers": addresses.kafka, "acks": "all"})

    def submit(self, **fields: Any) -> str:
        """File an application, and return its id when the broker has it.

        Args:
            fields: of `ApplicationSubmitted`, instead of those of an application that is decided end to end by data
                alone. Its id is new unless one is given.

        Raises:
            pydantic.ValidationError: the application breaks the contract; to file such a record, produce it to
                `addresses.kafka`.
            RuntimeError: the broker did not take it.

        """
        application = new_application(**fields)
        name = application.application_id
        key, value = name.encode(), application.model_dump_json().encode()
        place = partition_of(key, DEFAULT_PARTITIONS)
        headers: dict[str, str | bytes | None] = dict(_headers(f"{name}/submitted"))
        reports: list[KafkaError | None] = []
        self._producer.produce(
            APPLICATIONS_SUBMITTED.name,
            value,
            key,
            place,
            headers=headers,
            on_delivery=lambda error, _: reports.append(error),
        )
        self._producer.flush(SEND_WITHIN_S)
        if reports != [None]:
            why = reports or f"no answer within {SEND_WITHIN_S:g} s"
            raise RuntimeError(f"{self.addresses.kafka} did not take application {name}: {why}")
        return name

    async def outcome(self, application_id: str, *, within_s: float = 30.0) -> Application:
        """Return the outcome of an application as soon as the scoring API has one.

        An outcome that was presumed for want of answers may be followed by one that knows more: ask again.

        Raises:
            TimeoutError: it is not decided within this time; says where the services' logs are.
            httpx.HTTPError: the API does not answer, or answers with another error than 404.

        """
        deadline = time.monotonic() + within_s
        async with async_http_client(self.addresses.scoring_api, timeout_s=REQUEST_TIMEOUT_S) as api:
            while True:
                response = await api.get(f"/applications/{application_id}")
                if response.status_code != httpx.codes.NOT_FOUND:
                    return Application.model_validate_json(response.raise_for_status().content)
                if time.monotonic() > deadline:
                    message = f"application {application_id} is not decided after {within_s:g} s"
                    raise TimeoutError(f"{message}; the services' logs are in {self.logs}")
                await asyncio.sleep(POLL_S)

    def plan(self) -> dict[str, Any]:
        """Return the fault plan in force."""
        return self._control("GET", "/plan")

    def use_plan(self, name: str) -> dict[str, Any]:
        """Put a packaged fault plan in force (`calm`, `mild`, `rough`), and return it."""
        return self._control("PUT", "/plan", {"name": name})

    def change_plan(self, **fields: Any) -> dict[str, Any]:
        """Change some fields of the fault plan in force, and return it.

        Raises:
            ValueError: a field is unknown, or a value is out of its range; says what to do.

        """
        return self._control("PATCH", "/plan", fields)

    def reset_plan(self) -> dict[str, Any]:
        """Put the fault plan that the system started with back in force, and return it."""
        return self._control("POST", "/plan/reset")

    def _control(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        with http_client(self.addresses.vneid_mock, timeout_s=REQUEST_TIMEOUT_S) as mock:
            response = mock.request(method, path, json=body)
        if response.is_client_error:
            raise ValueError(response.json()["detail"])
        plan: dict[str, Any] = response.raise_for_status().json()["plan"]
        return plan


def new_application(**fields: Any) -> ApplicationSubmitted:
    """Return a valid application with these fields, the others those of a birth that is decided by data alone.

    Raises:
        pydantic.ValidationError: it breaks the contract.

    """
    template = json.loads(TEMPLATE.read_text("utf-8"))
    given = {**template, "application_id": _uuid7(), "citizen_number": ALL_FOUND, **fields}
    return ApplicationSubmitted.model_validate_json(json.dumps(given, default=str))


def _uuid7() -> str:
    """Return a new UUID of version 7 (RFC 9562): 48 bits of milliseconds since 1970, the rest drawn."""
    milliseconds, drawn = time.time_ns() // 1_000_000, secrets.token_hex(8)
    digits = f"{milliseconds:012x}7{drawn[:3]}8{drawn[3:6]}{secrets.token_hex(6)}"
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


@contextmanager
def system_in_processes(folder: Path, *, facts: Path | None = None) -> Iterator[PaperlessSystem]:
    """Run what `paperless up` runs: the embedded broker, SQLite and the services, as processes of this machine.

    It ends with the block, and with this process however that ends. Enter it in the main thread.

    Args:
        folder: of its state.
        facts: a folder of data files that the services read instead of the packaged ones.

    Raises:
        LocalSystemError: it does not become ready.

    """
    options = LocalOptions(state_dir=folder, seed=SEED, plan=PLAN, ready_within_s=READY_WITHIN_S, facts=facts)
    system = start(options, COMMAND, ends_with_us=True)
    try:
        state = system.state
        addresses = Addresses(state.address, state.endpoints["scoring_api"], state.endpoints["vneid_mock"])
        yield PaperlessSystem(addresses, system.directory.logs)
    finally:
        stop(folder)


@contextmanager
def system_in_containers(folder: Path) -> Iterator[PaperlessSystem]:
    """Run Apache Kafka and PostgreSQL in containers of their own, and the services as processes of this machine.

    The processes end with the block, and with this process however that ends. Enter it in the main thread.

    Raises:
        LocalSystemError: a service does not become ready.

    """
    with (
        KafkaContainer() as broker,
        PostgresServer() as server,
        _services_on(broker.address(), server.create_database(), folder) as system,
    ):
        yield system


@contextmanager
def _services_on(kafka: str, store_url: str, folder: Path) -> Iterator[PaperlessSystem]:
    _run(ensure_topics(KafkaAccess(kafka_servers=kafka)))
    inputs = LayoutInputs(
        options=LocalOptions(state_dir=folder, seed=SEED, plan=PLAN),
        kafka_servers=kafka,
        capabilities=APACHE_KAFKA,
        store_url=store_url,
        signing_key=secrets.token_urlsafe(32),
        ports=Ports(),
    )
    specs = services(inputs)
    with _processes(specs, folder):
        _run(wait_ready(specs, lambda name: folder / f"{name}.log", READY_WITHIN_S))
        urls = {spec.name: spec.url for spec in specs}
        yield PaperlessSystem(Addresses(kafka, urls["scoring_api"], urls["vneid_mock"]), folder)


def _run(work: Coroutine[Any, Any, Result]) -> Result:
    """Return what the work returns; in a thread of its own, because this one may have an event loop already."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, work).result()


@contextmanager
def _processes(specs: Sequence[ServiceSpec], folder: Path) -> Iterator[None]:
    processes: list[subprocess.Popen[bytes]] = []
    try:
        for spec in specs:
            with (folder / f"{spec.name}.log").open("wb") as log:
                argv = until_parent_ends(spec.argv)
                own = environment(spec.env)
                processes.append(subprocess.Popen(argv, stdout=log, stderr=log, env=own))  # noqa: S603  our own command
        yield
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    try:
        process.wait(STOP_WITHIN_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
