"""A broker that hangs in the middle: named at once, by every service and by who waits, and over when it is back."""

import signal
from typing import Any

import psutil
import pytest

from paperless.http_client import http_client
from tests.system.front_door import System, eventually, start

pytestmark = pytest.mark.timeout(240)

APPLICATIONS = 2_000
CONSUMERS = ("intake", "vneid_mock", "scoring")


@pytest.fixture
def system(tmp_path):
    system = System(tmp_path / "run")
    system.must("up", "--plan", "calm")
    yield system
    system.must("down")


def named(system: System) -> bool:
    """Every consumer says that the broker is away."""
    return all("broker unreachable" in reasons(system, name) for name in CONSUMERS)


def recovered(system: System) -> bool:
    return not any(reasons(system, name) for name in CONSUMERS)


def reasons(system: System, name: str) -> list[str]:
    with http_client(system.state["endpoints"][name], timeout_s=10) as client:
        answer: dict[str, Any] = client.get("/health").json()
    found: list[str] = answer["reasons"]
    return found


def test_a_broker_that_hangs_is_named_and_what_waits_for_it_goes_on_by_itself(system, tmp_path):
    broker, out = psutil.Process(system.state["processes"]["broker"]["pid"]), tmp_path / "send.txt"
    sending = start("send", "--state", system.folder, "--applications", APPLICATIONS, "--pace", 20, out=out)
    eventually(lambda: system.decided() > 0)
    broker.send_signal(signal.SIGSTOP)
    try:
        eventually(lambda: named(system))
        eventually(lambda: "broker unreachable" in out.read_text("utf-8"))
        status = system.run("status")
        assert status.code == 2
        assert status.out.count("broker unreachable") >= len(CONSUMERS)
        assert "not ready: " in status.err
    finally:
        broker.send_signal(signal.SIGCONT)
    eventually(lambda: recovered(system))
    assert sending.wait(120) == 0
    ended = system.run("verify", within_s=180)
    assert ended.code == 0, ended
    assert "verdict: ok" in ended.out
