"""The supervisor's small parts: memory, ports, state, backoff, settings of the services."""

import errno
import os
import re
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace

import psutil
import pytest
from pydantic import ValidationError

from paperless.local import broker_kinds, memory
from paperless.local.broker_kinds import CHOICE, KFAKE, TANSU, BrokerKind, embedded_kind, tansu_binary
from paperless.local.errors import (
    AlreadyRunningError,
    BrokerBinaryError,
    DiskFullError,
    NotEnoughMemoryError,
    NotRunningError,
    PortTakenError,
    StateDirectoryError,
    disk_errors,
)
from paperless.local.layout import LayoutInputs, LocalOptions, ServiceSpec, environment, service_names, services
from paperless.local.ports import HOST, Ports
from paperless.local.processes import PARENT_WATCH, is_alive, tail
from paperless.local.state import (
    ProcessState,
    RunState,
    StateDirectory,
    Status,
    kill_leftovers,
    this_process,
)
from paperless.local.supervised_process import EXIT_NO_RESTART, SupervisedProcess, backoff
from paperless.local.system import attach, stop

WITHIN_S = 20.0
NOBODY = 65_534


def wait_for(condition) -> None:
    deadline = time.monotonic() + WITHIN_S
    while not condition():
        assert time.monotonic() < deadline, "the condition never came true"
        time.sleep(0.02)


def state_of(**changes: object) -> RunState:
    fields = {
        "run_id": "r1",
        "status": "healthy",
        "seed": 7,
        "plan": "mild",
        "started_at": datetime(2025, 10, 8, tzinfo=UTC),
        "supervisor": this_process(),
    }
    return RunState.model_validate({**fields, **changes})


# Memory


def refused(applications: int, free: int, kind: BrokerKind = KFAKE, resident: int = 0) -> str:
    return memory.refusal(
        applications,
        free=free,
        per_application=kind.bytes_per_application,
        for_processes=memory.bytes_for_processes(resident),
    )


def test_a_national_day_fits_into_two_gigabytes():
    assert refused(121_000, free=2_000_000_000) == ""


def test_too_many_applications_are_refused_with_numbers():
    why = refused(1_000_000, free=1_200_000_000, kind=TANSU)
    assert re.search(r"1,000,000 .* 3\.6 GB .* 1\.2 GB .* at most 200,000 applications.*docker compose.*--kafka", why)


def test_exactly_what_fits_is_not_refused():
    free = 1_000_000_000 + memory.BYTES_FOR_PROCESSES
    fits = 1_000_000_000 // KFAKE.bytes_per_application
    assert refused(fits, free) == ""
    assert f"at most {fits:,} applications" in refused(fits + 1, free)


def test_where_nothing_fits_nothing_is_offered():
    why = refused(1, free=10_000_000)
    assert "free some memory" in why
    assert "at most" not in why


def test_a_running_systems_services_are_not_counted_twice():
    free, one = 700_000_000, memory.BYTES_PER_PROCESS
    assert refused(90_000, free)
    assert refused(90_000, free, resident=4 * one) == ""
    # The driver comes to them, however much they have taken.
    assert memory.bytes_for_processes(100 * one) == one


def test_a_refusal_is_an_error_of_the_local_system(monkeypatch):
    monkeypatch.setattr(memory, "memory_available", lambda: 1_200_000_000)
    memory.check_memory(100_000, KFAKE)
    with pytest.raises(NotEnoughMemoryError, match="at most 100,000 applications"):
        memory.check_memory(100_001, KFAKE)


def test_swap_is_no_memory(monkeypatch, tmp_path):
    asked = SimpleNamespace(available=5_000, total=9_000, free=1_000)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: asked)
    monkeypatch.setattr(psutil, "swap_memory", lambda: pytest.fail("swap was asked for"))
    assert memory.memory_available(tmp_path) == 5_000


def test_a_containers_memory_limit_counts(tmp_path):
    (tmp_path / "memory.max").write_text("5000\n")
    (tmp_path / "memory.current").write_text("3000\n")
    assert memory.memory_available(tmp_path) == 2000


def test_a_container_without_limit_sees_the_machine(tmp_path):
    (tmp_path / "memory.max").write_text("max\n")
    assert memory.memory_available(tmp_path) > 1_000_000


# Ports


def test_free_ports_differ_and_can_be_bound():
    ports = Ports()
    taken = [ports.take(name) for name in ("broker", "intake", "scoring")]
    assert len(set(taken)) == 3
    assert ports.taken == dict(zip(("broker", "intake", "scoring"), taken, strict=True))
    for port in taken:
        with socket.socket() as probe:
            probe.bind((HOST, port))


