"""The page without a mouse."""

from tests.browser.conftest import OpenPage

FOCUS = "document.activeElement.textContent.trim()"


def test_the_first_stop_leads_past_the_navigation(open_page: OpenPage):
    page = open_page("?lang=en")
    page.keyboard.press("Tab")
    assert page.evaluate(FOCUS) == "Skip to content"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"


def test_the_map_is_one_stop_with_arrows_inside_and_enter_opens_a_province(open_page: OpenPage):
    page = open_page("?lang=en")
    page.wait_for_selector(".tile .value:not(:text('–'))")
    assert page.locator(".tile[tabindex='0']").count() == 1
    page.locator(".tile[tabindex='0']").focus()
    for key, name in (("ArrowUp", "Phú Thọ"), ("ArrowLeft", "Sơn La"), ("ArrowDown", "Hà Nội")):
        page.keyboard.press(key)
        assert page.evaluate("document.activeElement.querySelector('.name').textContent") == name
    page.keyboard.press("Enter")
    page.wait_for_selector("h1:text('Hà Nội')")
    assert "province=01" in page.url
    page.go_back()
    page.wait_for_selector(".map")


def test_the_focus_stays_while_figures_come_in(open_page: OpenPage):
    page = open_page("?lang=en")
    page.wait_for_selector(".tile .value:not(:text('–'))")
    link = page.locator("td.name a").nth(5)
    link.focus()
    name = page.evaluate(FOCUS)
    page.evaluate("dispatchEvent(new Event('resize'))")
    page.wait_for_timeout(300)
    assert page.evaluate(FOCUS) == name


def test_everything_is_reached_by_tab(open_page: OpenPage):
    page = open_page("?lang=en&view=faults")
    page.wait_for_selector("#in-force")
    seen = set()
    for _ in range(130):
        page.keyboard.press("Tab")
        seen.add(page.evaluate("document.activeElement.getAttribute('data-key') || document.activeElement.textContent"))
    assert {"Live", "rough", "Back to the plan of the start"} <= {str(each).strip() for each in seen}
