"""No figure of the page differs from what `paperless rates` and `paperless why` say."""

import json
import random
from typing import Any

import pytest
from playwright.sync_api import expect

from paperless.language import texts
from services.scoring.rates.rates import rate
from tests.browser.conftest import OpenPage, RunningSystem

OTHERS = ("d2", "paperless", "online", "on_time")


def shown(text: str | None) -> str:
    return (text or "").replace("\u00a0", " ")


@pytest.mark.parametrize("lang", ["vi", "en"])
@pytest.mark.parametrize("by", ["province", "all"])
def test_the_live_view_says_what_paperless_rates_says(open_page: OpenPage, system: RunningSystem, lang, by):
    table: dict[str, Any] = json.loads(system.command("rates", "--json", "--authority", by))
    say = texts(lang)
    # Wide enough for all columns.
    page = open_page(f"?lang={lang}&by={by}", width=1600)
    page.wait_for_selector(".tile .value:not(:text('–'))")

    def share(each: dict[str, Any]) -> str:
        return say.percent(each["numerator"] / each["denominator"] if each["denominator"] else None)

    def interval(each: dict[str, Any]) -> str:
        low, high = (say.number(100 * end, 2) for end in each["interval"])
        return f"{low}–{high}"

    d1 = table["total"]["rates"]["d1"]
    assert shown(page.locator("#d1").text_content()) == share(d1)
    parts = f"{say.number(d1['numerator'])} / {say.number(d1['denominator'])}"
    assert shown(page.locator("#d1-parts").text_content()) == parts
    rows = page.locator("section[aria-labelledby='league-head'] tbody tr")
    found = [[shown(cell) for cell in row.locator("th, td").all_text_contents()] for row in rows.all()]
    expected = [
        [
            str(row["rank"] or "–"),
            row[f"name_{lang}"],
            share(row["rates"]["d1"]),
            "",
            interval(row["rates"]["d1"]),
            say.number(row["applications"]),
            *(share(row["rates"][name]) for name in OTHERS),
        ]
        for row in table["rows"]
        if row["applications"]
    ]
    assert found == expected


def test_the_reasons_are_those_of_paperless_why(open_page: OpenPage, system: RunningSystem):
    why = json.loads(system.command("why", "--json", "--province", "79"))
    page = open_page("?lang=en&province=79")
    page.wait_for_selector("section[aria-labelledby='why-head'] tbody tr")
    rows = page.locator("section[aria-labelledby='why-head'] table").first.locator("tbody tr")
    found = [[shown(cell) for cell in row.locator("th, td").all_text_contents()] for row in rows.all()]
    say = texts("en")
    assert found == [
        [
            row["name_en"],
            say.number(row["applications"]),
            "",
            say.number(row["alone"]),
            ("≤ " if row["upper_bound"] else "")
            + say.percent(row["d1_if_lifted"]["numerator"] / row["d1_if_lifted"]["denominator"]),
        ]
        for row in why["reasons"]
    ]


def test_the_browser_rounds_as_python_does(open_page: OpenPage):
    """Ties included: 1/8 % lies between two decimals exactly."""
    drawn = random.Random(7)
    pairs = [(drawn.randint(0, many), many) for many in (drawn.randint(1, 150_000) for _ in range(3_000))]
    pairs += [(number, 800) for number in range(801)] + [(number, 1_600) for number in range(1_601)]
    page = open_page("?lang=en")
    found = page.evaluate(
        "async (pairs) => { const f = await import('/web/format.js');"
        " return pairs.map(p => [f.rate(p, 'en'), f.rate(p, 'vi'), f.wilson(...p)]) }",
        pairs,
    )
    for (numerator, denominator), (english, vietnamese, interval) in zip(pairs, found, strict=True):
        assert shown(english) == texts("en").percent(numerator / denominator)
        assert shown(vietnamese) == texts("vi").percent(numerator / denominator)
        assert tuple(interval) == pytest.approx(rate(numerator, denominator).interval, abs=1e-12)


@pytest.mark.parametrize("figure", ["d2", "online"])
def test_the_map_shows_the_chosen_figure_with_a_twin_in_words(open_page: OpenPage, figure):
    page = open_page(f"?lang=en&figure={figure}")
    tile = page.locator(".tile[data-key='79']")
    page.wait_for_selector(".tile .value:not(:text('–'))")
    value = shown(tile.locator(".value").text_content()).removesuffix(" %")
    label = shown(tile.get_attribute("aria-label"))
    assert label.startswith("Ho Chi Minh: ")
    assert abs(float(label.split(": ")[1].split(" %")[0].split()[-1]) - float(value)) <= 0.05


@pytest.mark.parametrize("province", ["", "79"])
def test_what_lifting_gives_is_what_paperless_why_says(open_page: OpenPage, system: RunningSystem, province):
    words = ("--province", province) if province else ()
    why = json.loads(system.command("why", "--json", *words))
    page = open_page(f"?lang=en&view=whatif{f'&province={province}' if province else ''}")
    result = page.locator("#then")
    result.wait_for()
    told = [((row["reason"],), row) for row in why["reasons"]] + [(row["reasons"], row) for row in why["pairs"]]
    for reasons, row in told:
        for reason in reasons:
            page.locator(f"input[name='{reason}']").check()
        d1 = row["d1_if_lifted"]
        expected = texts("en").percent(d1["numerator"] / d1["denominator"])
        expect(result).to_have_text(f"{'≤ ' if row['upper_bound'] else ''}{expected}")
        assert f"lift={','.join(reasons)}".replace(",", "%2C") in page.url
        page.get_by_role("button", name="Reset to today").click()
        expect(page.locator("input:checked")).to_have_count(0)


def test_a_link_restores_what_was_lifted_and_the_smallest_set_reaches_the_goal(open_page: OpenPage):
    page = open_page("?lang=en&view=whatif&lift=filed_in_person,original_required")
    page.locator("#then").wait_for()
    checked = page.locator("input:checked").evaluate_all("all => all.map(each => each.name).sort()")
    assert checked == ["filed_in_person", "original_required"]
    page.get_by_role("link", name="Choose this set").click()
    expect(page.locator("input:checked")).to_have_count(page.locator("#smallest li").count())
    assert float(shown(page.locator("#then").text_content()).removesuffix(" %").removeprefix("≤ ")) >= 80
