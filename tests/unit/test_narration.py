"""Nobody waits without a word: what is said of a phase, how often, and what is said at once."""

import io
import time
from typing import Any

import pytest
from rich.console import Console

from paperless.cli.narration import LINE_EVERY_S, Narration
from paperless.cli.phases import Filing, Running, Starting, backlog_told
from paperless.cli.terminal import Terminal
from paperless.language import Message, message, texts
from paperless.local.state import StateDirectory
from paperless.traffic.driver import Progress
from paperless.verification.backlog import Backlog, BacklogWatch, ServiceBacklog

SOON_S = 20.0


class Told:
    """A phase that a test holds in its hands."""

    def __init__(self) -> None:
        self.trouble = ""
        self.looks = 0

    async def look(self) -> None:
        self.looks += 1
        raise OSError("away")

    def told(self, elapsed_s: float) -> list[Message]:
        return [message("phase.waiting", seconds=round(elapsed_s)), message("backlog.nothing")]

    def alarm(self) -> str:
        return self.trouble

    def drawn(self, _: object) -> None:
        return None


def screen() -> Terminal:
    return Terminal(texts("en"), Console(file=io.StringIO(), width=80, highlight=False))


def lines(terminal: Terminal) -> list[str]:
    assert isinstance(terminal.console.file, io.StringIO)
    return terminal.console.file.getvalue().splitlines()


def until(condition: Any) -> None:
    ends = time.monotonic() + SOON_S
    while not condition():
        assert time.monotonic() < ends
        time.sleep(0.01)


def test_a_line_comes_at_least_every_five_seconds():
    assert LINE_EVERY_S < 5


def test_what_goes_on_is_said_again_and_again_although_the_command_does_nothing():
    terminal = screen()
    with Narration(terminal, every_s=0.05) as narration:
        narration.enter("phase.surveying")
        until(lambda: len(lines(terminal)) >= 3)
    assert set(lines(terminal)) == {"looking at the log, 0 s"}


def test_a_look_that_fails_does_not_end_the_telling():
    terminal, phase = screen(), Told()
    with Narration(terminal, every_s=0.05) as narration:
        narration.enter(phase)
        until(lambda: phase.looks >= 2)
    assert "waiting, 0 s; nothing is left to do" in lines(terminal)


def test_trouble_is_said_at_once_and_its_end_too():
    terminal, phase = screen(), Told()
    with Narration(terminal, every_s=1_000) as narration:
        narration.enter(phase)
        time.sleep(0.3)
        assert lines(terminal) == []
        phase.trouble = "broker unreachable"
        until(lambda: len(lines(terminal)) == 1)
        phase.trouble = ""
        until(lambda: len(lines(terminal)) == 2)


def test_a_terminal_gets_a_live_display_instead_of_lines():
    file = io.StringIO()
    terminal = Terminal(texts("vi"), Console(file=file, width=80, force_terminal=True))
    with Narration(terminal, every_s=0.05) as narration:
        narration.enter("phase.surveying")
        time.sleep(0.6)
        narration.line("a line that stays")
    shown = file.getvalue()
    assert "đang xem nhật ký" in shown
    assert "a line that stays" in shown


def service(
    name: str, lag: int = 0, *, reasons: tuple[str, ...] = (), still_s: float = 0.0, open_records: int = 0
) -> ServiceBacklog:
    return ServiceBacklog(name, {"documents.requested": lag}, open_records, 0, reasons, still_s)


def said(backlog: Backlog, *, within_s: float | None = None, language: Any = "en") -> str:
    return "; ".join(map(texts(language).say, backlog_told(backlog, within_s)))


def test_the_lag_is_told_by_service():
    backlog = Backlog((service("intake", 1_200), service("vneid_mock", 34, open_records=5), service("scoring")))
    assert said(backlog) == "1,234 records to go (intake 1,200, vneid_mock 34); 5 open"
    assert said(backlog, language="vi") == "còn 1.234 bản ghi (intake 1.200, vneid_mock 34); 5 đang mở"


