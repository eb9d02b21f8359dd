"""The generated data files are what their tools write."""

import csv
import json
from pathlib import Path

import pytest

from tools import make_communes, make_profiles

DATA = Path(make_communes.DATA)
WARD = {"name": "Xã  Bắc Đông Quan", "code": 12688, "division_type": "xã"}


def lines_of(file: str) -> list[list[str]]:
    with (DATA / file).open(encoding="utf-8", newline="") as stream:
        return list(csv.reader(stream))[1:]


def test_the_profiles_are_what_the_tool_writes():
    assert make_profiles.files() == {
        "domain/data/province_profiles.csv": (DATA / "province_profiles.csv").read_text("utf-8")
    }


def test_the_communes_are_what_the_tool_writes():
    source = pytest.importorskip("vietnam_provinces", reason="a development dependency")
    if source.__version__ != "2025.10.1":
        pytest.skip("communes.csv was written from 2025.10.1")
    divisions = json.loads(source.NESTED_DIVISIONS_JSON_PATH.read_text(encoding="utf-8"))
    expected = make_communes.commune_lines(divisions, f"vietnam-provinces {source.__version__}")
    assert lines_of("communes.csv") == [list(line) for line in expected]


def test_a_commune_name_has_single_spaces():
    (line,) = make_communes.commune_lines([{"code": 4, "wards": [WARD]}], "test")
    assert line == ("12688", "Xã Bắc Đông Quan", "xa", "04", "B", "test")


def test_a_commune_too_many_stops_the_tool():
    lines = make_communes.commune_lines([{"code": 4, "wards": [WARD]}], "test")
    (wrong,) = make_communes.differences(lines, [{"code": "04", "xa": "0", "phuong": "0", "dac_khu": "0"}])
    assert wrong == "province 04 has 1 xa, provinces.csv says 0"
