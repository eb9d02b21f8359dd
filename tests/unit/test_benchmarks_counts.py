import asyncio
import time

import pytest

from benchmarks.counts import flow_counts, kind_of
from benchmarks.virtual_time import run_virtually
from services.scoring.store import sqlite

APPLICATIONS = 1_500


@pytest.fixture(scope="module")
def counts() -> dict[str, float]:
    return flow_counts(APPLICATIONS)


def test_the_same_program_counts_the_same(counts):
    assert flow_counts(APPLICATIONS) == counts


def test_every_application_is_submitted_and_stored_once(counts):
    assert counts["records.applications.submitted"] == 1000
    assert counts["sql.insert_outcome"] >= 1000
    assert 1000 <= counts["records.applications.decided"] < 1050


def test_broker_and_store_are_asked_by_the_batch(counts):
    asked = [count for name, count in counts.items() if name.endswith((".fetches", ".commits"))]
    assert len(asked) == 6
    assert 0 < max(asked) < 50


def test_a_store_that_looks_up_in_smaller_portions_shows_in_the_counts(counts, monkeypatch):
    monkeypatch.setattr(sqlite, "LOOKUP_IDS", 50)
    assert flow_counts(APPLICATIONS)["sql.select_outcome"] > 1.5 * counts["sql.select_outcome"]


@pytest.mark.parametrize(
    ("statement", "kind"),
    [
        ("INSERT INTO cell (month) VALUES ('2025-10') ON CONFLICT (month) DO UPDATE SET n = 1", "insert_cell"),
        ("SELECT application_id, revision FROM outcome WHERE application_id IN ('a')", "select_outcome"),
        ("UPDATE outcome SET conflict = 1 WHERE application_id = 'a'", "update_outcome"),
        ("DELETE FROM cell WHERE n = 0", "delete_cell"),
        ("BEGIN IMMEDIATE", "begin"),
    ],
)
def test_statements_are_told_apart_by_what_they_do(statement, kind):
    assert kind_of(statement) == kind


def test_hours_of_waiting_pass_at_once():
    began = time.monotonic()
    seen = []

    async def waiting() -> None:
        await asyncio.sleep(3600)
        seen.append(asyncio.get_running_loop().time())

    run_virtually(waiting)
    assert seen == [pytest.approx(3600, abs=1)]
    assert time.monotonic() - began < 30


def test_waiting_for_what_cannot_happen_ends_with_an_error():
    with pytest.raises(RuntimeError, match="never happen"):
        run_virtually(lambda: asyncio.get_running_loop().create_future())
