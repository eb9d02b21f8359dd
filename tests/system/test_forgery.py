"""Outcomes that nobody decided, outcomes that nobody can read, and a store of another log."""

import json
import os
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import closing

import pytest

from tests.system.front_door import System, alive, differs, eventually
from tests.system.kafka import Forged, first_value, produce

pytestmark = pytest.mark.timeout(180)

DECIDED = "applications.decided"
STRANGER = "0199bf9f-4fe8-7999-8999-999999999999"


@pytest.fixture
def small(tmp_path) -> Iterator[System]:
    system = System(tmp_path)
    system.must("up", "--plan", "calm")
    pids = system.pids()
    try:
        system.must("send", "--applications", 200)
        yield system
    finally:
        system.run("down")
    assert alive(pids) == []


def test_forged_outcomes_are_each_named(small):
    genuine = first_value(small.state["address"], DECIDED, 2)
    outcome = json.loads(genuine)
    # It claims to know more than the true one, and so overrules it.
    better = {**outcome, "revision": outcome["revision"] + 1, "outcome": "stopped"}
    stranger = {**outcome, "application_id": STRANGER}
    produce(
        small.state["address"],
        DECIDED,
        [
            Forged(STRANGER.encode(), json.dumps(stranger).encode()),
            Forged(outcome["application_id"].encode(), json.dumps(better).encode()),
            Forged(b"nobody", b"{", partition=5),
        ],
    )
    code, verdict = small.verify()
    assert code == 1
    assert verdict["readings"] == "live = recount ≠ oracle"
    assert differs(verdict, STRANGER, "no submission")
    assert differs(verdict, outcome["application_id"], "differs from the oracle's")
    assert differs(verdict, "dead letter at scoring", f"{DECIDED}/5/", "not_json")


def test_a_store_of_another_log_ends_the_run(small):
    pid = small.pid("scoring")
    with closing(sqlite3.connect(small.folder / "scoring.db", isolation_level=None, timeout=20)) as store:
        store.execute("UPDATE meta SET value = 'another-log' WHERE key = 'log_identity'")
    pids = small.pids()
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: alive(pids) == [])
    ended = small.run("verify")
    assert ended.code == 2
    assert "scoring refused to go on (exit code 78)" in ended.err
    assert "belongs to log another-log" in ended.err
    assert "Traceback" not in ended.err
