"""What an operator does with `docker compose`, and what `paperless verify` says afterwards."""

import json
import socket
import subprocess

import pytest

from contracts.records import partition_of
from tests.system.compose import ROOT, Compose
from tests.system.front_door import eventually, paperless
from tests.system.kafka import Forged, first_value, produce

pytestmark = [
    pytest.mark.container,
    pytest.mark.timeout(600),
    pytest.mark.slow(reason="docker compose starts and stops containers, in the middle of traffic"),
]

OURS = ("portal", "intake", "vneid-mock", "scoring", "scoring-api")
# What /metrics of each service answers to its name, to its address (as Prometheus asks) and to another name.
ASK_BY_HOST = """
import json, socket
from paperless.http_client import http_client
answers = {{}}
for name, port in {}.items():
    address = socket.gethostbyname(name)
    with http_client(f"http://{{address}}:{{port}}", timeout_s=5) as client:
        hosts = (name, address, "rebound.example")
        answers[name] = [client.get("/metrics", headers={{"host": f"{{host}}:{{port}}"}}).status_code for host in hosts]
print(json.dumps(answers))
"""
SUBMITTED, DECIDED = "applications.submitted", "applications.decided"
PROVINCE = ("--scenario", "one-province", "--pace", "max")
MONTHS = ("2025-06", "2025-07", "2025-08", "2025-09", "2025-10", "2025-11", "2025-12", "2026-01")
# As fast as it goes, the traffic would be over before the first fault; so its day takes this long.
SECONDS = 15


def in_traffic(system: Compose, scenario: str) -> "subprocess.Popen[str]":
    """Applications that go on arriving for a while; outcomes of the first have arrived when this returns.

    Each test plays another day: what was filed before would be decided again, and count as a repeat.
    """
    before = system.consumed()
    traffic = ("--scenario", scenario, "--applications", 2_000, "--pace", SECONDS)
    sending = system.start_run("paperless", "send", *traffic)
    eventually(lambda: system.consumed() > before or sending.poll() is not None)
    return sending


def ended(sending: "subprocess.Popen[str]") -> None:
    out, err = sending.communicate(timeout=240)
    assert sending.returncode == 0, (out, err)


def all_agree(system: Compose) -> dict[str, int]:
    """`paperless verify` finds live store, recount and oracle equal; its counts."""
    code, verdict = system.verify()
    assert (code, verdict["readings"]) == (0, "live = recount = oracle"), verdict
    counts: dict[str, int] = verdict["counts"]
    assert (counts["lost"], counts["counted_twice"]) == (0, 0)
    return counts


def test_a_demo_exits_with_its_verdict_and_a_second_one_files_the_same_again_and_counts_nothing_twice(composed):
    first = composed.run("paperless", "demo", *PROVINCE, "--applications", 800)
    assert first.code == 0, first
    assert "verdict: ok" in first.out
    assert f"http://127.0.0.1:{composed.api_port}/docs" in first.out
    assert composed.healthy()
    assert composed.get("/health")["ready"]
    decided = composed.decided()
    second = composed.run("paperless", "demo", *PROVINCE, "--applications", 800)
    assert second.code == 0, second
    assert "the log already holds" in second.out
    assert composed.decided() == decided
    assert all_agree(composed)["re_delivered"] >= 800


def test_months_and_scenarios_in_their_worlds_come_to_what_the_oracle_says_corrections_included(composed):
    """The trajectory's months from June 2025 to January 2026, the merger's first weeks, and days after the target."""
    before, months = composed.decided(), {month: decided_in(composed, month) for month in (*MONTHS, "2026-09")}
    for scenario in ("trajectory", "merger-shock", "target-80"):
        composed.send("--scenario", scenario, "--applications", 1_200, "--pace", "max")
    counts = all_agree(composed)
    # Some of October's may have been filed by another test.
    assert composed.decided() > before + 3_000
    assert counts["corrections"] > 100
    assert (counts["corrections_lost"], counts["corrections_wrong"]) == (0, 0)
    assert [month for month, number in months.items() if decided_in(composed, month) <= number] == []


def decided_in(system: Compose, month: str) -> int:
    rates = system.get(f"/rates?authority=all&month={month}")
    return int(rates["total"]["applications"]) if rates else 0


def test_what_is_ready_says_so_and_what_to_type(composed):
    said = composed.logs("ready")
    assert "ready; look around:" in said
    for port in (composed.api_port, composed.mock_port, composed.kafka_port):
        assert f"127.0.0.1:{port}" in said
    assert "docker compose run --rm demo paperless rates" in said


def test_a_kafka_client_of_this_machine_files_and_reads(composed):
    address = f"127.0.0.1:{composed.kafka_port}"
    filed = json.loads((ROOT / f"contracts/examples/{SUBMITTED}/birth-every-proof-by-data.json").read_text("utf-8"))
    key = filed["application_id"].encode()
    produce(address, SUBMITTED, [Forged(key, json.dumps(filed).encode())])
    assert eventually(lambda: composed.get(f"/applications/{filed['application_id']}"))
    assert first_value(address, DECIDED, partition_of(key, 6))
    all_agree(composed)


def test_what_a_command_writes_is_on_this_machine(composed):
    composed.send(*PROVINCE, "--applications", 300)
    assert composed.run("paperless", "verify", "--json", "verdict.json").code == 0
    assert json.loads((composed.reports / "verdict.json").read_text("utf-8"))["verdict"] == "ok"


def test_a_wrong_seed_plan_or_port_is_refused_before_anything_starts(image):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        faults = {"PAPERLESS_SEED": "many", "PAPERLESS_PLAN": "wild", "PAPERLESS_API_PORT": str(port)}
        for name, value in faults.items():
            with Compose("paperless-test-refused", image=image, env={name: value}) as system:
                refused = system.compose("up", "--no-build")
                assert refused.code != 0
                assert name in system.logs("preflight")
                assert system.containers("kafka") == []


