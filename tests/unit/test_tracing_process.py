"""What tracing is to a process: not even loaded without an endpoint, and its ids in the lines of the log with one."""

import json
import os
import subprocess
import sys

import pytest

from runtime.tracing import Tracing, open_tracing
from runtime.tracing.recording import Recording

LOGS = """
import logging, threading
import structlog
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from runtime.logs import configure
from runtime.tracing.recording import Recording, current

configure("intake", "INFO")
log = structlog.get_logger("runtime.processor")
recording = Recording("intake", SimpleSpanProcessor(InMemorySpanExporter()))
log.info("outside")
# What it asks every second is no news.
logging.getLogger("httpx").info("a request")
with current(recording._tracer.start_span("process t")):
    log.warning("inside", citizen_number="001")
    logging.getLogger("aiokafka").warning("inside a library")
thread = threading.Thread(target=lambda: logging.getLogger("opentelemetry").error("from a thread"))
thread.start()
thread.join()
try:
    1 / 0
except ZeroDivisionError:
    log.exception("over\\nseveral lines")
"""
LOADED = """
import sys
from services.intake import app as intake
from services.intake.settings import IntakeSettings
from paperless.traffic import driver
intake.build(IntakeSettings())
print(sorted(name for name in sys.modules if name.startswith(("opentelemetry.sdk", "opentelemetry.exporter"))))
"""


def run(code: str, **env: str) -> subprocess.CompletedProcess[str]:
    bare = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    return subprocess.run(
        [sys.executable, "-c", code], env={**bare, **env}, capture_output=True, text=True, check=True, timeout=50
    )


def test_lines_inside_a_span_lead_to_its_trace():
    lines = [json.loads(line) for line in run(LOGS).stderr.splitlines()]
    assert [line["event"] for line in lines] == [
        "outside",
        "inside",
        "inside a library",
        "from a thread",
        "over\nseveral lines",
    ]
    assert all(line["service"] == "intake" and line["timestamp"].endswith("Z") for line in lines)
    assert [line["level"] for line in lines] == ["info", "warning", "warning", "error", "error"]
    with_ids = [line["event"] for line in lines if "trace_id" in line]
    assert with_ids == ["inside", "inside a library"]
    assert {len(line["trace_id"]) for line in lines if "trace_id" in line} == {32}
    assert {len(line["span_id"]) for line in lines if "span_id" in line} == {16}
    assert "citizen_number" not in lines[1]
    assert "ZeroDivisionError" in lines[4]["exception"]


def test_without_an_endpoint_nothing_of_tracing_is_loaded():
    assert run(LOADED).stdout.strip() == "[]"
    assert "opentelemetry.sdk.trace" in run(LOADED, OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9").stdout


@pytest.mark.parametrize(
    ("variables", "records"),
    [
        ({}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": ""}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://127.0.0.1:9/v1/traces"}, True),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "OTEL_SDK_DISABLED": "true"}, False),
    ],
)
def test_an_endpoint_turns_tracing_on(monkeypatch, variables, records):
    for name in ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_SDK_DISABLED"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    tracing = open_tracing("intake")
    assert isinstance(tracing, Tracing)
    assert isinstance(tracing, Recording) is records
    tracing.stop()
