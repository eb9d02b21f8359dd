"""What a compose project is refused for before anything starts."""

import socket
from collections.abc import Iterator

import pytest

from paperless.operations.preflight import PreflightError, PublishedPort, check_ports, published_ports, use_of

API = PublishedPort("PAPERLESS_API_PORT", 8104)
MOCK = PublishedPort("PAPERLESS_MOCK_PORT", 8102)
KAFKA = PublishedPort("PAPERLESS_KAFKA_PORT", 9092)


@pytest.fixture
def listening() -> Iterator[int]:
    """A port of 127.0.0.1 where something listens that never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_the_ports_are_those_that_the_variables_name():
    named = {"PAPERLESS_MOCK_PORT": "8102", "PAPERLESS_API_PORT": "8104", "PAPERLESS_SEED": "1", "PORT": "x"}
    assert published_ports(named) == [API, MOCK]


@pytest.mark.parametrize("value", ["", "0", "65536", "-1", "http", "8104.0", "٨١٠٤", " 8104"])
def test_what_is_no_port_is_refused_with_its_variable(value):
    with pytest.raises(PreflightError, match=f"PAPERLESS_API_PORT={value}: no port; use a number from 1 to 65535"):
        published_ports({"PAPERLESS_API_PORT": value})


def test_a_taken_port_is_refused_with_its_variable_and_a_way_out():
    with pytest.raises(PreflightError) as refused:
        check_ports([API, MOCK], ["taken", "free"])
    assert str(refused.value).startswith("PAPERLESS_API_PORT=8104: something else listens on 127.0.0.1:8104")
    assert "PAPERLESS_API_PORT=18104 docker compose up" in str(refused.value)
    assert "MOCK" not in str(refused.value)


def test_two_variables_with_one_port_are_refused():
    with pytest.raises(PreflightError, match="PAPERLESS_MOCK_PORT=8104: PAPERLESS_API_PORT has this port already"):
        check_ports([API, MOCK._replace(port=8104)], ["free", "free"])


def test_a_project_that_runs_already_may_be_started_again():
    assert check_ports([API, MOCK], ["ours", "free"]) == []


def test_a_broker_that_may_be_another_ones_is_named():
    (line,) = check_ports([API, KAFKA], ["free", "kafka"])
    assert line.startswith("PAPERLESS_KAFKA_PORT=9092: a Kafka broker answers there")


def test_where_something_listens_that_is_neither_ours_nor_kafka_the_port_is_taken(listening):
    assert use_of(listening) == "taken"


def test_where_nobody_listens_the_port_is_free():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    assert use_of(port) == "free"
