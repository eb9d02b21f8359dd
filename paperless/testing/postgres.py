"""PostgreSQL in a container for tests: one server, and a fresh database for each test; docs/testing.md shows it.

Needs testcontainers and psycopg, nothing else of this project. The server starts in 3 to 5 s and is published on a port
of 127.0.0.1 only; a database is created in 0.1 s.
"""

import itertools
import secrets
from typing import Any

import psycopg
from psycopg import sql
from testcontainers.core.container import DockerContainer
from testcontainers.core.wait_strategies import ExecWaitStrategy

from paperless.testing.engine import free_port

IMAGE = "postgres:17"
START_WITHIN_S = 60
# Over TCP: while the image prepares its files, the server listens on a socket only.
READY = ["pg_isready", "--quiet", "--host=127.0.0.1", "--username=postgres"]
# A database of tests need not survive the machine; it survives everything that happens to the server.
FAST = "postgres -c fsync=off -c max_connections=200"


class PostgresServer(DockerContainer):
    """One PostgreSQL server; `with` starts and removes it, with its files."""

    def __init__(self, command: str = FAST, **options: Any) -> None:
        self._ready = ExecWaitStrategy(READY).with_startup_timeout(START_WITHIN_S)
        super().__init__(IMAGE, _wait_strategy=self._ready, **options)
        self._port = free_port()
        self._numbers = itertools.count(1)
        self.password = secrets.token_urlsafe(12)
        # Not `with_bind_ports`, which would publish on every address; and a port of our choice survives a restart.
        self.ports["5432/tcp"] = ("127.0.0.1", self._port)  # type: ignore[assignment]  # the engine takes it
        self.env |= {"POSTGRES_PASSWORD": self.password, "POSTGRES_INITDB_ARGS": "--locale=C.UTF-8"}
        self.with_command(command)

    def url(self, database: str = "postgres", *, user: str = "postgres", password: str | None = None) -> str:
        """Return the address of a database for a user, by default the superuser."""
        return f"postgresql://{user}:{password or self.password}@127.0.0.1:{self._port}/{database}"

    def create_database(self, name: str | None = None, *, template: str = "template1") -> str:
        """Create a database, as a copy of another one to which nobody is connected, and return its address."""
        name = name or f"test_{next(self._numbers)}"
        self.execute(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(template)))
        return self.url(name)

    def drop_database(self, url: str) -> None:
        """Drop a database and whoever is connected to it."""
        name = url.rpartition("/")[2]
        self.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))

    def execute(self, statement: str | sql.Composed, url: str | None = None) -> list[tuple[Any, ...]]:
        """Run a statement as the superuser, outside any transaction, and return its rows if it has some."""
        with psycopg.connect(url or self.url(), autocommit=True) as connection:
            found = connection.execute(statement.encode() if isinstance(statement, str) else statement)
            return found.fetchall() if found.description else []

    def kill_backends(self, application: str, *, in_transaction: bool = False) -> int:
        """End connections of an application from the server's side, all or those with an open transaction.

        Returns:
            How many there were.

        """
        query = sql.SQL(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = {}"
            " AND (xact_start IS NOT NULL OR NOT {})"
        )
        return len(self.execute(query.format(application, in_transaction)))

    def restart(self) -> None:
        """Restart the server as an operator would: connections end, committed transactions stay."""
        self.get_wrapped_container().restart(timeout=30)
        self._ready.wait_until_ready(self)

    def run_inside(self, command: str) -> bytes:
        """Run a shell command in the container (`pg_dump …`) and return its output.

        Raises:
            RuntimeError: it failed; with its output.

        """
        ran = self.get_wrapped_container().exec_run(["bash", "-o", "pipefail", "-c", command], user="postgres")
        output: bytes = ran.output  # type: ignore[assignment]  # neither a stream nor a socket was asked for
        if ran.exit_code:
            raise RuntimeError(f"{command}: exit code {ran.exit_code}: {output.decode(errors='replace')}")
        return output
