"""Looking around in a running system, and what is refused beside it."""

import csv
import io
import json
import os
import subprocess
from collections.abc import Iterator

import pytest

from paperless.http_client import http_client
from tests.system.conftest import APPLICATIONS
from tests.system.front_door import COMMAND, Ended, System, alive, eventually, paperless

pytestmark = pytest.mark.timeout(180)


def error_of(ended: Ended) -> str:
    assert ended.code == 2, ended
    [line] = ended.err.splitlines()
    assert line.startswith("error: ")
    return line


def test_rates_as_json_cover_every_province(served):
    rates = json.loads(served.must("rates", "--json", "--authority", "all"))
    assert rates["total"]["applications"] == APPLICATIONS
    assert len(rates["rows"]) == 34
    d1 = rates["total"]["rates"]["d1"]
    assert d1["denominator"] == APPLICATIONS
    assert 0 < d1["numerator"] < d1["denominator"]


def test_what_was_not_sent_by_the_command_is_verified_by_what_the_mock_says(served):
    manifest, away = served.folder / "manifest.json", served.folder / "manifest.away"
    manifest.rename(away)
    try:
        code, verdict = served.verify()
    finally:
        away.rename(manifest)
    assert (code, verdict["counts"]["submitted"]) == (0, APPLICATIONS)


def test_rates_as_csv_have_a_header_and_the_same_sums(served):
    rows = list(csv.DictReader(io.StringIO(served.must("rates", "--csv", "--authority", "all"))))
    [total] = [row for row in rows if row["section"] == "total"]
    rates = json.loads(served.must("rates", "--json", "--authority", "all"))["total"]["rates"]
    assert total["applications"] == str(APPLICATIONS)
    assert total["d1_numerator"] == str(rates["d1"]["numerator"])


def test_rates_as_text_name_definitions_and_published_figures(served):
    text = served.must("rates")
    for words in (
        "End to end (D1), province-run procedures",
        "published D1",
        "16.94 % [B]",
        "d1: End-to-end rate of all applications (D1) = ended end to end",
    ):
        assert words in text, words


def test_rates_are_told_in_vietnamese_too(served):
    text = served.must("rates", "--lang", "vi")
    for words in (
        "Toàn trình (D1), thủ tục do địa phương giải quyết",
        "D1 công bố",
        "16,94 % [B]",
        "d1: Tỷ lệ hồ sơ toàn trình",
    ):
        assert words in text, words
    assert "procedures" not in text


def test_why_in_one_province_counts_only_that_one(served):
    text = served.must("why", "--province", "79")
    assert "did not end end to end" in text
    found = json.loads(served.must("why", "--province", "79", "--json"))
    everywhere = json.loads(served.must("why", "--json"))
    assert found["province"] == "79"
    assert 0 < found["applications"] < everywhere["applications"]
    assert found["reasons"]


def test_why_as_csv_has_a_header(served):
    rows = list(csv.DictReader(io.StringIO(served.must("why", "--csv"))))
    assert rows
    assert "section" in rows[0]


def test_an_unknown_province_is_named(served):
    line = error_of(served.run("why", "--province", "00"))
    assert "province '00' is not known; GET /rates lists the 34 codes" in line


def test_an_unknown_authority_lists_the_choices(served):
    line = error_of(served.run("rates", "--authority", "city"))
    assert "'province', 'ministry' or 'all'" in line


def test_the_documented_topics_are_present(served, tmp_path):
    path = tmp_path / "topics.json"
    served.must("topics", "--json", path)
    found = json.loads(path.read_text())
    assert found["partitions"] == 6
    assert set(found["topics"].values()) == {"present"}
    assert {"applications.submitted", "applications.decided.scoring.dlq", "log.identity"} <= found["topics"].keys()


def test_another_partition_count_is_refused(served):
    line = error_of(served.run("topics", "--partitions", 3))
    assert "topic applications.submitted has 6 partitions, expected are 3" in line
    assert "pass --partitions 6" in line


def test_a_second_system_in_one_directory_is_refused(served):
    before = served.pids()
    line = error_of(served.run("up"))
    assert f"a system is already running in {served.folder}" in line
    assert "`paperless down`" in line
    assert error_of(served.run("demo", "--applications", 10)).startswith("error: a system is already running")
    assert alive(before) == before


