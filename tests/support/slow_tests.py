"""Tests that are slow without saying so are named; one that is far too slow fails the run."""

import pytest

# What is busy beside the tests makes one take twice its time now and then, not five times.
FAILS_OVER = 5


class SlowTests:
    """A pytest plugin that names tests that take longer than a limit and are not marked `slow`.

    A run must not depend on how busy its machine is: it fails only for a test that takes over five times the limit.
    Only the test itself is timed: the first test of many that share a container is not slow because it waits for it.
    """

    def __init__(self, limit_s: float) -> None:
        self.limit_s = limit_s
        self.unmarked: dict[str, float] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" and report.duration > self.limit_s and "slow" not in report.keywords:
            self.unmarked[report.nodeid] = report.duration

    def _fails(self, seconds: float) -> bool:
        return seconds > FAILS_OVER * self.limit_s

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if any(map(self._fails, self.unmarked.values())) and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if not self.unmarked:
            return
        terminalreporter.section(
            f"over {self.limit_s:.0f} s and not marked slow: make it faster, or mark it and say why"
        )
        for name, seconds in sorted(self.unmarked.items()):
            fails = self._fails(seconds)
            verdict = f"  fails the run: over {FAILS_OVER * self.limit_s:.0f} s" if fails else ""
            terminalreporter.line(f"warning: {seconds:5.1f} s  {name}{verdict}", red=fails, yellow=not fails)
