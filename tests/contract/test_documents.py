"""What the pages point to is there: tests by name, files, and headings of other pages."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted([*(ROOT / "docs").rglob("*.md"), *(ROOT / "deploy").rglob("*.md"), ROOT / "README.md"])
TESTS = {path.name: path for path in (ROOT / "tests").rglob("*.py")}


def page_id(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def named_tests(text: str) -> list[tuple[str, str]]:
    """Return (file, test) of every test that a text names; `::test_x` means one of the file named before."""
    found, file = [], ""
    for name, test in re.findall(r"`(?:[\w/]*/)?((?:test_\w+|\w+(?=\.py::))\.py)?(?:::(test_\w+))?`", text):
        file = name or file
        if name or test:
            found.append((file, test))
    return found


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_a_test_that_a_page_names_is_there(page):
    for file, test in named_tests(page.read_text("utf-8")):
        assert file in TESTS, f"{file} is named, and gone"
        assert not test or f"def {test}(" in TESTS[file].read_text("utf-8"), f"{file}::{test} is named, and gone"


def test_a_test_that_is_gone_would_be_noticed():
    assert named_tests("`test_a.py::test_b`, `::test_c`, `tests/unit/test_d.py`, `e.py::test_f`; `kernel.py`") == [
        ("test_a.py", "test_b"),
        ("test_a.py", "test_c"),
        ("test_d.py", ""),
        ("e.py", "test_f"),
    ]


def anchors(path: Path) -> set[str]:
    """Return the anchors of a page's headings, as Markdown viewers make them."""
    headings = re.findall(r"^#+ (.+)$", path.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_a_link_leads_somewhere(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text("utf-8")):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        place = (page.parent / path).resolve() if path else page
        assert place.exists(), f"{target} leads nowhere"
        assert not anchor or anchor in anchors(place), f"{target}: no such heading"