def test_a_manifest_of_another_log_is_refused(served, tmp_path):
    manifest = json.loads((served.folder / "manifest.json").read_text())
    other = tmp_path / "other.json"
    other.write_text(json.dumps({**manifest, "log_identity": "another-log"}))
    line = error_of(served.run("verify", "--manifest", other))
    assert "the manifest is of log another-log, the broker serves log" in line


def test_a_manifest_of_another_seed_is_refused(served, tmp_path):
    manifest = json.loads((served.folder / "manifest.json").read_text())
    other = tmp_path / "other.json"
    other.write_text(json.dumps({**manifest, "seed": 8}))
    assert "the mock's seed is 7, the manifest's 8" in error_of(served.run("verify", "--manifest", other))


def test_a_closed_pipe_ends_a_command_quietly(served):
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [COMMAND, "rates", "--csv", "--state", served.folder], stdout=writer, stderr=subprocess.PIPE, text=True,
        timeout=60, check=False,
    )  # fmt: skip
    os.close(writer)
    assert "Traceback" not in done.stderr


@pytest.fixture(scope="module")
def beside(tmp_path_factory) -> Iterator[System]:
    """Another system, started and stopped while the first one runs."""
    other = System(tmp_path_factory.mktemp("beside"))
    other.must("up", "--seed", 8)
    try:
        other.must("send", "--applications", 300)
        yield other
    finally:
        pids = other.pids()
        first = other.must("down")
    assert "stopped broker, portal, intake, vneid_mock, scoring, scoring_api, planner" in first
    assert other.must("down") == "nothing was running\n"
    assert alive(pids) == []


def test_two_systems_side_by_side_do_not_meet(served, beside):
    assert not set(beside.pids()) & set(served.pids())
    assert not set(beside.state["ports"].values()) & set(served.state["ports"].values())
    eventually(lambda: beside.decided() == 300)
    assert served.decided() == APPLICATIONS
    assert len(alive(served.pids())) == len(served.pids())
    code, verdict = beside.verify()
    assert (code, verdict["counts"]["submitted"], verdict["counts"]["decided"]) == (0, 300, 300)


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252"])
def test_a_table_shows_what_the_terminal_can_show_and_data_are_utf_8(served, encoding):
    def out(*arguments: str) -> bytes:
        env = {**os.environ, "PYTHONIOENCODING": encoding}
        return subprocess.run([COMMAND, *arguments, "--state", served.folder], env=env, stdout=-1, check=True).stdout

    table, why = out("rates").decode(encoding), out("why").decode(encoding)
    assert ("Ha Noi" if encoding == "ascii" else "Hà Noi") in table
    assert "?" not in table + why
    for data in ("--json", "--csv"):
        assert "Hà Nội" in out("rates", data).decode("utf-8")


def test_a_table_that_nobody_reads_or_that_finds_no_room_says_so_by_its_exit_code(served):
    rates = f"{COMMAND} rates --state {served.folder}"
    ended = subprocess.run(["bash", "-c", f"{rates} > /dev/full"], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (
        2,
        "error: standard output cannot be written (No space left on device)\n",
    )
    ended = subprocess.run(
        ["bash", "-c", f"{rates} | true; exit ${{PIPESTATUS[0]}}"], capture_output=True, text=True, check=False
    )
    assert (ended.returncode, ended.stderr) == (141, "")


def test_status_says_how_each_part_is(served):
    ended = served.run("status")
    assert (ended.code, ended.err) == (0, "")
    head, *parts = ended.out.splitlines()
    assert head.startswith(f"healthy in {served.folder}, since ")
    assert [part.split()[:2] for part in parts] == [[name, "ready;"] for name in served.state["processes"]]


def test_a_plan_changed_by_hand_makes_the_recount_the_reference(beside):
    mock = beside.state["endpoints"]["vneid_mock"]
    with http_client(mock, timeout_s=10) as control:
        changed = control.patch("/plan", json={"duplicate_share": 0.5})
    assert changed.status_code == 200
    ended = beside.run("verify")
    assert ended.code == 0, ended
    assert "live = recount (the plan was changed by hand: no oracle)" in ended.out


def test_verify_by_addresses_alone_comes_to_the_same(served):
    state = served.state
    health = [
        part
        for name in ("intake", "vneid_mock", "scoring")
        for part in ("--health", f"{name}={state['endpoints'][name]}")
    ]
    ended = paperless(
        "verify", "--kafka", state["address"], "--api", state["endpoints"]["scoring_api"], *health,
        "--manifest", served.folder / "manifest.json",
    )  # fmt: skip
    assert ended.code == 0, ended
    assert "verdict: ok" in ended.out
