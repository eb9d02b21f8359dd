"""Addresses of stores: what is accepted, and that a password is never shown."""

import socket

import psycopg
import pytest

from services.scoring.api.settings import ScoringApiSettings
from services.scoring.settings import ScoringSettings
from services.scoring.store.engines import open_session, shown
from services.scoring.store.errors import (
    StoreDamagedError,
    StoreError,
    StoreForbiddenError,
    StoreRefusesError,
    StoreUnavailableError,
)
from services.scoring.store.postgres import PostgresSession
from services.scoring.store.store import Store

SECRET = "tr0ub4dor"
ADDRESS = f"postgresql://writer:{SECRET}@127.0.0.1:5432/paperless?sslmode=prefer"
WRONG = [
    f"mysql://writer:{SECRET}@db/paperless",
    f"postgresql://writer:{SECRET}@7@db/paperless",
    f"postgresql://writer:{SECRET}/7@db/paperless",
    f"postgresql://writer@db/paperless?password={SECRET}&colour=red",
    f"postgresql+psycopg://writer:{SECRET}@db/paperless",
    SECRET,
]


def test_an_address_is_shown_without_its_password():
    assert shown(ADDRESS) == "postgresql://writer@127.0.0.1:5432/paperless"
    assert shown(f"postgresql://writer@db/paperless?password={SECRET}") == "postgresql://writer@db/paperless"
    assert shown("sqlite:////var/lib/scoring.db") == "sqlite:////var/lib/scoring.db"


@pytest.mark.parametrize("address", WRONG)
def test_an_address_that_is_none_is_refused_without_repeating_it(address):
    with pytest.raises(ValueError, match=r"expected .*postgresql://user@host:5432/database") as refused:
        open_session(address)
    assert SECRET not in str(refused.value)
    assert SECRET not in shown(address)


def test_settings_and_sessions_keep_the_password_to_themselves():
    settings = ScoringSettings(store=ADDRESS)
    for text in (
        repr(settings),
        str(settings.masked()),
        repr(ScoringApiSettings(store=ADDRESS)),
        repr(open_session(ADDRESS)),
    ):
        assert SECRET not in text


def test_a_password_may_come_from_a_file(tmp_path, monkeypatch):
    (tmp_path / "password").write_text(f"{SECRET}\n")
    monkeypatch.setenv("SCORING_STORE_PASSWORD_FILE", str(tmp_path / "password"))
    password = ScoringSettings().store_password
    session = open_session("postgresql://writer@db/paperless", password=password)
    assert isinstance(session, PostgresSession)
    assert session._parameters["password"] == SECRET
    assert SECRET not in repr(ScoringSettings())


def test_a_server_that_is_not_there_is_unavailable_and_named():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(
        StoreUnavailableError, match=rf"postgresql://writer@127\.0\.0\.1:{port}/db: .*refused"
    ) as refused:
        Store(f"postgresql://writer:{SECRET}@127.0.0.1:{port}/db")
    assert SECRET not in str(refused.value)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (psycopg.errors.DeadlockDetected("deadlock"), StoreUnavailableError),
        (psycopg.errors.SerializationFailure("serialize"), StoreUnavailableError),
        (psycopg.errors.LockNotAvailable("lock"), StoreUnavailableError),
        (psycopg.errors.QueryCanceled("statement timeout"), StoreUnavailableError),
        (psycopg.errors.AdminShutdown("shutdown"), StoreUnavailableError),
        (psycopg.errors.DiskFull("disk"), StoreUnavailableError),
        (psycopg.errors.ReadOnlySqlTransaction("standby"), StoreUnavailableError),
        (psycopg.errors.InsufficientPrivilege("denied"), StoreForbiddenError),
        (psycopg.errors.UndefinedTable("no table"), StoreDamagedError),
        # The row, not the store: it is set aside alone, and a run of them stops the line.
        (psycopg.errors.NotNullViolation("null"), StoreRefusesError),
        (psycopg.errors.NumericValueOutOfRange("number"), StoreRefusesError),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_errors_of_the_server_say_whether_trying_again_helps(error, kind):
    session = open_session(ADDRESS)
    assert isinstance(session, PostgresSession)
    # As if connected: without a connection every error is one of the connection.
    session._open = type("Connection", (), {"closed": False})()
    with pytest.raises(StoreError) as found, session.errors():
        raise error
    assert type(found.value) is kind
