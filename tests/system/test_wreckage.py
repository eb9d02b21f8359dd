"""One run through the worst: every service killed in the middle of it, and malformed records among the applications."""

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from tests.system.front_door import System, alive, eventually, start
from tests.system.kafka import Forged, first_value, produce

pytestmark = pytest.mark.timeout(240)

APPLICATIONS = 8_000
MISPLACED = 12
SUBMITTED = "applications.submitted"
# Each is killed once so many applications are decided.
KILLS = {"intake": 400, "vneid_mock": 1_600, "scoring": 2_800, "scoring_api": 4_000}


name = "0199bf9f-4fe8-7999-8999-99999999999{}".format


def changed(valid: bytes, digit: int, **changes: Any) -> Forged:
    """A submission of an application of its own, with other fields or (`...`) without them."""
    fields = {**json.loads(valid), "application_id": name(digit), **changes}
    kept = {key: value for key, value in fields.items() if value is not ...}
    return Forged(name(digit).encode(), json.dumps(kept).encode())


def misplaced(valid: bytes) -> list[Forged]:
    """One submission without a key and under another's, each on every partition."""
    filed = changed(valid, 3)
    return [filed._replace(key=key, partition=number) for key in (None, b"somebody else") for number in range(6)]


def malformed(valid: bytes) -> dict[str, Forged]:
    """One record for each reason to refuse a submission, by that reason."""
    return {
        "not_json": Forged(b"nobody", b"{"),
        "tombstone": Forged(name(1).encode(), None),
        "too_large": Forged(name(2).encode(), b"x" * 900_000),
        "breaks_contract": changed(valid, 4, citizen_number=...),
        "unknown_procedure": changed(valid, 5, procedure="9.999999"),
        "unknown_province": changed(valid, 6, province="99"),
    }


class Wreckage(NamedTuple):
    system: System
    code: int
    verdict: dict[str, Any]
    refused: list[str]


def decided_at_least(system: System, count: int) -> int:
    found: int = eventually(lambda: (now := system.decided()) >= count and now)
    return found


@pytest.fixture(scope="module")
def wreckage(tmp_path_factory) -> Iterator[Wreckage]:
    system = System(tmp_path_factory.mktemp("wreckage"))
    system.must("up", "--seed", 7, "--plan", "mild")
    try:
        sending = start(
            "send",
            "--state",
            system.folder,
            "--applications",
            APPLICATIONS,
            "--pace",
            22,
            out=system.folder / "send.log",
        )
        address = str(system.state["address"])
        refused = {}
        for name, decided in KILLS.items():
            assert decided_at_least(system, decided) < APPLICATIONS, "killed too late: all is decided"
            system.kill(name)
            if name == "intake":
                valid = first_value(address, SUBMITTED, 0)
                refused = malformed(valid)
                produce(address, SUBMITTED, [*refused.values(), *misplaced(valid)])
        assert sending.wait(60) == 0, (system.folder / "send.log").read_text()
        code, verdict = system.verify()
        yield Wreckage(system, code, verdict, list(refused))
    finally:
        pids = system.pids()
        system.must("down")
    assert alive(pids) == []


def test_every_service_was_killed_and_came_back(wreckage):
    assert min(wreckage.system.restarts(name) for name in KILLS) >= 1
    assert wreckage.system.restarts("broker") == 0


def test_nothing_is_lost_when_services_are_killed(wreckage):
    assert wreckage.code == 0, wreckage.verdict
    assert wreckage.verdict["readings"] == "live = recount = oracle"
    counts = wreckage.verdict["counts"]
    # And the one application that was misplaced twelve times.
    assert (counts["decided"], counts["lost"], counts["counted_twice"]) == (APPLICATIONS + 1, 0, 0)
    assert counts["moved"] == MISPLACED


def test_a_killed_service_handles_some_records_again(wreckage):
    assert wreckage.verdict["counts"]["re_delivered"] > 0


def test_malformed_submissions_are_dead_letters_with_reasons(wreckage):
    letters = wreckage.verdict["dead_letters"]
    assert {f"{SUBMITTED}: {reason}": 1 for reason in wreckage.refused} == letters
    counts = wreckage.verdict["counts"]
    assert counts["dead_lettered"] == len(wreckage.refused)
    # Each misplaced one was moved once, or again by who read it after a crash.
    assert counts["submitted"] >= APPLICATIONS + len(wreckage.refused) + 2 * MISPLACED


def test_verify_shows_the_reasons_of_dead_letters(wreckage):
    out = wreckage.system.must("verify")
    assert "verdict: ok" in out
    for reason in wreckage.refused:
        assert f"1  {SUBMITTED}: {reason}" in out
