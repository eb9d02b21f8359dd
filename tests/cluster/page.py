"""One history as a page: who lived when and owned what, what went wrong, what was committed, and the verdict."""

import re
from collections.abc import Iterable, Iterator, Mapping
from html import escape
from typing import NamedTuple

from benchmarks.virtual_time import EPOCH_MS
from contracts.topics import ALL, APPLICATIONS_DECIDED
from tests.cluster.history import PARTITIONS, History

TOPICS = tuple(topic.name for topic in ALL)
# Told apart by people who see colours differently, too (Okabe and Ito).
COLOURS = ("#0072b2", "#e69f00", "#009e73")
LEFT, WIDTH, ROW, LANE = 190.0, 1025.0, 16.0, 52.0
_LIVES = re.compile(r"(\S+) (starts|is killed|is frozen|thaws|ends with .*)")
_COMMIT = re.compile(r"(\w+) commits (\S+)/(\d+) (\d+) -> (\d+)")
_LEGEND = (
    ("#e8ecef", "a grey lane: the process lives"),
    ("#a9c6e8", "a blue one: it is frozen"),
    *((colour, f"partition {number}: owned, and its records") for number, colour in enumerate(COLOURS)),
    ("#222222", "a tick below a partition: its member commits an offset"),
    ("#c8102e", "a red bar: a mishap, while it lasts; a red line: a process is killed or ends"),
)
_STYLE = """
body { font: 14px/1.45 system-ui, sans-serif; margin: 20px; color: #222; max-width: 1240px }
h1 { font-size: 20px; margin: 0 0 4px } svg text { font: 12px system-ui, sans-serif; fill: #222 }
p { margin: 4px 0 } .held { color: #00694a } .broken { color: #c8102e }
ul { list-style: none; padding: 0; display: flex; flex-wrap: wrap; gap: 2px 22px; margin: 8px 0 }
i { display: inline-block; width: 12px; height: 12px; margin-right: 6px } pre { font-size: 12px }
"""


class Period(NamedTuple):
    """From when to when (simulated seconds), and what it is, for who points at it."""

    begins: float
    ends: float
    says: str


def page_of(history: History) -> str:
    """Return the page: one file of XHTML with its drawing in it, that asks no other server for anything."""
    held = not history.violations
    verdict = "All held." if held else "Violated: " + "; ".join(history.violations)
    legend = "".join(f'<li><i style="background: {colour}"></i>{escape(says)}</li>' for colour, says in _LEGEND)
    lines = "\n".join(f"{at:9.3f}  {line}" for at, line in history.lines)
    return f"""<!DOCTYPE html>
<html xmlns="http://www.w3.org/1999/xhtml" lang="en"><head><meta charset="utf-8"/>
<title>History {history.wish.seed}</title><style>{_STYLE}</style></head><body>
<h1>History {history.wish.seed} of the simulated cluster</h1>
<p>{history.submitted} submissions, {history.requests} requests to brokers, {history.lasted_s:.0f} simulated seconds.
Again: <code>{escape(history.wish.command())}</code></p>
<p class="{"held" if held else "broken"}"><strong>{escape(verdict)}</strong>
{_meaning(history)}</p>
<ul>{legend}</ul>
{_drawing(history)}
<details><summary>Every line of the history</summary><pre>{escape(lines)}</pre></details>
</body></html>
"""


def _meaning(history: History) -> str:
    decided = {record.key for record in history.records.get(APPLICATIONS_DECIDED.name, [])}
    return (
        f"{len(decided)} applications have an outcome. Nothing is lost, because an offset is committed only when the "
        "log has what follows from the records before it: who takes a partition over reads on from there, and repeats "
        "add nothing."
    )


def _drawing(history: History) -> str:
    names = sorted({name for _, line in history.lines if (name := _subject(line))})
    top = ROW * (len(history.mishaps) + 1)
    height = top + LANE * len(names) + ROW * 1.5 * len(TOPICS) + 40
    scale = WIDTH / max(history.lasted_s, 1.0)
    lanes = {name: top + LANE * place for place, name in enumerate(names)}
    below = top + LANE * len(names) + 8
    shapes = [
        *_axis(history.lasted_s, scale, height),
        *_mishaps(history, scale),
        *_lives(history, lanes, scale),
        *_owned(history, lanes, scale),
        *_commits(history, lanes, scale),
        *_records(history, below, scale),
    ]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="1240" height="{height:.0f}" role="img" '
        f'aria-label="time line of history {history.wish.seed}">\n{chr(10).join(shapes)}\n</svg>'
    )


