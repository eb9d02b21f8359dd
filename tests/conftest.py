"""What every test gets: a tier, a limit of time, no traffic beyond this machine, no hypothesis clock; see README.md."""

import ipaddress
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
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
# Whole demos and measured loads: beside the systems of docker compose, both would run out of processor time.
BUSY = ("test_demo", "test_load_stalls")


def pytest_addoption(parser: pytest.Parser) -> None:
    limit = "name tests not marked slow that take longer than S; fail if one takes five times as long"
    parser.addoption("--slow-limit", type=float, metavar="S", help=limit)


def pytest_configure(config: pytest.Config) -> None:
    if limit := config.getoption("slow_limit"):
        config.pluginmanager.register(SlowTests(limit))


# Around all others: before pytest selects by marker and xdist by group, and after the order was drawn.
@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> Iterator[None]:
    for item in items:
        if item.path.is_relative_to(SYSTEM):
            item.add_marker("system")
        if group := _worker_group(item):
            item.add_marker(pytest.mark.xdist_group(group))
    yield
    for item in items:
        # xdist 3.8 writes the group to where pytest 9.2 no longer reads it.
        if "_nodeid" in vars(item):
            item._id = NodeId.parse(vars(item)["_nodeid"])
    items.sort(key=_rank)


def _worker_group(item: pytest.Item) -> str | None:
    """Return the name of the tests that one worker runs, one after the other; None: any worker takes it."""
    system = item.get_closest_marker("system") is not None
    container = item.get_closest_marker("container") is not None
    if container or (system and item.path.stem in BUSY):
        return "containers"
    # Those of a module share a system.
    return item.path.stem if system else None


def _rank(item: pytest.Item) -> tuple[bool, ...]:
    """Return when a test's turn is: what one worker must do alone, or takes long, begins first; so all end together."""
    return tuple(item.get_closest_marker(name) is None for name in ("system", "container", "slow"))


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
