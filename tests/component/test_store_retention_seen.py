"""What operator, API and verify see of closed months."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from paperless.verification import verify
from paperless.verification.scoring_client import LiveStore
from services.scoring.api.app import create_app
from services.scoring.store.reader import StoreReader
from services.scoring.store.store import Store
from tests.component.retention_contract import HISTORY
from tests.support.scoring_examples import application_id

ROOT = Path(__file__).parents[2]


@pytest.fixture
def url(tmp_path):
    url = f"sqlite:///{tmp_path}/scoring.db"
    with Store(url) as store:
        store.apply(HISTORY)
    return url


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "services.scoring.store.retention", *arguments],
        cwd=ROOT, env=os.environ | environment, capture_output=True, text=True, timeout=50, check=False,
    )  # fmt: skip


def get(url: str, path: str) -> httpx.Response:
    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(create_app(StoreReader(url)))
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            return await client.get(path)

    return asyncio.run(ask())


def test_an_operator_closes_months_with_one_command(url):
    done = run("--keep-months", "1", SCORING_STORE=url)
    assert (done.returncode, done.stdout) == (0, f"{url}: months before 2025-10 are closed, 3 outcomes deleted\n"), done
    again = run("--before", "2025-09", url)
    assert "months before 2025-10 are closed, 0 outcomes deleted" in again.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "give one of --before YYYY-MM and --keep-months N"),
        (("--before", "2025-13"), "--before 2025-13: expected a month, for example 2025-10"),
        (("--before", "2026-01"), "the newest month, 2025-10, must stay open"),
    ],
)
def test_months_that_cannot_be_closed_are_named(url, arguments, said):
    refused = run(*arguments, url)
    assert refused.returncode == 2
    assert said in refused.stderr


def test_rates_of_closed_months_stay_and_their_applications_are_gone(url):
    before = get(url, "/rates?month=2025-08&authority=all").json()
    assert get(url, "/health").json()["closed_before"] is None
    run("--before", "2025-10", url)
    assert get(url, "/rates?month=2025-08&authority=all").json() == before
    assert before["total"]["applications"] == 2
    assert get(url, "/health").json()["closed_before"] == "2025-10"
    gone = get(url, f"/applications/{application_id(1)}")
    assert (gone.status_code, "deleted with its month" in gone.json()["detail"]) == (404, True)


def live_store(url: str) -> LiveStore:
    async def asked() -> LiveStore:
        transport = httpx.ASGITransport(create_app(StoreReader(url)))
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as api:
            return await verify.live_store(api)

    return asyncio.run(asked())


def test_verify_refuses_to_compare_what_was_deleted(url):
    assert sum(measures.n for measures in live_store(url).snapshot.cells.values()) == len(HISTORY)
    run("--before", "2025-10", url)
    with pytest.raises(verify.VerifyError, match="deleted the outcomes of the months before 2025-10"):
        live_store(url)