def _subject(line: str) -> str | None:
    told = _LIVES.fullmatch(line)
    return told[1] if told else None


def _rectangle(period: Period, scale: float, y: float, height: float, colour: str) -> str:
    width = max(1.5, (period.ends - period.begins) * scale)
    return (
        f'<rect x="{LEFT + period.begins * scale:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" '
        f'fill="{colour}"><title>{escape(period.says)}</title></rect>'
    )


def _text(x: float, y: float, says: str, anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(says)}</text>'


def _axis(lasted_s: float, scale: float, height: float) -> Iterator[str]:
    step = next(step for step in (1, 2, 5, 10, 20, 50, 100) if lasted_s / step <= 20)
    for second in range(0, int(lasted_s) + 1, step):
        x = LEFT + second * scale
        yield f'<line x1="{x:.1f}" y1="0" x2="{x:.1f}" y2="{height - 20:.1f}" stroke="#dddddd"/>'
        yield _text(x, height - 6, f"{second} s", "middle")


def _mishaps(history: History, scale: float) -> Iterator[str]:
    for row, mishap in enumerate(history.mishaps):
        ends = min(mishap.at_s + mishap.lasts_s, history.lasted_s)
        y = row * ROW
        yield _rectangle(Period(mishap.at_s, ends, str(mishap)), scale, y + 2, ROW - 4, "#c8102e")
        yield _text(LEFT - 8, y + 12, mishap.kind, "end")


def _lives(history: History, lanes: Mapping[str, float], scale: float) -> Iterator[str]:
    for name, y in lanes.items():
        yield _text(LEFT - 8, y + LANE / 2, name, "end")
        yield from _life(history, name, y, scale)


def _life(history: History, name: str, y: float, scale: float) -> Iterator[str]:
    """Draw when a member's processes lived, when they were frozen, and how they ended."""
    lived = frozen = None
    told = [(at, line) for at, line in history.lines if _subject(line) == name]
    for at, line in [*told, (history.lasted_s, f"{name} is there at the end")]:
        if lived is not None and not line.endswith(("is frozen", "thaws")):
            yield _rectangle(Period(lived, at, f"{name} until {at:.1f} s"), scale, y, LANE - 6, "#e8ecef")
            lived = None
        if frozen is not None:
            yield _rectangle(Period(frozen, at, f"{name} is frozen"), scale, y, LANE - 6, "#a9c6e8")
            frozen = None
        if line.endswith("starts"):
            lived = at
        elif line.endswith("is frozen"):
            frozen = at
        elif "is killed" in line or "ends with" in line:
            yield _rectangle(Period(at, at, f"{at:.1f} s: {line}"), scale, y - 2, LANE - 2, "#c8102e")


def _owned(history: History, lanes: Mapping[str, float], scale: float) -> Iterator[str]:
    for name, number, begins, ends in history.owned:
        y = lanes[name] + 3 + number * 14
        says = f"{name} owns partition {number} from {begins:.1f} to {ends:.1f} s"
        yield _rectangle(Period(begins, ends, says), scale, y, 8, COLOURS[number % len(COLOURS)])


def _commits(history: History, lanes: Mapping[str, float], scale: float) -> Iterator[str]:
    for at, line in history.lines:
        commit = _COMMIT.fullmatch(line)
        if commit is None:
            continue
        for name in _owners(history, commit[1], int(commit[3]), at):
            y = lanes[name] + 11 + int(commit[3]) * 14
            yield _rectangle(Period(at, at, f"{at:.1f} s: {line}"), scale, y, 4, "#222222")


def _owners(history: History, service: str, number: int, at: float) -> Iterable[str]:
    return sorted(
        {
            name
            for name, owned, begins, ends in history.owned
            if owned == number and begins <= at <= ends and name.rpartition("-")[0] == service
        }
    )


def _records(history: History, y: float, scale: float) -> Iterator[str]:
    for row, topic in enumerate(TOPICS):
        top = y + row * ROW * 1.5
        yield _text(LEFT - 8, top + 13, topic, "end")
        for record in history.records.get(topic, []):
            at = (record.timestamp - EPOCH_MS) / 1000
            place = top + 5 * (record.partition % PARTITIONS)
            says = f"{at:.1f} s: {topic}/{record.partition}/{record.offset}"
            yield _rectangle(Period(at, at, says), scale, place, 5, COLOURS[record.partition % len(COLOURS)])
