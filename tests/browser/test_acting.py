"""What a person does with the page: file an application and follow it, break VNeID, lose the server."""

import json
import os
import signal
import time

import httpx
from playwright.sync_api import expect

from tests.browser.conftest import OpenPage, RunningSystem, eventually


def test_an_application_is_filed_and_followed_to_its_outcome(open_page: OpenPage, system: RunningSystem):
    page = open_page("?lang=vi&view=file&persona=birth")
    page.get_by_role("button", name="Nộp hồ sơ").click()
    expect(page.locator("#outcome h3")).to_have_text("Kết quả: Toàn trình")
    steps = page.locator("#steps li strong").all_text_contents()
    assert steps[:3] == ["Đã nộp", "Đã nhận", "Đã hỏi"]
    assert steps[-1] == "Đã quyết định"
    assert steps.count("Trả lời") == 4
    name = page.locator("#steps code").first.text_content()
    events = page.locator("details:has-text('applications.decided')").last
    events.locator("summary").click()
    assert json.loads(events.locator("pre").text_content() or "")["application_id"] == name
    with httpx.Client(transport=httpx.HTTPTransport()) as client:
        stored = client.get(f"{system.endpoints['scoring_api']}/applications/{name}").json()
    assert stored["outcome"] == "end_to_end"


def test_what_is_changed_in_an_application_is_what_is_sent(open_page: OpenPage):
    page = open_page("?lang=en&view=file&persona=birth")
    page.get_by_text("Change the application").click()
    page.get_by_role("combobox", name="Channel", exact=True).select_option("direct")
    page.get_by_role("combobox", name="Province", exact=True).select_option("46")
    page.get_by_role("button", name="File it").click()
    expect(page.locator("#outcome h3")).to_have_text("Outcome: On paper")
    expect(page.locator("#outcome")).to_contain_text("Filed in person")


def test_a_linked_service_is_one_application_with_its_parts(open_page: OpenPage):
    page = open_page("?lang=en&view=file&persona=birth")
    page.get_by_text("Change the application").click()
    page.get_by_role("combobox", name="Procedure", exact=True).select_option("2.002621")
    page.get_by_role("spinbutton", name="Health-insurance card").fill("9600")
    page.get_by_role("button", name="File it").click()
    parts = page.get_by_role("table", name="Parts of the linked service").locator("tbody tr")
    expect(parts).to_have_count(3)
    assert [row.split()[0] for row in parts.locator("th, td:first-child").all_text_contents()][:1] == ["Birth"]


def test_what_the_portal_refuses_is_said(open_page: OpenPage):
    page = open_page("?lang=en&view=file&persona=birth")
    refusal = json.dumps({"detail": "commune: wrong", "status": 422, "title": "", "type": "", "instance": ""})
    page.route("**/applications", lambda route: route.fulfill(status=422, body=refusal))
    page.get_by_role("button", name="File it").click()
    expect(page.get_by_role("alert")).to_have_text("commune: wrong")


def test_a_switch_shows_what_was_read_back_and_the_time_line_marks_it(open_page: OpenPage, plan):
    live, page = open_page("?lang=en"), open_page("?lang=en&view=faults")
    live.wait_for_selector("header .stream:not(.still)")
    land = page.get_by_role("group", name="National land database")
    land.get_by_role("button", name="25 %").click()
    expect(land.get_by_role("button", name="25 %")).to_have_attribute("aria-pressed", "true")
    assert plan()["plan"]["unreachable"] == {"dat_dai": 0.25}
    expect(page.locator("#in-force")).to_contain_text("National land database: unreachable 25 %")
    page.get_by_role("button", name="rough").click()
    expect(page.locator("#in-force")).to_contain_text("Plan rough")
    assert plan()["plan"]["name"] == "rough"
    # Another test's mark may stand before it.
    expect(live.locator(".marks li", has_text="National land database")).not_to_have_count(0, timeout=10_000)
    page.get_by_role("button", name="Back to the plan of the start").click()
    expect(page.locator("#in-force")).to_contain_text("Plan mild")


def test_a_state_that_was_changed_elsewhere_is_shown(open_page: OpenPage, system: RunningSystem, plan):
    page = open_page("?lang=en&view=faults")
    expect(page.locator("#in-force")).to_contain_text("Plan mild")
    with httpx.Client(transport=httpx.HTTPTransport()) as client:
        client.put(f"{system.endpoints['vneid_mock']}/plan", json={"name": "calm"}).raise_for_status()
    expect(page.locator("#in-force")).to_contain_text("Plan calm")


def test_a_province_is_cut_off(open_page: OpenPage, plan):
    page = open_page("?lang=en&view=faults")
    page.locator("#cut-off").select_option("79")
    page.get_by_role("group", name="Hồ Chí Minh").get_by_role("button", name="90 %").click()
    expect(page.locator("#in-force")).to_contain_text("Hồ Chí Minh: 90 %")
    [override] = plan()["plan"]["overrides"]
    assert override == {
        "match": {"database": None, "province": "79", "citizen": None},
        "set": {"never_answer_share": 0.9},
    }


def test_a_server_that_stops_says_so_in_time_and_the_page_comes_back(open_page: OpenPage, system: RunningSystem):
    page = open_page("?lang=en")
    page.wait_for_selector("header .stream:not(.still)")
    state = json.loads((system.state / "state.json").read_text("utf-8"))
    pid, stopped = state["processes"]["portal"]["pid"], time.monotonic()
    os.kill(pid, signal.SIGTERM)
    expect(page.locator("header .stream")).to_contain_text("The server", timeout=10_000)
    eventually(lambda: _pid(system) != pid)
    # An open stream does not hold the process for its grace time.
    assert time.monotonic() - stopped < 8
    page.wait_for_selector("header .stream:not(.still)", timeout=40_000)


def _pid(system: RunningSystem) -> int:
    processes = json.loads((system.state / "state.json").read_text("utf-8"))["processes"]
    return int(processes["portal"]["pid"])
