import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from paperless.http_client import http_client
from services.scoring.store.store import Store
from tests.support.scoring_examples import as_log, decided

ROOT = Path(__file__).parents[2]


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "services.scoring.api", *arguments]


def environment(**settings: str) -> dict[str, str]:
    return os.environ | {f"SCORING_API_{name}": value for name, value in settings.items()}


@contextmanager
def running(**settings: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    with subprocess.Popen(
        command(), cwd=ROOT, env=environment(**settings), stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stderr is not None
            lines = (json.loads(line) for line in process.stderr)
            yield process, next(line["address"] for line in lines if "address" in line)
        finally:
            process.kill()


def get(url: str, **headers: str) -> httpx.Response:
    with http_client(url, timeout_s=5, headers=headers) as client:
        return client.get(url)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_api_stops_cleanly_when_told_to(tmp_path, number):
    url = f"sqlite:///{tmp_path}/scoring.db"
    with Store(url) as store:
        store.apply(as_log([decided(1)]))
    with running(STORE=url, HTTP_PORT="0") as (process, address):
        assert get(f"{address}/rates?authority=all").json()["total"]["applications"] == 1
        process.send_signal(number)
        assert process.wait(20) == 0


def test_a_taken_port_is_named_with_what_to_do(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        found = refused(STORE=f"sqlite:///{tmp_path}/scoring.db", HTTP_PORT=port)
    assert f"SCORING_API_HTTP_PORT {port}" in found
    assert "choose another" in found


def test_a_wrong_setting_is_named():
    assert "SCORING_API_HTTP_PORT" in refused(HTTP_PORT="many")
    assert "SCORING_API_STORE" in refused(STORE="mysql://localhost", HTTP_PORT="0")


def test_an_api_that_others_reach_refuses_to_start_open(tmp_path):
    found = refused(78, STORE=f"sqlite:///{tmp_path}/scoring.db", HTTP_HOST="0.0.0.0", HTTP_PORT="0")
    assert "SCORING_API_TOKENS_FILE" in found
    assert "SCORING_API_OPEN=true" in found


def test_a_token_file_that_is_not_there_is_named(tmp_path):
    assert "no-tokens" in refused(TOKENS_FILE=str(tmp_path / "no-tokens"), HTTP_PORT="0")


def test_tokens_from_a_file_guard_the_api_and_overlong_headers_are_refused(tmp_path):
    tokens = tmp_path / "tokens"
    tokens.write_text("the-first-long-token\nthe-second-long-token\n", "utf-8")
    store = f"sqlite:///{tmp_path}/scoring.db"
    Store(store).close()
    with running(STORE=store, HTTP_PORT="0", TOKENS_FILE=str(tokens)) as (_, address):
        assert get(f"{address}/rates").status_code == 401
        assert get(f"{address}/health").status_code == 200
        token = {"authorization": "Bearer the-second-long-token"}
        answer = get(f"{address}/rates", **token)
        assert (answer.status_code, answer.headers.get("server")) == (200, None)
        assert get(f"{address}/rates", **token, x_long="x" * 40_000).status_code == 431


def test_the_api_answers_to_the_names_that_it_is_told(tmp_path):
    store = f"sqlite:///{tmp_path}/scoring.db"
    with running(STORE=store, HTTP_PORT="0", ALLOWED_HOSTS="a.example, b.example") as (_, at):
        hosts: tuple[dict[str, str], ...] = (
            {},
            {"host": "localhost"},
            {"host": "a.example:80"},
            {"host": "b.example"},
            {"host": "c.example"},
        )
        with http_client(at, timeout_s=5) as client:
            answers = [client.get("/openapi.json", headers=host).status_code for host in hosts]
    assert answers == [200, 200, 200, 200, 421]


def refused(code: int = 2, /, **settings: str) -> str:
    process = subprocess.run(
        command(), cwd=ROOT, env=environment(**settings), capture_output=True, text=True, timeout=30, check=False
    )
    assert process.returncode == code, process.stderr
    return process.stderr


def test_help_shows_an_example():
    process = subprocess.run(command("--help"), cwd=ROOT, capture_output=True, text=True, timeout=30, check=True)
    assert "python -m services.scoring.api" in process.stdout