def test_a_demo_with_another_seed_on_the_same_log_is_refused_with_the_way_out(composed):
    composed.send(*PROVINCE, "--applications", 300)
    usual = composed.env
    composed.env = {**usual, "PAPERLESS_SEED": "7"}
    try:
        composed.up("vneid-mock")
        refused = composed.run("paperless", "demo", *PROVINCE, "--applications", 300)
    finally:
        composed.env = usual
        composed.up("vneid-mock")
    assert refused.code == 2
    assert "answered with seed 1" in refused.err
    assert "start with an empty log" in refused.err
    all_agree(composed)


def test_every_container_may_be_restarted_in_the_middle_of_traffic(composed):
    sending = in_traffic(composed, "before-october")
    codes = {}
    for service in OURS:
        codes[service] = composed.stop(service)
        composed.start(service)
    for service in ("postgres", "kafka"):
        composed.must("restart", service)
    ended(sending)
    composed.wait_healthy()
    assert codes == dict.fromkeys(OURS, 0), "a service that is stopped drains and ends well"
    all_agree(composed)


def test_a_service_that_dies_comes_back_by_itself(composed):
    sending = in_traffic(composed, "quiet-sunday")
    for service in ("intake", "vneid-mock", "scoring"):
        composed.crash(service)
    ended(sending)
    composed.wait_healthy()
    all_agree(composed)


def test_down_and_up_keep_the_data(composed):
    composed.send(*PROVINCE, "--applications", 500)
    before = all_agree(composed)["decided"]
    composed.down(volumes=False)
    composed.up()
    assert composed.decided() == before
    all_agree(composed)


def test_a_store_that_was_changed_by_hand_fails_the_verdict(composed):
    composed.send(*PROVINCE, "--applications", 300)
    eventually(composed.decided)
    _change_a_cell(composed, "+ 1")
    try:
        code, verdict = composed.verify()
    finally:
        _change_a_cell(composed, "- 1")
    assert code == 1
    assert any(line.startswith("live and recount:") for line in verdict["differences"])
    all_agree(composed)


def _change_a_cell(system: Compose, change: str) -> None:
    key = "month, province, procedure, channel, pattern_id"
    sql = f"UPDATE cell SET n = n {change} WHERE ({key}) = (SELECT {key} FROM cell ORDER BY {key} LIMIT 1)"
    changed = system.exec("postgres", "psql", "--username=postgres", "--dbname=paperless", "--command", sql)
    assert changed.code == 0, changed


@pytest.mark.parametrize("service", OURS)
def test_a_container_of_ours_has_no_rights_and_nothing_to_write_to(composed, service):
    status = composed.exec(service, "cat", "/proc/1/status", "/proc/self/status").out
    rows = [line.split() for line in status.splitlines()]
    assert {row[1] for row in rows if row[0] == "Uid:"} == {"10001"}
    assert {int(row[1], 16) for row in rows if row[0] in {"CapEff:", "CapBnd:"}} == {0}
    assert {row[1] for row in rows if row[0] == "NoNewPrivs:"} == {"1"}
    refused = composed.exec(service, "touch", "/opt/paperless/x", "/var/lib/paperless/x")
    assert refused.err.count("Read-only file system") == 2


def test_who_has_no_business_with_the_store_cannot_reach_it(composed):
    ask = "import socket; socket.create_connection(('{}', {}), 5)"
    assert (
        "Temporary failure in name resolution"
        in composed.exec("intake", "python", "-c", ask.format("postgres", 5432)).err
    )
    assert composed.exec("scoring", "python", "-c", ask.format("postgres", 5432)).code == 0
    assert composed.exec("scoring-api", "python", "-c", ask.format("kafka", 9092)).code != 0


def test_a_port_answers_to_its_service_s_name_and_to_its_address_only(composed):
    answered = composed.run(
        "python", "-c", ASK_BY_HOST.format(dict(zip(OURS, (8100, 8101, 8102, 8103, 8104), strict=True)))
    )
    assert json.loads(answered.out) == {name: [200, 200, 421] for name in OURS}, answered


def test_no_secret_stands_in_a_container_s_configuration_or_log(composed):
    secrets = {
        name: composed.exec(service, "cat", f"/run/secrets/{file}").out
        for name, service, file in (
            ("signing key", "intake", "signing_key"),
            ("writer", "scoring", "store_password"),
            ("reader", "scoring-api", "store_password"),
        )
    }
    assert all(len(secret) >= 40 for secret in secrets.values())
    assert len(set(secrets.values())) == 3
    shown = composed.logs(tail=2_000) + "".join(
        json.dumps(composed.inspect(container))
        for service in (*OURS, "postgres")
        for container in composed.containers(service)
    )
    assert [name for name, secret in secrets.items() if secret in shown] == []


def test_an_application_is_filed_at_the_portal_from_inside_and_from_this_machine(composed):
    out = composed.run("paperless", "submit", "--persona", "patience")
    assert out.code == 0, out
    portal = f"http://127.0.0.1:{composed.portal_port}"
    assert "end to end" in next(line for line in out.out.splitlines() if line.startswith("decided"))
    assert f"look again: {portal}/applications/" in out.out
    for _ in range(2):
        ended = paperless("submit", "--persona", "land", "--portal", portal, "--idempotency-key", "a-field", "--json")
        assert ended.code == 0, ended
    status = json.loads(ended.out)
    assert status["decided"]["outcome"] == "partly_online"
    assert composed.get(status["links"]["status"], port=composed.portal_port)["state"] == "decided"
    all_agree(composed)
