"""The picture says what happened, to people and to what reads aloud, and asks nobody for anything."""

import re
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from paperless.chaos.picture import NARROW, WIDE, Point, drawing, page, rates
from paperless.chaos.plan import Fault, Kind
from paperless.chaos.recovery import Occurrence, Sample
from paperless.chaos.result import ChaosResult, timeline_of
from paperless.language import LANGUAGES, texts

SVG = "{http://www.w3.org/2000/svg}"
FAULTS = [Fault(Kind.KILL, "intake", 3.0, 0.0), Fault(Kind.BURST, "load", 5.0, 1.0)]
SAMPLES = [
    Sample(
        at, at * 10, at * 9, at * 8, 30 if at == 4 else 1, None if at == 6 else 2, ("intake",) if at in {3, 4} else ()
    )
    for at in range(10)
]


def result(**changes: Any) -> ChaosResult:
    occurred = [Occurrence(fault, fault.begins_s, fault.ends_s) for fault in FAULTS]
    run = timeline_of(FAULTS, occurred, SAMPLES, applications=100, rate=10.0)
    counts = {"re_delivered": 7, "presumed": 2, "overruled": 1}
    return ChaosResult("paperless chaos", 3, "rough", run, True, counts, {"intake": 1}, ())._replace(**changes)


def texts_of(svg: str) -> list[str]:
    return ["".join(each.itertext()) for each in ET.fromstring(svg).iter(f"{SVG}text")]


@pytest.mark.parametrize("width", [WIDE, NARROW])
def test_each_fault_stands_there_with_its_recovery(width):
    told = texts_of(drawing(result(), texts("en"), width))
    assert "kill -9 intake, 2.0 s" in told
    assert "burst of 10×, 1.0 s" in told
    assert "2 faults: all holds" in told


def test_a_fault_that_was_not_got_over_is_shown_as_such():
    never = timeline_of(FAULTS[:1], [Occurrence(FAULTS[0], 3.0, 30.0)], SAMPLES, applications=100, rate=10.0)
    told = texts_of(drawing(result(run=never), texts("en")))
    assert "kill -9 intake, not recovered" in told
    assert "1 faults: NOT ALL HOLDS" in told


@pytest.mark.parametrize("width", [WIDE, NARROW])
def test_nothing_is_drawn_beside_the_drawing(width):
    svg = ET.fromstring(drawing(result(), texts("en"), width))
    for each in svg.iter(f"{SVG}rect"):
        assert float(each.get("x", "")) >= 0
        assert float(each.get("x", "")) + float(each.get("width", "")) <= width
    for each in svg.iter(f"{SVG}polyline"):
        points = [point.split(",") for point in each.get("points", "").split()]
        assert all(0 <= float(x) <= width for x, _ in points)


def test_where_the_lag_is_not_known_its_line_has_a_gap():
    svg = ET.fromstring(drawing(result(), texts("en")))
    assert len(list(svg.iter(f"{SVG}polyline"))) == 2 + 1 + 2


def test_a_rate_is_what_a_count_grew_by_in_a_second():
    samples = [
        Sample(0.0, 0, 0, 0, 0, 0),
        Sample(0.5, 3, 0, 0, 0, 0),
        Sample(1.0, 8, 0, 0, 0, 0),
        Sample(3.0, 12, 0, 0, 0, 0),
    ]
    assert rates(samples, "sent") == [Point(1.0, 8.0), Point(3.0, 2.0)]


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_page_is_whole_and_asks_nobody(language):
    html = page(result(), texts(language))
    assert html.count("<svg") == 2
    assert f'lang="{language}"' in html
    assert "<script" not in html
    assert set(re.findall(r"(?:\w+:)?//[^\s\"'<>)]+", html)) == {"http://www.w3.org/2000/svg"}
    assert "{" not in "".join(texts_of(re.findall(r"<svg.*?</svg>", html, re.DOTALL)[0])[1:])


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_kind_has_a_name(language):
    assert [kind for kind in Kind if f"chaos.kind_{kind}" not in texts(language).sentences] == []
