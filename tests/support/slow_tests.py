"""A run fails in which a test was slow without saying so."""

import pytest


class SlowTests:
    """A pytest plugin that names tests that take longer than a limit and are not marked `slow`.

    Only the test itself is timed: the first test of many that share a container is not slow because it waits for it.
    """

    def __init__(self, limit_s: float) -> None:
        self.limit_s = limit_s
        self.unmarked: dict[str, float] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" and report.duration > self.limit_s and "slow" not in report.keywords:
            self.unmarked[report.nodeid] = report.duration

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self.unmarked and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self.unmarked:
            terminalreporter.section(
                f"over {self.limit_s:.0f} s and not marked slow: make it faster, or mark it and say why"
            )
        for name, seconds in sorted(self.unmarked.items()):
            terminalreporter.line(f"{seconds:5.1f} s  {name}", red=True)
