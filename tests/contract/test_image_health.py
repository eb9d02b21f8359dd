"""The image's health check: 200 is healthy, and anything else says why."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

HEALTHY = Path(__file__).parents[2] / "deploy" / "image" / "healthy"


@contextmanager
def answering(status: int, body: bytes) -> Iterator[int]:
    class Service(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/health" else 404)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            return

    with HTTPServer(("127.0.0.1", 0), Service) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def check(port: int) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([HEALTHY, str(port)], capture_output=True, text=True, timeout=30, check=False)


def test_a_service_that_answers_200_is_healthy():
    with answering(200, b"{}") as port:
        assert (check(port).returncode, check(port).stdout) == (0, "")


def test_a_service_that_is_not_ready_says_why():
    with answering(503, b"no partition is assigned") as port:
        found = check(port)
    assert found.returncode == 1
    assert "answers 503" in found.stdout
    assert "no partition is assigned" in found.stdout


def test_a_service_that_is_not_there_is_unhealthy():
    found = check(1)
    assert found.returncode == 1
    assert "refused" in found.stderr