def test_nothing_left_is_told():
    assert said(Backlog((service("intake"),))) == "nothing is left to do"


def test_what_is_not_known_yet_is_told():
    assert said(Backlog((service("intake", -1),))) == "how much there is to do is not known yet"


def test_who_stands_still_and_why_is_told_and_when_it_ends():
    stuck = service("scoring", 7, reasons=("the store is locked",), still_s=12)
    backlog = Backlog((service("intake"), stuck), still_s=12)
    assert said(backlog, within_s=60) == (
        "7 records to go (scoring 7); scoring: the store is locked; scoring stands still for 12 s;"
        " nothing has moved for 12 s; it ends after 60 s"
    )


def test_a_broker_that_is_away_is_told_once_for_all_services():
    away = ("broker unreachable",)
    backlog = Backlog((service("intake", reasons=away), service("scoring", reasons=away)))
    assert said(backlog) == "intake, scoring: broker unreachable"
    assert said(backlog, language="vi") == "intake, scoring: không liên lạc được broker"


def test_the_alarm_changes_with_the_trouble_and_not_with_its_seconds():
    phase = Running("phase.waiting", {})
    alarms = []
    for reasons in (
        (),
        ("records wait, and none was handled for 31 s",),
        ("records wait, and none was handled for 32 s",),
        (),
    ):
        phase.see(Backlog((service("scoring", 1, reasons=reasons),)))
        alarms.append(phase.alarm())
    assert alarms[0] == alarms[3] == ""
    assert alarms[1] == alarms[2] != ""


def test_filing_tells_how_far_it_is_and_what_waits():
    filing = Filing(20_000, {}, None)
    assert texts("en").say(filing.told(1.4)[0]) == "filing, 1 s: 0 of 20,000 sent"
    filing.show(Progress(5_000, 20_000, None, 0.0, 0.0))
    filing.see(Backlog((service("intake", 300),)))
    assert [texts("en").say(each) for each in filing.told(2)] == [
        "filing, 2 s: 5,000 of 20,000 sent",
        "300 records to go (intake 300)",
    ]


def test_starting_tells_what_is_waited_for_even_before_there_is_anything(tmp_path):
    starting = Starting(StateDirectory(tmp_path))
    assert texts("en").say(starting.told(3)[0]) == "starting, 3 s: the broker"
    starting._waiting = ["intake", "scoring"]
    assert texts("en").say(starting.told(4)[0]) == "starting, 4 s: waiting for intake, scoring"
    starting._ready = ["portal"]
    assert texts("en").say(starting.told(5)[0]) == "starting, 5 s: portal ready; waiting for intake, scoring"


def body(offset: int, lag: int, **more: Any) -> dict[str, Any]:
    topic = "applications.submitted"
    return {"reasons": [], "open": 0, "unsent": 0, "lag": {topic: lag}, "positions": {topic: {"0": offset}}, **more}


def test_members_of_one_service_are_added_up():
    backlog = BacklogWatch().see({"intake": body(5, 2, open=1), "intake_2": body(1, 3, open=4)}, 0.0)
    assert [(each.name, each.records, each.open) for each in backlog.services] == [("intake", 5, 5)]


def test_each_service_has_its_own_time_without_progress():
    watch = BacklogWatch()
    for now in range(0, 21, 5):
        backlog = watch.see({"intake": body(now, 20 - now), "scoring": body(0, 7)}, float(now))
    assert [(each.name, each.still_s, each.stands_still) for each in backlog.services] == [
        ("intake", 0.0, False),
        ("scoring", 20.0, True),
    ]
    assert backlog.still_s == 0.0


@pytest.mark.parametrize("reached", [7, 8])
def test_a_rebalance_that_reads_again_is_no_progress_until_it_is_further(reached):
    watch = BacklogWatch()
    watch.see({"intake": body(7, 3)}, 0.0)
    watch.see({"intake": body(4, 6)}, 10.0)
    backlog = watch.see({"intake": body(reached, 10 - reached)}, 20.0)
    assert backlog.still_s == (20.0 if reached == 7 else 0.0)
