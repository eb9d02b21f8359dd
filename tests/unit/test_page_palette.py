"""The palette of the page, as its stylesheet has it: every text can be read, neighbours can be told apart."""

import re
from pathlib import Path

import pytest

CSS = (Path(__file__).parents[2] / "services/portal/web/style.css").read_text("utf-8")
BLOCK = {"light": CSS.index(":root {"), "dark": CSS.index(':root[data-theme="dark"] {')}
CLASSES = range(6)


def palette(theme: str) -> dict[str, str]:
    block = CSS[BLOCK[theme] :].partition("}")[0]
    return dict(re.findall(r"--([a-z0-9]+): (#[0-9a-f]{6});", block))


def luminance(colour: str) -> float:
    """WCAG 2.2: relative luminance of sRGB."""
    channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [each / 12.92 if each <= 0.04045 else ((each + 0.055) / 1.055) ** 2.4 for each in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", BLOCK)
def test_every_text_stands_out_from_what_is_behind_it(theme):
    colours = palette(theme)
    for text in ("ink", "muted", "accent", "published", "bad"):
        for behind in ("bg", "soft"):
            assert contrast(colours[text], colours[behind]) >= 4.5, (text, behind)
    for number in CLASSES:
        assert contrast(colours[f"t{number}"], colours[f"c{number}"]) >= 5.2


@pytest.mark.parametrize("theme", BLOCK)
def test_the_edge_of_what_is_pressed_stands_out(theme):
    colours = palette(theme)
    assert contrast(colours["border"], colours["bg"]) >= 3


@pytest.mark.parametrize("theme", BLOCK)
def test_the_classes_of_the_map_go_one_way(theme):
    """So they are told apart without hue, whatever colours an eye sees."""
    steps = [luminance(palette(theme)[f"c{number}"]) for number in CLASSES]
    assert steps == sorted(steps, reverse=theme == "light")
    assert all(contrast(palette(theme)[f"c{n}"], palette(theme)[f"c{n + 1}"]) >= 1.2 for n in range(5))


def test_both_ways_to_the_dark_theme_are_one():
    asked = CSS[CSS.index(':root:not([data-theme="light"]) {') :].partition("}")[0]
    assert dict(re.findall(r"--([a-z0-9]+): (#[0-9a-f]{6});", asked)) == palette("dark")
