"""The page's own files can be read without scrolling sideways, with or without its formatter at hand."""

from pathlib import Path

import pytest

from tests.support.source import ROOT

WEB = ROOT / "services/portal/web"
WIDEST = 120


@pytest.mark.parametrize("path", sorted([*WEB.glob("*.js"), *WEB.glob("*.css")]), ids=lambda path: path.name)
def test_no_line_is_wider_than_those_of_python(path: Path):
    lines = path.read_text("utf-8").splitlines()
    # A sentence of the page is one text, however long.
    sentences = path.name == "texts.js"
    wide = [line for line in lines if len(line) > WIDEST and not (sentences and line.lstrip().startswith('"'))]
    assert wide == []
