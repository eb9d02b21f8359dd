"""Every view in both languages, both themes, at the width of a phone and of a desk: readable, whole, accessible."""

import re
from importlib.resources import files

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import OpenPage

VIEWS = {
    "live": ("", "Trực tiếp", "Live"),
    "province": ("&province=79", "Hồ Chí Minh", "Hồ Chí Minh"),
    "whatif": ("&view=whatif&set=fee_online:0.5,presence_lifted:1&province=12&band=1", "Nếu… thì", "What if"),
    "reasons": ("&view=whatif&lift=filed_in_person", "Nếu… thì", "What if"),
    "file": ("&view=file", "Nộp thử một hồ sơ", "File one application"),
    "faults": ("&view=faults", "Sự cố VNeID", "VNeID’s faults"),
    "data": ("&view=data", "Dữ liệu & API", "Data & API"),
}
LOOKS = [("vi", "light", 1280), ("en", "dark", 390), ("vi", "dark", 390), ("en", "light", 1280)]
BACKGROUND = {"light": "rgb(255, 255, 255)", "dark": "rgb(15, 23, 32)"}
AXE = (files("axe_playwright_python") / "axe.min.js").read_text("utf-8")
RULES = "axe.run(document, {runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']})"


def violations(page: Page) -> list[str]:
    page.evaluate(AXE)
    found = page.evaluate(RULES)["violations"]
    return [f"{each['id']}: {node['html'][:200]}" for each in found for node in each["nodes"]]


@pytest.mark.parametrize(("lang", "theme", "width"), LOOKS, ids=str)
@pytest.mark.parametrize("view", VIEWS)
def test_a_view_is_whole_readable_and_accessible(open_page: OpenPage, view, lang, theme, width):
    query, *names = VIEWS[view]
    page = open_page(f"?lang={lang}&theme={theme}{query}", width=width)
    page.wait_for_selector("header .stream:not(.still)")
    # Not `wait_for_function`: it evaluates a text, which the page's policy refuses.
    waits = re.compile("Đang đọc…|Reading…|Đang rút thăm|Drawing and counting")
    expect(page.locator("main")).not_to_contain_text(waits, timeout=120_000)
    assert page.locator("h1").text_content() == names[lang == "en"]
    assert page.evaluate("document.documentElement.lang") == lang
    assert page.evaluate("getComputedStyle(document.documentElement).backgroundColor") == BACKGROUND[theme]
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    honest = page.locator("header .honest").text_content() or ""
    assert honest.startswith("A simulation" if lang == "en" else "Mô phỏng")
    assert violations(page) == []


@pytest.mark.parametrize("width", [2560, 390])
def test_the_live_view_fits_every_width(open_page: OpenPage, width):
    page = open_page("?lang=vi", width=width)
    page.wait_for_selector(".tile .value:not(:text('–'))")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    small = page.evaluate(
        "[...document.querySelectorAll('body *')].filter(e => e.childElementCount === 0 && e.textContent.trim()"
        " && parseFloat(getComputedStyle(e).fontSize) < 11).map(e => e.outerHTML)"
    )
    assert small == []
    clipped = page.evaluate(
        "[...document.querySelectorAll('.tile')].filter(e => e.scrollWidth > e.clientWidth || e.scrollHeight >"
        " e.clientHeight + 1).map(e => e.textContent)"
    )
    assert clipped == []


def test_without_a_choice_language_and_theme_are_the_browsers(open_page: OpenPage):
    page = open_page("", locale="en-GB", color_scheme="dark")
    assert page.evaluate("document.documentElement.lang") == "en"
    assert page.evaluate("getComputedStyle(document.documentElement).backgroundColor") == BACKGROUND["dark"]
    page.get_by_role("link", name="Tiếng Việt").click()
    expect(page.locator("html")).to_have_attribute("lang", "vi")
    assert "lang=vi" in page.url
    page.reload()
    page.wait_for_selector("text=Trực tiếp")


def test_names_are_sorted_as_vietnamese_sorts_them(open_page: OpenPage):
    page = open_page("?lang=vi&sort=name")
    names = page.locator("table td.name").all_text_contents()
    assert len(names) == 34
    # Đ follows D as a letter of its own.
    assert names.index("Cao Bằng") < names.index("Cần Thơ") < names.index("Đà Nẵng") < names.index("Gia Lai")
    assert names[-1] == "Vĩnh Long"


def test_what_is_printed_has_no_buttons(open_page: OpenPage):
    page = open_page("?lang=vi")
    page.emulate_media(media="print")
    assert not page.locator("header .buttons").is_visible()
    assert not page.locator("nav").is_visible()
    assert page.locator("#d1").is_visible()
