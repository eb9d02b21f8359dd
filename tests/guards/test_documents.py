"""What the pages point to is there: tests by name, files, modules, and headings of other pages."""

import re
from pathlib import Path

import pytest

from tests.support.reasons import reasons
from tests.support.source import PACKAGES, ROOT, modules

FOLDERS = {path.name for path in ROOT.iterdir() if path.is_dir() and path.name[0] not in "._" and path.name != "build"}
PAGES = sorted([*ROOT.glob("*.md"), *(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.md"))])
SOURCES = [path.relative_to(ROOT).as_posix() for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")]
# What their reader makes.
MADE = re.compile(r"deploy/secrets\b|deploy/compose/NAME\.env|build/")
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


def named_files(text: str) -> list[str]:
    """Return the paths that a text names, and the Python files without one."""
    return re.findall(r"(?<![\w./-])((?:[\w.-]+/)+[\w.-]*\w|[\w-]+\.py)(?![\w/*])", text)


def is_there(name: str, page: Path) -> bool:
    """Whether a file is where its path says, from the top or from the page; a bare Python file may be anywhere."""
    if name.partition("/")[0] in FOLDERS:
        return (ROOT / name).exists() or (page.parent / name).exists() or bool(MADE.match(name))
    return (
        not name.endswith(".py")
        or bool(MADE.match(name))
        or any(f"/{source}".endswith(f"/{name}") for source in SOURCES)
    )


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_a_file_that_a_page_names_is_there(page):
    assert [name for name in named_files(page.read_text("utf-8")) if not is_there(name, page)] == []


def named_modules(text: str) -> list[str]:
    packages = "|".join([*PACKAGES, "tests", "tools"])
    found = re.findall(rf"(?<![\w./@-])((?:{packages})(?:\.[A-Za-z_]\w*)+)", text)
    return [name for name in found if not re.search(r"\.(md|csv|toml|ya?ml|json|py|html)$", name)]


def resolves(name: str) -> bool:
    """Whether a dotted name is a module, or a word of the module before its last part."""
    place, parts = ROOT.joinpath(*name.split(".")), name.rpartition(".")
    if place.with_suffix(".py").exists() or (place / "__init__.py").exists():
        return True
    above = ROOT.joinpath(*parts[0].split("."))
    files = [file for file in (above.with_suffix(".py"), above / "__init__.py") if file.exists()]
    return any(re.search(rf"\b{parts[2]}\b", file.read_text("utf-8")) for file in files)


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_a_module_that_a_page_names_is_there(page):
    assert [name for name in named_modules(page.read_text("utf-8")) if not resolves(name)] == []


def test_what_has_moved_would_be_noticed():
    text = "runtime/window.py, window.py, runtime.window.Window; runtime/messages.py, runtime.messages.Effects"
    page = ROOT / "README.md"
    assert [name for name in named_files(text) if not is_there(name, page)] == ["runtime/window.py", "window.py"]
    assert [name for name in named_modules(text) if not resolves(name)] == ["runtime.window.Window"]


def test_the_glossary_names_what_the_code_names():
    """The last column has identifiers, values and paths; an old name would send a reader looking for nothing."""
    rows = re.findall(r"^\| .* \| ([^|]+) \|$", (ROOT / "docs/glossary.md").read_text("utf-8"), re.MULTILINE)
    names = {part for row in rows for name in re.findall(r"`([\w.]+)(?:\(\))?`", row) for part in name.split(".")}
    texts = [path.read_text("utf-8") for path in modules()]
    words = {word for text in texts for word in re.findall(r"\w+", text)}
    assert len(names) > 80
    assert names - words == set()


def test_every_reason_of_a_dead_letter_is_explained_with_what_to_do():
    text = (ROOT / "docs" / "operations.md").read_text("utf-8")
    section = text.split("## Dead letters")[1].split("\n## ")[0]
    rows = [line.split("|") for line in section.splitlines() if line.startswith("| `")]
    explained = {reason for row in rows for reason in re.findall(r"`([a-z_]+)`", row[1])}
    assert explained == reasons()
    assert all(len(row[3].strip()) > 10 for row in rows)
