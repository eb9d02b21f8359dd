"""What a command that plays, loads or verifies goes through, as it is told meanwhile."""

import re
import time
from collections.abc import Mapping
from typing import Final

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar

from paperless.cli.rate_tables import league_table
from paperless.http_client import async_http_client
from paperless.language import Message, Texts, message
from paperless.local.health import REQUEST_TIMEOUT_S, unready_of
from paperless.local.state import StateDirectory
from paperless.traffic.driver import Progress as Sent
from paperless.verification import scoring_client
from paperless.verification.backlog import STILL_S, Backlog, BacklogWatch, ServiceBacklog
from paperless.verification.members import ask_members
from services.scoring.rates.rates import RatesTable

BROKER_UNREACHABLE: Final = "broker unreachable"
TOP_ROWS: Final = 10
_BAR_WIDTH: Final = 60
_DIGITS: Final = re.compile(r"[\d.,]+")


class Starting:
    """A local system that starts: which parts are ready, and which are not."""

    def __init__(self, directory: StateDirectory) -> None:
        self._directory = directory
        self._ready: list[str] = []
        self._waiting: list[str] = []

    async def look(self) -> None:
        state = self._directory.read()
        if state is None:
            return
        async with async_http_client(timeout_s=REQUEST_TIMEOUT_S) as client:
            unready = await unready_of(client, state.endpoints)
        self._ready = [name for name in state.endpoints if name not in unready]
        self._waiting = list(unready)

    def told(self, elapsed_s: float) -> list[Message]:
        seconds = round(elapsed_s)
        if not self._waiting:
            return [message("phase.starting_nothing", seconds=seconds)]
        waiting = ", ".join(self._waiting)
        if not self._ready:
            return [message("phase.starting_all", seconds=seconds, waiting=waiting)]
        return [message("phase.starting", seconds=seconds, ready=", ".join(self._ready), waiting=waiting)]

    def alarm(self) -> str:
        return ""

    def drawn(self, _: Texts) -> RenderableType | None:
        return None


class Running:
    """A phase of a running system: asks every member how it is, and says so after the phase's own sentence."""

    def __init__(self, key: str, health_urls: Mapping[str, str], *, within_s: float | None = None) -> None:
        self._key, self._urls, self._within_s = key, health_urls, within_s
        self._watch = BacklogWatch()
        self.backlog = Backlog()

    async def look(self) -> None:
        if self._urls:
            async with async_http_client(timeout_s=REQUEST_TIMEOUT_S, urls=self._urls.values()) as client:
                self.see(self._watch.see(await ask_members(client, self._urls), time.monotonic()))

    def see(self, backlog: Backlog) -> None:
        """Take over what is left to do."""
        self.backlog = backlog

    def told(self, elapsed_s: float) -> list[Message]:
        return [message(self._key, seconds=round(elapsed_s)), *backlog_told(self.backlog, self._within_s)]

    def alarm(self) -> str:
        """What keeps services from working, and who stands still; how long changes too often to be said at once."""
        still = [service.name for service in self.backlog.services if service.stands_still]
        troubles = [f"{_DIGITS.sub('', reason)} {names}" for reason, names in self.backlog.troubles().items()]
        return "; ".join([*troubles, *still])

    def drawn(self, _: Texts) -> RenderableType | None:
        return None


class Verifying(Running):
    """The log is recounted: what was done last, and what is wrong meanwhile."""

    def __init__(self, health_urls: Mapping[str, str]) -> None:
        super().__init__("phase.verifying", health_urls)
        self._last = message("verifying.recounting")

    def note(self, last: Message) -> None:
        """Take over what was done last."""
        self._last = last

    def told(self, elapsed_s: float) -> list[Message]:
        troubles = [_trouble(reason, names) for reason, names in self.backlog.troubles().items()]
        return [message("phase.verifying", seconds=round(elapsed_s)), self._last, *troubles]


class Filing(Running):
    """Applications are being sent; on a terminal with a bar and, where the scoring API answers, the league table."""

    def __init__(self, planned: int, health_urls: Mapping[str, str], api_url: str | None) -> None:
        super().__init__("phase.filing", health_urls)
        self._sent = Sent(0, planned, None, 0.0, 0.0)
        self._api_url = api_url
        self._table: RatesTable | None = None
        self._drawing = False

    def show(self, sent: Sent) -> None:
        """Take over a progress report of the driver."""
        self._sent = sent

    async def look(self) -> None:
        await super().look()
        if self._drawing and self._api_url:
            async with scoring_client.async_client(self._api_url, timeout_s=REQUEST_TIMEOUT_S) as api:
                self._table = await scoring_client.ask_async(api, scoring_client.rates())

    def told(self, elapsed_s: float) -> list[Message]:
        sent, seconds = self._sent, round(elapsed_s)
        if sent.at is None or not sent.elapsed_s:
            own = message("phase.filing", seconds=seconds, sent=sent.sent, planned=sent.planned)
        else:
            per_s, at = round(sent.sent / sent.elapsed_s), f"{sent.at:%d/%m %H:%M}"
            own = message("phase.filing_at", seconds=seconds, sent=sent.sent, planned=sent.planned, at=at, per_s=per_s)
        return [own, *backlog_told(self.backlog, None)]

    def drawn(self, texts: Texts) -> RenderableType | None:
        self._drawing = True
        bar = ProgressBar(total=self._sent.planned, completed=self._sent.sent, width=_BAR_WIDTH)
        return Group(bar, league_table(texts, self._table, limit=TOP_ROWS)) if self._table else bar


def backlog_told(backlog: Backlog, within_s: float | None) -> list[Message]:
    """Return what is left to do, what is wrong and who stands still, and when that will have lasted too long."""
    if not backlog.services:
        return []
    troubles = [_trouble(reason, names) for reason, names in backlog.troubles().items()]
    still = [
        message("backlog.still", service=service.name, seconds=round(service.still_s))
        for service in backlog.services
        if service.stands_still
    ]
    ending = (
        [message("backlog.all_still", seconds=round(backlog.still_s), within=round(within_s))]
        if within_s is not None and backlog.still_s >= STILL_S and not backlog.rests
        else []
    )
    return [*_left(backlog), *troubles, *still, *backlog.missing, *ending]


def _left(backlog: Backlog) -> list[Message]:
    told = []
    busy = [service for service in backlog.services if service.records]
    if busy:
        services = [message("backlog.service", service=each.name, records=each.records) for each in busy]
        told.append(message("backlog.left", records=backlog.records, services=services))
    if any(_unknown(service) for service in backlog.services):
        told.append(message("backlog.unknown"))
    if backlog.open:
        told.append(message("backlog.open_in_all", open=backlog.open))
    return told or ([] if backlog.troubles() else [message("backlog.nothing")])


def _unknown(service: ServiceBacklog) -> bool:
    return any(lag < 0 for lag in service.lag.values())


def _trouble(reason: str, names: list[str]) -> Message:
    why: object = message("backlog.broker_unreachable") if reason == BROKER_UNREACHABLE else reason
    return message("backlog.trouble", services=", ".join(names), reason=why)