def test_a_taken_port_is_refused_by_number_and_name():
    with socket.socket() as other:
        other.bind((HOST, 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(PortTakenError, match=f"port {port} .* asked for scoring_api"):
            Ports({"scoring_api": port}).take("scoring_api")


def test_one_port_cannot_serve_two_processes():
    free = Ports().take("any")
    ports = Ports({"intake": free, "scoring": free})
    ports.take("intake")
    with pytest.raises(PortTakenError):
        ports.take("scoring")


# State directory


def test_a_run_is_read_back_as_written(tmp_path):
    directory = StateDirectory(tmp_path)
    run = state_of(ports={"broker": 9092}, processes={"intake": ProcessState(pid=1, started=2.5, restarts=3)})
    directory.write(run)
    assert directory.read() == run
    assert [path.name for path in tmp_path.iterdir()] == ["state.json"]


@pytest.mark.parametrize("content", ["", "{", '{"run_id": 5}'])
def test_an_unreadable_state_file_counts_as_none(tmp_path, content):
    (tmp_path / "state.json").write_text(content)
    assert StateDirectory(tmp_path).read() is None


def test_on_a_full_disk_a_state_is_written_into_the_room_that_it_has(tmp_path):
    directory = StateDirectory(tmp_path)
    assert directory.write(state_of()) == ""
    (tmp_path / "state.tmp").symlink_to("/dev/full")
    run = state_of(status=Status.FAILED, reason="why " * 2_000)
    assert "is full" in directory.write(run)
    assert directory.read() == run
    with pytest.raises(DiskFullError):
        directory.write(state_of(reason="why " * 20_000))
    assert directory.read() == run


def test_a_directory_whose_name_is_no_text_is_refused_before_anything_is_written(tmp_path):
    with pytest.raises(StateDirectoryError, match="no text in this locale"):
        StateDirectory(tmp_path / os.fsdecode(b"h\xf4")).create()
    assert not list(tmp_path.iterdir())


def test_the_signing_key_stays_and_is_private(tmp_path):
    directory = StateDirectory(tmp_path)
    key = directory.signing_key()
    assert directory.signing_key() == key
    assert len(key) == 64
    assert stat.S_IMODE((tmp_path / "signing.key").stat().st_mode) == 0o600


def test_a_lock_is_held_by_one_only(tmp_path):
    directory = StateDirectory(tmp_path)
    for _ in range(2):
        with directory.lock(), pytest.raises(AlreadyRunningError, match="--state"), StateDirectory(tmp_path).lock():
            pass


def test_a_lock_ends_with_its_holder_however_that_ends(tmp_path):
    code = (
        "import pathlib, sys\n"
        "from paperless.local.state import StateDirectory\n"
        "with StateDirectory(pathlib.Path(sys.argv[1])).lock():\n"
        "    print('held', flush=True)\n"
        "    input()\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    with subprocess.Popen(command, env=environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(AlreadyRunningError), StateDirectory(tmp_path).lock():
            pass
        holder.kill()
        holder.wait()
        with StateDirectory(tmp_path).lock():
            pass


def test_a_file_in_place_of_the_directory_is_explained(tmp_path):
    place = tmp_path / "run"
    place.write_text("")
    with pytest.raises(StateDirectoryError, match=r"run.* --state"):
        StateDirectory(place).create()


def test_a_full_disk_is_called_a_full_disk(tmp_path):
    with pytest.raises(DiskFullError, match="make room"), disk_errors(tmp_path):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_an_almost_full_disk_is_refused_at_start(tmp_path, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=1_000_000))
    with pytest.raises(DiskFullError, match="1 MB are free"):
        StateDirectory(tmp_path).create()


def test_cleaning_removes_the_store_and_keeps_the_key(tmp_path):
    directory = StateDirectory(tmp_path)
    directory.create()
    directory.signing_key()
    for name in ("scoring.db", "scoring.db-wal", "logs/intake.log", "logs/supervisor.log"):
        (tmp_path / name).write_text("x")
    directory.write(state_of())
    assert directory.clean() == ()
    left = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    assert left == {"signing.key", "logs/supervisor.log"}


def test_leftovers_are_killed_but_not_a_reused_pid():
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        started = this_process().started
        mine = ProcessState(pid=child.pid, started=_started(child.pid))
        another = ProcessState(pid=child.pid, started=started - 3600)
        assert list(kill_leftovers(state_of(processes={"intake": another}))) == []
        assert child.poll() is None
        assert list(kill_leftovers(state_of(processes={"intake": mine}))) == [child.pid]
        assert child.wait(WITHIN_S) == -signal.SIGKILL
    assert not is_alive(mine.pid, mine.started)


def _started(pid: int) -> float:
    return psutil.Process(pid).create_time()


def test_attaching_to_nothing_says_how_to_start(tmp_path):
    with pytest.raises(NotRunningError, match="paperless up"):
        attach(tmp_path)


def test_attaching_to_a_failed_run_says_why(tmp_path):
    gone = ProcessState(pid=this_process().pid, started=1.0)
    StateDirectory(tmp_path).write(state_of(status=Status.FAILED, reason="the broker died", supervisor=gone))
    with pytest.raises(NotRunningError, match="the broker died"):
        attach(tmp_path)
    assert stop(tmp_path) == ()
    assert StateDirectory(tmp_path).read() is None


def as_another_user(work: Callable[[], object]) -> str:
    """What comes of this work in a process of another user: the error's text."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        if os.geteuid() == 0:
            os.setuid(NOBODY)
        try:
            work()
        except Exception as error:  # noqa: BLE001  whatever it is, it is told
            os.write(write, f"{type(error).__name__}: {error}".encode())
        os._exit(0)
    os.close(write)
    os.waitpid(child, 0)
    with os.fdopen(read) as said:
        return said.read()


@pytest.fixture
def foreign() -> Iterator[Path]:
    """The directory of a system whose supervisor is another user's, open to all."""
    with TemporaryDirectory() as folder:
        supervisor = psutil.Process() if os.geteuid() == 0 else psutil.Process(1)
        if supervisor.uids().real == os.geteuid() != 0:
            pytest.skip("everything here is this user's")
        found = ProcessState(pid=supervisor.pid, started=supervisor.create_time())
        StateDirectory(Path(folder)).write(state_of(supervisor=found, processes={"intake": found}))
        Path(folder).chmod(0o777)
        yield Path(folder)


def test_down_by_another_user_stops_nothing_and_says_whose_it_is(foreign):
    said = as_another_user(lambda: stop(foreign))
    assert said.startswith(f"NotOursError: the system in {foreign} belongs to another user")
    assert StateDirectory(foreign).read() is not None


def test_a_state_file_that_may_not_be_read_is_told(tmp_path):
    (tmp_path / "state.json").mkdir()
    with pytest.raises(StateDirectoryError, match=r"cannot be used as the state directory: Is a directory.*--state"):
        attach(tmp_path)


@pytest.mark.parametrize("home", ["/dev/null", "/proc/nowhere"])
def test_a_home_that_cannot_be_written_is_no_unsupported_platform(monkeypatch, home):
    monkeypatch.setenv("HOME", home)
    monkeypatch.delenv("CALF_TANSU_BIN", raising=False)
    with pytest.raises(BrokerBinaryError, match=rf"cannot be written to {home}/\.calfkit .*set HOME to a directory"):
        tansu_binary()


@pytest.mark.parametrize(("built", "kind"), [(True, KFAKE), (False, TANSU)])
def test_kfake_is_the_embedded_broker_where_it_was_built(monkeypatch, tmp_path, built, kind):
    binary = tmp_path / "paperless-kfake"
    binary.touch(mode=0o755 if built else 0o644)
    monkeypatch.setattr(broker_kinds, "KFAKE_BINARY", binary)
    assert embedded_kind({}) is kind
    assert [embedded_kind({CHOICE: name}).name for name in ("kfake", "tansu")] == ["kfake", "tansu"]


def test_a_broker_that_was_chosen_and_is_not_there_says_how_to_get_it(monkeypatch, tmp_path):
    monkeypatch.setattr(broker_kinds, "KFAKE_BINARY", tmp_path / "paperless-kfake")
    with pytest.raises(BrokerBinaryError, match=r"build it with `python -m paperless\.local\.kfake`"):
        embedded_kind({CHOICE: "kfake"}).command("127.0.0.1:9092")
    with pytest.raises(BrokerBinaryError, match=r"PAPERLESS_BROKER=redpanda: .*there are kfake, tansu"):
        embedded_kind({CHOICE: "redpanda"})


def test_an_unknown_option_is_refused():
    with pytest.raises(ValidationError, match="intake_member"):
        LocalOptions.model_validate({"intake_member": 2})


# Restarts


def test_the_pause_doubles_up_to_five_seconds():
    assert [backoff(exits) for exits in range(1, 8)] == [0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0]


def ended_with(tmp_path: Path, code: int) -> SupervisedProcess:
    spec = ServiceSpec(name="intake", argv=(sys.executable, "-S", "-c", f"raise SystemExit({code})"), port=1)
    service = SupervisedProcess(spec, tmp_path / "intake.log")
    service.start()
    wait_for(lambda: service.child.poll() is not None)
    return service


def test_each_exit_is_told_once_and_delays_more(tmp_path):
    service = ended_with(tmp_path, 3)
    now = time.monotonic()
    first = service.poll(now)
    assert first is not None
    assert (first.code, first.restart_in_s) == (3, 0.2)
    assert service.poll(now + 0.1) is None
    assert service.restarts == 0
    service.poll(now + 0.3)
    assert service.restarts == 1
    wait_for(lambda: service.child.poll() is not None)
    second = service.poll(now + 0.4)
    assert second is not None
    assert second.restart_in_s == 0.4


def test_a_long_life_starts_with_the_short_pause_again(tmp_path):
    service = ended_with(tmp_path, 3)
    service.exits_in_a_row = 4
    first = service.poll(time.monotonic() + 60)
    assert first is not None
    assert first.restart_in_s == 0.2


def test_exit_78_is_never_restarted(tmp_path):
    service = ended_with(tmp_path, EXIT_NO_RESTART)
    now = time.monotonic()
    first = service.poll(now)
    assert first is not None
    assert first.restart_in_s is None
    assert service.poll(now + 3600) is None
    assert service.restarts == 0


def test_a_tail_shows_only_the_last_lines(tmp_path):
    log = tmp_path / "intake.log"
    log.write_text("\n".join(f"line {number}" for number in range(100)))
    assert tail(log, lines=2) == "line 98\nline 99"
    assert tail(tmp_path / "none.log") == ""


# A child does not outlive its parent


@pytest.mark.parametrize("poll", [False, True], ids=["by the kernel", "by a watcher"])
def test_a_child_ends_when_its_parent_is_killed(tmp_path, poll):
    parent_code = (
        "import os, subprocess, sys\n"
        "child = subprocess.Popen([sys.executable, '-I', '-S', sys.argv[1], str(os.getpid()), 'sleep', '60'])\n"
        "print(child.pid, flush=True)\n"
        "child.wait()\n"
    )
    env = {**os.environ, **({"PARENT_WATCH_POLL": "1"} if poll else {})}
    with subprocess.Popen(
        [sys.executable, "-c", parent_code, str(PARENT_WATCH)], stdout=subprocess.PIPE, env=env
    ) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        started = _started(child)
        wait_for(lambda: "sleep" in Path(f"/proc/{child}/comm").read_text() or sys.platform != "linux")
        parent.kill()
        parent.wait()
        wait_for(lambda: not is_alive(child, started))


def test_a_command_that_is_not_there_is_named():
    command = [sys.executable, "-I", "-S", str(PARENT_WATCH), str(os.getpid()), "/nowhere/tansu"]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 127
    assert "/nowhere/tansu cannot be started" in run.stderr


# Settings


def inputs(**changes: object) -> LayoutInputs:
    return LayoutInputs(
        options=LocalOptions.model_validate({"seed": 7, "plan": "rough", **changes}),
        kafka_servers="127.0.0.1:9092",
        capabilities=TANSU.capabilities,
        store_url="sqlite:////run/scoring.db",
        signing_key="k",
        ports=Ports(),
    )


@pytest.mark.parametrize("members", [1, 3])
def test_the_names_of_all_services_are_known_before_they_run(members):
    given = inputs(intake_members=members)
    assert service_names(given.options) == tuple(spec.name for spec in services(given))


def test_every_service_gets_its_own_settings():
    specs = {spec.name: spec for spec in services(inputs())}
    assert list(specs) == ["portal", "intake", "vneid_mock", "scoring", "scoring_api", "planner"]
    assert specs["intake"].env["INTAKE_SIGNING_KEY"] == "k"
    assert specs["intake"].env["INTAKE_IDEMPOTENT_PRODUCER"] == "false"
    assert (specs["vneid_mock"].env["VNEID_SEED"], specs["vneid_mock"].env["VNEID_PLAN"]) == ("7", "rough")
    assert specs["scoring"].env["SCORING_STORE"] == specs["scoring_api"].env["SCORING_API_STORE"]
    assert specs["scoring_api"].argv[-2:] == ("-m", "services.scoring.api")
    assert specs["portal"].env["PORTAL_PLANNER_URL"] == specs["planner"].url


def test_children_reach_this_machine_past_any_proxy(monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("NO_PROXY", "intranet.example")
    monkeypatch.delenv("no_proxy", raising=False)
    assert environment()["NO_PROXY"] == "intranet.example,127.0.0.1,::1,localhost"
    assert environment()["no_proxy"] == "127.0.0.1,::1,localhost"


def test_more_intake_members_have_names_and_ports_apart():
    specs = services(inputs(intake_members=3, static_members=True))[1:4]
    assert [spec.name for spec in specs] == ["intake", "intake_2", "intake_3"]
    assert len({spec.port for spec in specs}) == 3
    assert [spec.env["INTAKE_GROUP_INSTANCE_ID"] for spec in specs] == ["intake", "intake_2", "intake_3"]


def test_only_intake_sees_the_signing_key():
    others = [spec for spec in services(inputs()) if spec.name != "intake"]
    assert not any("k" in spec.env.values() for spec in others)
