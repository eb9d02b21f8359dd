"""Running systems that several modules look at; whoever changes one puts it back."""

import os
from collections.abc import Generator, Iterator
from fcntl import LOCK_EX, flock
from pathlib import Path
from tempfile import gettempdir
from zlib import crc32

import pytest

from tests.system.compose import ROOT, Compose
from tests.system.front_door import System, running_system

APPLICATIONS = 1_500
# Of this working tree alone: another one's tests, on the same machine at the same time, build another image.
IMAGE = f"paperless:test-{crc32(str(ROOT).encode()):08x}"


# Of a module, not of the session: an idle system takes a third of a processor, and the worker's last test is far away.
@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """A system that has taken 1,500 applications."""
    with running_system(tmp_path_factory.mktemp("served"), "--seed", 7) as system:
        system.must("send", "--applications", APPLICATIONS)
        code, verdict = system.verify()
        assert code == 0, verdict
        yield system
        code, verdict = system.verify()
        assert code == 0, verdict


@pytest.fixture(scope="session")
def image() -> str:
    """The image of this working tree; what has not changed since the last build is not built again."""
    builder = Compose("paperless-test-build", image=IMAGE)
    # Another worker, which needs it too, waits here instead of building the same beside this one.
    with (Path(gettempdir()) / f"{IMAGE.replace(':', '-')}.lock").open("w") as lock:
        flock(lock, LOCK_EX)
        builder.must("build", "secrets", within_s=900)
    return IMAGE


@pytest.fixture(scope="session")
def composed(image: str) -> Iterator[Compose]:
    """The system of docker-compose.yml, shared: a test brings its own applications and leaves everything healthy."""
    with Compose(f"paperless-test-{os.getpid()}", image=image) as system:
        system.up()
        assert system.decided() == 0
        yield system


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show what the containers say beside a failure."""
    report = yield
    systems = [value for value in getattr(item, "funcargs", {}).values() if isinstance(value, Compose)]
    if report.failed:
        report.sections += [(f"containers of {system.project}", system.state()) for system in systems]
    return report
