"""What starting a container needs: an engine, and a port of this machine."""

import functools
import os
import shutil
import socket
import subprocess

import pytest


@functools.cache
def _engine_answers() -> bool:
    docker = shutil.which("docker")
    return docker is not None and subprocess.run([docker, "info"], capture_output=True, check=False).returncode == 0  # noqa: S603  a fixed command


def need_engine() -> None:
    """Skip the test where no container engine answers; with `REQUIRE_CONTAINERS=1` it goes on, and fails by itself."""
    if os.environ.get("REQUIRE_CONTAINERS") != "1" and not _engine_answers():
        pytest.skip("no container engine answers `docker info`")


def free_port() -> int:
    """Return a port of 127.0.0.1 that nobody listens on now."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port
