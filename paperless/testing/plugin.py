"""The pytest plugin of the extra `testing`: fixtures `kafka`, `postgres`, `postgres_server` and `paperless_system`.

It is loaded wherever the package is installed, with the extra or without. So what a fixture needs is imported when the
fixture is asked for.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from paperless.testing.kafka import KafkaContainer
    from paperless.testing.postgres import PostgresServer
    from paperless.testing.system import PaperlessSystem

EMBEDDED, CONTAINERS = "embedded", "containers"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option that says what `paperless_system` runs on."""
    text = "what `paperless_system` runs on: processes alone, or with Apache Kafka and PostgreSQL in containers"
    group = parser.getgroup("paperless")
    group.addoption("--paperless-on", choices=(EMBEDDED, CONTAINERS), default=EMBEDDED, help=text)


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


@pytest.fixture(scope="session")
def _paperless_session(
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
def paperless_system(_paperless_session: "PaperlessSystem") -> "Iterator[PaperlessSystem]":
    """The whole system, one for all tests of a session; a test leaves it with the fault plan that it began with."""
    yield _paperless_session
    _paperless_session.reset_plan()
