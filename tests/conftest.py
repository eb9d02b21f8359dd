"""What every test gets: a tier, a limit of time, no traffic beyond this machine, no hypothesis clock; see README.md."""

import ipaddress
import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from _pytest.nodeid import NodeId
from hypothesis import settings

from paperless.testing.engine import need_engine
from tests.support.slow_tests import SlowTests

# Shared machines stall; a slow example is no failure.
settings.register_profile("default", deadline=None, print_blob=True)
settings.load_profile("default")

# Ctrl-C is ignored by what a shell starts in the background, and by all that starts from there: tests send it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


SYSTEM = Path(__file__).parent / "system"
# Started once for a session: who uses one of these is on one worker, or another worker would start it, too.
SHARED = {"composed": "composed", "container": "kafka", "kafka": "kafka", "postgres_server": "postgres"}
# What one worker must do alone begins first, the longest before the others; so all workers end together.
LONGEST = ("composed", "test_faults_cluster", "kafka")


def pytest_addoption(parser: pytest.Parser) -> None:
    limit = "name tests not marked slow that take longer than S; fail if one takes five times as long"
    parser.addoption("--slow-limit", type=float, metavar="S", help=limit)


def pytest_configure(config: pytest.Config) -> None:
    if limit := config.getoption("slow_limit"):
        config.pluginmanager.register(SlowTests(limit))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """One worker more than processors: for a quarter of its time a test waits, for processes, brokers, containers."""
    return (os.cpu_count() or 1) + 1


# Around all others: before pytest selects by marker and xdist by group, and after the order was drawn.
@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> Iterator[None]:
    for item in items:
        if item.path.is_relative_to(SYSTEM):
            item.add_marker("system")
        if item.get_closest_marker("xdist_group") is None and (group := _worker_group(item)):
            item.add_marker(pytest.mark.xdist_group(group))
    yield
    for item in items:
        # xdist 3.8 writes the group to where pytest 9.2 no longer reads it.
        if "_nodeid" in vars(item):
            item._id = NodeId.parse(vars(item)["_nodeid"])
    items.sort(key=_rank)


def _worker_group(item: pytest.Item) -> str | None:
    """Return the name of the tests that one worker runs, one after the other; None: any worker takes this test."""
    if (named := item.get_closest_marker("xdist_group")) is not None:
        return str(named.args[0])
    if not any(map(item.get_closest_marker, ("container", "system"))):
        return None
    fixtures = getattr(item, "fixturenames", ())
    # Those of a module share a system or a server.
    return next((SHARED[name] for name in fixtures if name in SHARED), item.path.stem)


def _rank(item: pytest.Item) -> int:
    """Return when a test's turn is; those of a group have the same, so that a module's stay together."""
    group = _worker_group(item)
    if group is None:
        return len(LONGEST) + (1 if item.get_closest_marker("slow") else 2)
    return LONGEST.index(group) if group in LONGEST else len(LONGEST)


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("container") is not None:
        need_engine()


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


@pytest.fixture(autouse=True, scope="session")
def _loggers_follow_the_configuration() -> Iterator[None]:
    """Let no logger keep the configuration of its first use: it would write past the `capture_logs` of a later test."""
    configure = structlog.configure

    def without_cache(*given: Any, **named: Any) -> None:
        configure(*given, **{**named, "cache_logger_on_first_use": False})

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(structlog, "configure", without_cache)
        yield


@pytest.fixture(autouse=True)
def _logs_are_those_of_the_test() -> Iterator[None]:
    """Forget how a command or a service that ran in this process wanted its logs: some show errors alone."""
    yield
    structlog.reset_defaults()
