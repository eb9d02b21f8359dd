"""The containers' health check: 200 is healthy, anything else says why, and who is healthy is watched from inside."""

import subprocess
import time
from pathlib import Path

from tests.support.http_answers import answering

SCRIPTS = Path(__file__).parents[2] / "deploy" / "image"
HEALTHY, STEADY = SCRIPTS / "healthy", SCRIPTS / "steady"


def check(port: int) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([HEALTHY, str(port)], capture_output=True, text=True, timeout=30, check=False)


def test_a_service_that_answers_200_is_healthy():
    with answering(200, b"{}", only="/health") as port:
        assert (check(port).returncode, check(port).stdout) == (0, "")


def test_a_service_that_is_not_ready_says_why():
    with answering(503, b"no partition is assigned", only="/health") as port:
        found = check(port)
    assert found.returncode == 1
    assert "answers 503" in found.stdout
    assert "no partition is assigned" in found.stdout


def test_a_service_that_is_not_there_is_unhealthy():
    found = check(1)
    assert found.returncode == 1
    assert "refused" in found.stderr


def watch(folder: Path, seconds: int, command: str) -> tuple[int, float]:
    """Run a check as Docker does; returns its exit code and how long it took."""
    began = time.monotonic()
    arguments = [str(STEADY), str(seconds), "bash", "-c", command]
    done = subprocess.run(arguments, env={"TMPDIR": str(folder), "PATH": "/usr/bin:/bin"}, timeout=30, check=False)
    return done.returncode, time.monotonic() - began


def tries(folder: Path) -> int:
    return len((folder / "tries").read_text().splitlines())


def test_the_first_success_is_answered_at_once_and_a_later_one_after_watching(tmp_path):
    command = f"echo >> {tmp_path}/tries"
    assert watch(tmp_path, 3, command)[0] == 0
    assert tries(tmp_path) == 1
    code, took_s = watch(tmp_path, 3, command)
    assert (code, tries(tmp_path)) == (0, 3)
    assert took_s >= 3


def test_what_becomes_unhealthy_while_it_is_watched_is_said_at_once(tmp_path):
    command = f"echo >> {tmp_path}/tries; [ $(wc -l < {tmp_path}/tries) -lt 3 ] || exit 7"
    assert watch(tmp_path, 600, command)[0] == 0
    assert watch(tmp_path, 600, command)[0] == 7
    assert tries(tmp_path) == 3


def test_who_was_unhealthy_is_asked_once_each_time_until_it_is_well(tmp_path):
    sick = f"echo >> {tmp_path}/tries; exit 1"
    assert [watch(tmp_path, 600, sick)[0] for _ in range(2)] == [1, 1]
    assert tries(tmp_path) == 2
    assert watch(tmp_path, 600, f"echo >> {tmp_path}/tries")[0] == 0
    assert tries(tmp_path) == 3


def test_a_success_that_nobody_heard_of_is_not_taken_for_one_that_was_told(tmp_path):
    """A check is cut short where its container is frozen; the next one comes after a while."""
    command = f"echo >> {tmp_path}/tries"
    assert watch(tmp_path, 600, command)[0] == 0
    (tmp_path / ".healthy").write_text(str(int(time.time()) - 20))
    assert watch(tmp_path, 600, command)[0] == 0
    assert tries(tmp_path) == 2
