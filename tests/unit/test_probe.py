"""A container's health check: 200 is healthy, and anything else says why."""

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest

from simulation.probe import HEALTHY, UNHEALTHY, USAGE, probe


class _Service(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/health" else 503)
        self.end_headers()
        self.wfile.write(b"no partition is assigned")

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture
def url() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), _Service) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_service_that_answers_200_is_healthy(url, capsys):
    assert probe(f"{url}/health") == HEALTHY
    assert capsys.readouterr().err == ""


def test_a_service_that_is_not_ready_says_why(url, capsys):
    assert probe(f"{url}/unready") == UNHEALTHY
    assert "answers 503: no partition is assigned" in capsys.readouterr().err


def test_a_service_that_is_not_there_is_unhealthy(capsys):
    assert probe("http://127.0.0.1:1/health") == UNHEALTHY
    assert "does not answer" in capsys.readouterr().err


@pytest.mark.parametrize("wrong", ["", "127.0.0.1:8101", "ftp://127.0.0.1/health"])
def test_what_is_no_address_is_a_usage_error(wrong):
    assert probe(wrong) == USAGE
