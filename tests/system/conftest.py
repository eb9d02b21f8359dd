"""A running system that several modules look at; whoever changes it puts it back."""

from collections.abc import Iterator

import pytest

from tests.system.front_door import System, alive

APPLICATIONS = 1_500


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """A system that has taken 1,500 applications."""
    system = System(tmp_path_factory.mktemp("served"))
    system.must("up", "--seed", 7)
    pids = system.pids()
    try:
        system.must("send", "--applications", APPLICATIONS)
        code, verdict = system.verify()
        assert code == 0, verdict
        yield system
        code, verdict = system.verify()
        assert code == 0, verdict
    finally:
        system.must("down")
    assert alive(pids) == []
