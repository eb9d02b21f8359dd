"""What every test gets: no traffic beyond this machine, containers skipped with a reason, no hypothesis clock."""

import functools
import ipaddress
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator

import pytest
from hypothesis import settings

# Shared machines stall; a slow example is no failure.
settings.register_profile("default", deadline=None, print_blob=True)
settings.load_profile("default")

# Ctrl-C is ignored by what a shell starts in the background, and by all that starts from there: tests send it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@functools.cache
def _engine_answers() -> bool:
    docker = shutil.which("docker")
    return docker is not None and subprocess.run([docker, "info"], capture_output=True, check=False).returncode == 0


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("container") is None or os.environ.get("REQUIRE_CONTAINERS") == "1":
        return
    if not _engine_answers():
        pytest.skip("no container engine answers `docker info`")


def _is_local(address: object) -> bool:
    if not isinstance(address, tuple):  # a UNIX socket's path
        return True
    host = str(address[0])
    return host == "localhost" or ipaddress.ip_address(host).is_loopback


@pytest.fixture(autouse=True, scope="session")
def _only_this_machine() -> Iterator[None]:
    """A test that connects to another machine fails, and says where it wanted to go."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: object) -> None:
        if not _is_local(address):
            pytest.fail(f"a test connects to {address}; tests talk to 127.0.0.1 only")
        connect(self, address)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", guarded)
        yield
