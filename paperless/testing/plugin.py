"""The pytest plugin of the extra `testing`: fixtures `kafka`, `postgres`, `postgres_server` and `paperless_system`.

It is loaded wherever the package is installed, with the extra or without. So what a fixture needs is imported when the
fixture is asked for.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal

import pytest

if TYPE_CHECKING:
    from paperless.testing.kafka import KafkaContainer
    from paperless.testing.postgres import PostgresServer
    from paperless.testing.system import PaperlessSystem

EMBEDDED, CONTAINERS = "embedded", "containers"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add what `paperless_system` runs on, and how long it serves."""
    text = "what `paperless_system` runs on: processes alone, or with Apache Kafka and PostgreSQL in containers"
    group = parser.getgroup("paperless")
    group.addoption("--paperless-on", choices=(EMBEDDED, CONTAINERS), default=EMBEDDED, help=text)
    text = "how long a `paperless_system` serves; an idle one takes a third of a processor"
    group.addoption("--paperless-scope", choices=("session", "module"), default="session", help=text)


def _scope(fixture_name: str, config: pytest.Config) -> Literal["session", "module"]:  # noqa: ARG001  pytest passes both
    scope: Literal["session", "module"] = config.getoption("paperless_scope")
    return scope


@contextmanager
def _extra() -> Iterator[None]:
    try:
        yield
    except ModuleNotFoundError as error:
        pytest.fail(f'{error.name} is not installed; pip install "paperless[testing]"', pytrace=False)


@pytest.fixture(scope="session")
def kafka() -> "Iterator[KafkaContainer]":
    """Apache Kafka in a container, one for all tests of a session; `wipe` it where a test expects an empty one."""
    with _extra():
        from paperless.testing.engine import need_engine
        from paperless.testing.kafka import KafkaContainer
    need_engine()
    with KafkaContainer() as container:
        yield container


@pytest.fixture(scope="session")
def postgres_server() -> "Iterator[PostgresServer]":
    """PostgreSQL in a container, one server for all tests of a session."""
    with _extra():
        from paperless.testing.engine import need_engine
        from paperless.testing.postgres import PostgresServer
    need_engine()
    with PostgresServer() as server:
        yield server


@pytest.fixture
def postgres(postgres_server: "PostgresServer") -> Iterator[str]:
    """The superuser's address of an empty database of this test's own."""
    url = postgres_server.create_database()
    yield url
    postgres_server.drop_database(url)


@pytest.fixture(scope=_scope)
def _running_system(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> "Iterator[PaperlessSystem]":
    with _extra():
        from paperless.testing.engine import need_engine
        from paperless.testing.system import system_in_containers, system_in_processes
    in_containers = request.config.getoption("paperless_on") == CONTAINERS
    if in_containers:
        need_engine()
    run = system_in_containers if in_containers else system_in_processes
    with run(tmp_path_factory.mktemp("paperless")) as system:
        yield system


@pytest.fixture
def paperless_system(_running_system: "PaperlessSystem") -> "Iterator[PaperlessSystem]":
    """The whole system, one for a session or a module; each test leaves it with the fault plan that it began with."""
    yield _running_system
    _running_system.reset_plan()
