"""A store that is put back from a backup: behind its log it catches up, ahead of it or of another log it says so."""

import pytest

from tests.system.compose import Compose, docker
from tests.system.front_door import eventually
from tests.system.traffic import RECOVERED_WITHIN_S, traffic

pytestmark = [
    pytest.mark.container,
    pytest.mark.timeout(600),
    pytest.mark.slow(reason="a store is dumped and put back, a log is replaced"),
]

DUMP = "/tmp/store.dump"
REFUSED = 78
PROVINCE = ("--scenario", "one-province", "--applications", 300)
KAFKA_TOPICS = "/opt/kafka/bin/kafka-topics.sh"


def back_up(system: Compose) -> None:
    """As docs/operations.md has it, but to a file in the container."""
    done = system.exec("postgres", "pg_dump", "--username=postgres", "--format=custom", f"--file={DUMP}", "paperless")
    assert done.code == 0, done


def put_back(system: Compose) -> None:
    """As docs/operations.md has it."""
    system.must("stop", "scoring", "scoring-api")
    for command in (
        ("dropdb", "--username=postgres", "--force", "paperless"),
        ("pg_restore", "--username=postgres", "--dbname=postgres", "--create", "--exit-on-error", DUMP),
    ):
        done = system.exec("postgres", *command)
        assert done.code == 0, done
    system.must("start", "scoring", "scoring-api")


def test_a_store_put_back_from_a_backup_behind_the_log_catches_up(composed: Compose):
    with traffic(composed) as flow:
        back_up(composed)
        then = composed.decided()
        flow.goes_on()
        put_back(composed)
        flow.goes_on()
    assert flow.counts["decided"] >= then + 200


def refusal(system: Compose) -> str:
    """The last words of a scoring consumer that will not go on; its restarts are spared, they end alike."""
    [scoring] = system.containers("scoring", stopped=True)
    docker("update", "--restart=no", scoring)
    docker("start", scoring)
    eventually(lambda: system.inspect(scoring)["State"]["Status"] == "exited", RECOVERED_WITHIN_S)
    assert system.inspect(scoring)["State"]["ExitCode"] == REFUSED
    return system.logs("scoring", tail=1)


def test_a_store_ahead_of_its_log_or_of_another_one_is_refused_with_what_to_do(composed: Compose):
    composed.send(*PROVINCE)
    eventually(composed.decided)
    composed.must("stop", "scoring", "intake", "vneid-mock")

    # The log loses what the store has: same identity, fewer records.
    topic = ("--bootstrap-server=localhost:9092", "--delete", "--topic", "applications.decided")
    assert composed.exec("kafka", KAFKA_TOPICS, *topic).code == 0
    eventually(lambda: composed.run("paperless", "topics").code == 0)
    said = refusal(composed)
    assert "is outside the log, which is 0 to 0" in said
    assert "put back a backup of the store that this log continues, or begin with an empty store" in said

    # A new log in its place.
    composed.must("rm", "--stop", "--force", "kafka", "topics")
    docker("volume", "rm", f"{composed.project}_kafka")
    composed.must("up", "--detach", "--no-build", "--wait", "kafka")
    assert composed.run("paperless", "topics").code == 0
    said = refusal(composed)
    assert "belongs to log" in said
    assert "point the consumer to the store of this log, or to an empty one" in said

    # What it says to do.
    composed.must("rm", "--stop", "--force", "postgres", "migrate", "scoring", "scoring-api")
    docker("volume", "rm", f"{composed.project}_postgres")
    composed.up()
    composed.send(*PROVINCE)
    code, verdict = composed.verify()
    assert (code, verdict["counts"]["decided"]) == (0, 300), verdict
