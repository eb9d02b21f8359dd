"""Applications that go on arriving for as long as faults last, and what has to hold when they are over.

    with traffic(system) as flow:           # `paperless send` in a container, a new day every few seconds
        system.crash("intake")
        flow.goes_on()                      # new applications are decided again
    counts = flow.counts                    # Ctrl-C to the sender, then `paperless verify`: ok, or the test fails

A verdict looks at the log. What the brokers acknowledged and then forgot is not in it, so the sender's own count is
held against the store, too.
"""

import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from itertools import count

from tests.system.compose import LABEL, Compose, docker
from tests.system.front_door import POLL_S, eventually

# A night has few applications, so days are short. All are over after eight minutes, whatever became of the test.
DAYS, SECONDS_PER_DAY, PER_DAY = 25, 20, 1_000
FIRST_DAY = date(2026, 1, 1)
# Beyond the session time-out (6 s): the group gives a silent member's partitions away.
BEYOND_SESSION_S = 8.0
# Includes Kafka's start after a kill -9 on a machine that does other things too.
RECOVERED_WITHIN_S = 150.0
# `send` in a container: the days' file first, because the container has none of ours.
SEND = f"""
cat > /tmp/days.toml <<'END'
name = "days-with-faults"
title_vi = "Những ngày có sự cố"
sentence = "Days as they are, one after the other."
days = [{{days}}]
END
exec paperless send --scenario /tmp/days.toml --applications {DAYS * PER_DAY} --pace {SECONDS_PER_DAY}
"""
# Each run has days of its own: an application that was filed before would only be repeated.
_runs = count()


class Flow:
    """One run of `paperless send` and what came of it; `counts` are the verdict's, once the run is over."""

    def __init__(self, system: Compose) -> None:
        self.system = system
        self.sent = 0
        self.counts: dict[str, int] = {}
        self._before = system.decided()
        first = FIRST_DAY + next(_runs) * timedelta(DAYS)
        days = ", ".join(str(first + timedelta(number)) for number in range(DAYS))
        self._sender = system.start_run("sh", "-c", SEND.format(days=days))

    def goes_on(self, applications: int = 100) -> None:
        """Wait until this many more applications are decided."""
        before = eventually(self.system.decided, RECOVERED_WITHIN_S)
        eventually(lambda: self._decided_on_the_way() >= before + applications, RECOVERED_WITHIN_S)

    def stands_still(self, for_s: float = BEYOND_SESSION_S) -> None:
        """Wait until nothing was decided for so long: the fault bites, and it lasts."""
        decided, since = self.system.decided(), time.monotonic()
        deadline = since + RECOVERED_WITHIN_S
        while time.monotonic() < since + for_s:
            assert time.monotonic() < deadline, "applications are decided in spite of the fault"
            # 0: the API does not answer either.
            if (now := self.system.decided()) not in {0, decided}:
                decided, since = now, time.monotonic()
            time.sleep(POLL_S)

    def presumes(self, for_s: float = BEYOND_SESSION_S) -> None:
        """Wait for so long, and until outcomes are presumed because no database answers."""
        before, until = self._presumed(), time.monotonic() + for_s
        eventually(lambda: time.monotonic() > until and self._presumed() > before, RECOVERED_WITHIN_S)

    def end(self) -> None:
        """Stop the sender as Ctrl-C does, and let `paperless verify` judge."""
        self._interrupt()
        out, err = self._sender.communicate(timeout=RECOVERED_WITHIN_S)
        assert self._sender.returncode in {0, 130}, (self._sender.returncode, out, err)
        stopped = re.search(r"stopped after ([\d,]+) of", out)
        self.sent = int(stopped[1].replace(",", "")) if stopped else DAYS * PER_DAY
        self.system.wait_healthy()
        self._judge()

    def kill(self) -> None:
        """Leave no sender behind, however the test ended."""
        for container in self._containers():
            docker("kill", container)
        self._sender.communicate(timeout=60)

    def _presumed(self) -> int:
        rates = self.system.get("/rates?authority=all")
        return int(rates["total"]["rates"]["presumed"]["numerator"]) if rates else 0

    def _judge(self) -> None:
        code, verdict = self.system.verify("--within", 200)
        # For a report: pytest -rP shows it.
        sys.stderr.write(f"sent {self.sent}, {verdict['counts']}\n")
        assert (code, verdict["readings"]) == (0, "live = recount = oracle"), verdict
        self.counts = verdict["counts"]
        assert (self.counts["lost"], self.counts["counted_twice"]) == (0, 0)
        gained = self.counts["decided"] - self._before
        assert self.sent <= gained, f"{self.sent} were acknowledged, {gained} are there"

    def _decided_on_the_way(self) -> int:
        """How many are decided, while there is a sender: without one it would be waited for in vain."""
        assert self._sender.poll() is None, self._sender.communicate()
        return self.system.decided()

    def _interrupt(self) -> None:
        for container in self._containers():
            docker("kill", "--signal", "INT", container)

    def _containers(self) -> list[str]:
        ours = f"{LABEL}.project={self.system.project}"
        return docker("ps", "--quiet", "--filter", ours, "--filter", f"{LABEL}.oneoff=True").split()


@contextmanager
def traffic(system: Compose) -> Iterator[Flow]:
    """Keep applications coming while the block runs; its end is a verdict."""
    flow = Flow(system)
    try:
        flow.goes_on()
        yield flow
        flow.end()
    finally:
        flow.kill()
