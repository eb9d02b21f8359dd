"""Where to look is said as it is typed: on this machine, and by who is in a container."""

import io

from rich.console import Console

from paperless.cli.options import System
from paperless.cli.signposts import signposts
from paperless.cli.terminal import Terminal
from paperless.language import texts
from runtime.settings import KafkaAccess

ENDPOINTS = {"vneid_mock": "http://vneid-mock:8102", "scoring_api": "http://scoring-api:8104"}
SYSTEM = System(KafkaAccess(kafka_servers="kafka:9092"), ENDPOINTS, idempotent_producer=True)


def test_addresses_are_those_that_the_command_uses(tmp_path):
    posts = signposts(SYSTEM, tmp_path)
    assert posts.places == {
        "api": "http://scoring-api:8104/docs",
        "mock": "http://vneid-mock:8102/docs",
        "kafka": "kafka:9092",
        "status": "paperless status",
    }


def test_who_is_in_a_container_is_told_what_is_typed_outside(tmp_path, monkeypatch):
    for name, shown in {
        "COMMAND": "docker compose run --rm demo paperless",
        "LOGS": "docker compose logs",
        "STOP": "docker compose down",
        "API": "http://127.0.0.1:8104",
        "MOCK": "http://127.0.0.1:8102",
        "KAFKA": "kcat -b 127.0.0.1:9092 -L",
    }.items():
        monkeypatch.setenv(f"PAPERLESS_SHOWN_{name}", shown)
    file = io.StringIO()
    signposts(SYSTEM, tmp_path).show(Terminal(texts("vi"), Console(file=file, width=80)))
    assert [" ".join(line.split()) for line in file.getvalue().splitlines()] == [
        "xem ở đâu",
        "nhật ký docker compose logs",
        "tỷ lệ http://127.0.0.1:8104/docs",
        "VNeID http://127.0.0.1:8102/docs",
        "Kafka kcat -b 127.0.0.1:9092 -L",
        "trạng thái docker compose run --rm demo paperless status",
        "dừng docker compose down",
    ]


def test_the_page_comes_first(tmp_path):
    system = SYSTEM._replace(endpoints={**ENDPOINTS, "portal": "http://portal:8100"})
    assert next(iter(signposts(system, tmp_path).places.items())) == ("page", "http://portal:8100/")
