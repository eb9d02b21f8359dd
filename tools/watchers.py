"""Measures what people who look on cost: `python -m tools.watchers`, on a machine that does nothing else.

Starts a system of its own and sends days at full speed, by turns with nobody and with so many live pages open. Says how
fast they went through, the processor time of scoring, its API and the portal, their memory, and the largest tick. On a
busy machine only processor times mean something.
"""

import argparse
import asyncio
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import httpx
import psutil

from runtime.command_line import run
from tools.own_system import paperless, seen, system

PARTS = ("scoring", "scoring_api", "portal")
CONSUMERS = ("intake", "vneid_mock", "scoring")


class Day(NamedTuple):
    """A day that was sent: with how many watchers, how long until all was counted, and processor seconds by part."""

    watchers: int
    seconds: float
    cpu_s: dict[str, float]


class Ticks:
    """What the watchers of a day have received: how many ticks, and the bytes of the largest."""

    def __init__(self) -> None:
        self.many = self.largest = 0

    async def follow(self, url: str) -> None:
        """Read a stream until it ends; no more than that, since these watchers share the processors with the flow."""
        address = urlsplit(url)
        reader, writer = await asyncio.open_connection(address.hostname, address.port, limit=1 << 20)
        try:
            writer.write(f"GET {address.path} HTTP/1.1\r\nHost: {address.netloc}\r\n\r\n".encode())
            async for line in reader:
                if line.startswith(b"data: {"):
                    self.many += 1
                    self.largest = max(self.largest, len(line))
        finally:
            writer.close()


def spent(state: Path) -> dict[str, float]:
    """Return the processor seconds of the parts until now."""
    processes = seen(state)["processes"]
    times = {part: psutil.Process(each["pid"]).cpu_times() for part, each in processes.items()}
    times["these watchers"] = psutil.Process().cpu_times()
    return {part: each.user + each.system for part, each in times.items()}


def wait_for_rest(state: Path) -> None:
    """Return when no consumer has anything left, twice in a row."""
    endpoints, still = seen(state)["endpoints"], 0
    with httpx.Client(transport=httpx.HTTPTransport(), timeout=30) as client:
        while still < 2:
            healths = [client.get(f"{endpoints[name]}/health").json() for name in CONSUMERS]
            busy = any(each["open"] or any(each["lag"].values()) for each in healths)
            still = 0 if busy else still + 1
            time.sleep(0.2)


@contextmanager
def watching(state: Path, watchers: int, ticks: Ticks) -> Iterator[None]:
    """Keep so many streams open, in a thread with a loop of its own."""
    url, loop = f"{seen(state)['endpoints']['portal']}/stream", asyncio.new_event_loop()

    async def watch() -> None:
        with suppress(asyncio.CancelledError):
            await asyncio.gather(*[ticks.follow(url) for _ in range(watchers)])

    watch_all = loop.create_task(watch())
    thread = threading.Thread(target=loop.run_until_complete, args=(watch_all,))
    thread.start()
    try:
        yield
    finally:
        loop.call_soon_threadsafe(watch_all.cancel)
        thread.join()
        loop.close()


def day(state: Path, number: int, watchers: int, applications: int, ticks: Ticks) -> Day:
    """Send a day at full speed, and wait until scoring has counted all of it."""
    before, began = spent(state), time.monotonic()
    with watching(state, watchers, ticks):
        seed = str(1_000 + number)
        paperless("send", "--state", str(state), "--applications", str(applications), "--seed", seed, "--pace", "max")
        wait_for_rest(state)
        seconds = time.monotonic() - began
        after = spent(state)
    return Day(watchers, seconds, {part: after[part] - before[part] for part in before})


def told(days: Sequence[Day], applications: int, processes: dict[str, Any], ticks: Ticks) -> Iterator[str]:
    """Yield what was measured, line by line."""
    for each in days:
        cpu = ", ".join(f"{part} {seconds:.1f} s" for part, seconds in each.cpu_s.items())
        yield f"{each.watchers:>3} watchers: {applications / each.seconds:,.0f} applications/s; processor: {cpu}"
    mean = {many: _mean([each.cpu_s["scoring"] for each in days if (each.watchers > 0) == many]) for many in (0, 1)}
    speed = {many: _mean([1 / each.seconds for each in days if (each.watchers > 0) == many]) for many in (0, 1)}
    yield f"throughput {100 * (speed[1] / speed[0] - 1):+.1f} %"
    yield f"scoring's processor time {100 * (mean[1] / mean[0] - 1):+.1f} %"
    yield f"{ticks.many} ticks, the largest {ticks.largest} bytes"
    yield ", ".join(f"{part} {processes[part]['peak_rss_bytes'] / 1e6:.0f} MB" for part in PARTS)


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def main() -> int:
    """Measure and print; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tools.watchers", description=str(__doc__))
    parser.add_argument("--watchers", type=int, default=20, help="live pages open at once (default: 20)")
    parser.add_argument("--applications", type=int, default=60_000, help="of each day (default: 60,000)")
    parser.add_argument("--rounds", type=int, default=3, help="days of either kind (default: 3)")
    given = parser.parse_args()
    # Nobody, they, they, nobody: what drifts falls on both alike.
    order = [(number % 4 in {1, 2}) * given.watchers for number in range(2 * given.rounds)]
    ticks = Ticks()
    with system() as state:
        # The first day also warms up.
        day(state, 0, 0, max(1, given.applications // 10), ticks)
        days = [day(state, at, many, given.applications, ticks) for at, many in enumerate(order, start=1)]
        print("\n".join(told(days, given.applications, seen(state)["processes"], ticks)))
    return 0


if __name__ == "__main__":
    run(main)
