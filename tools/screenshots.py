"""Takes the pictures of the page that the documentation shows, from a real run: `python -m tools.screenshots`.

Starts a system of its own, files applications while the page looks on, and writes docs/pictures/. Needs Chromium:
`apt-get install chromium fonts-noto-core`, or its path in CHROMIUM.
"""

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

from playwright.sync_api import Browser, Page, sync_playwright

from runtime.command_line import CommandError, run
from tools.own_system import seen, system

TARGET = Path(__file__).resolve().parent.parent / "docs/pictures"
APPLICATIONS, PACE = 20_000, "40"
# Of what `PACE` says, so that the first picture is taken while applications come in.
LOOK_AFTER_MS, REST_MS = 27_000, 12_000
# The first question about levers draws a day.
DRAWN_WITHIN_MS = 120_000


class Picture(NamedTuple):
    """A view, how it is looked at, and what to click before."""

    name: str
    query: str
    width: int
    height: int
    dark: bool = False
    click: str = ""
    wait: str = "main"


PICTURES = (
    Picture("live-dark-phone", "?lang=vi", 390, 1000, dark=True, wait=".tile .value"),
    Picture(
        "whatif",
        "?lang=en&view=whatif&set=online_filing:1,land_data:0.5,certification_online:1",
        1280,
        900,
        wait="#d1-set",
    ),
    Picture("province", "?lang=vi&province=79", 1280, 760, wait="table"),
    Picture("file", "?lang=vi&view=file&persona=land", 1280, 860, click="button.primary", wait="#outcome"),
    Picture("data", "?lang=en&view=data", 1280, 860, wait="#assumed"),
    Picture("faults", "?lang=en&view=faults", 1280, 620, dark=True, wait="#in-force"),
)


def play(page: Page, state: Path) -> None:
    """File the applications while the page looks on, and take its picture."""
    words = ["send", "--state", str(state), "--applications", str(APPLICATIONS), "--pace", PACE]
    sending = subprocess.Popen([sys.executable, "-m", "paperless", *words], stdout=subprocess.DEVNULL)  # noqa: S603  our own command
    page.wait_for_timeout(LOOK_AFTER_MS)
    shoot(page, "live")
    if sending.wait():
        raise CommandError("the applications could not be filed")
    page.wait_for_timeout(REST_MS)


def take(browser: Browser, url: str, picture: Picture) -> None:
    """Write one picture."""
    look: Any = {"color_scheme": "dark" if picture.dark else "light", "timezone_id": "Asia/Ho_Chi_Minh"}
    page = browser.new_context(viewport={"width": picture.width, "height": picture.height}, **look).new_page()
    page.goto(f"{url}/{picture.query}")
    page.wait_for_selector("header .stream:not(.still)")
    if picture.click:
        page.click(picture.click)
    page.wait_for_selector(picture.wait, timeout=DRAWN_WITHIN_MS)
    page.wait_for_timeout(2_500)
    shoot(page, picture.name)
    page.context.close()


def shoot(page: Page, name: str) -> None:
    """Write what a page shows; as JPEG, a third of the bytes."""
    target = TARGET / f"{name}.jpg"
    page.screenshot(path=target, type="jpeg", quality=66)
    print(f"{target.name}: {target.stat().st_size // 1000} kB")


def main() -> None:
    """Take all pictures."""
    argparse.ArgumentParser(prog="python -m tools.screenshots", description=str(__doc__)).parse_args()
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium")
    if chromium is None:
        raise CommandError("no Chromium; on Debian and Ubuntu: apt-get install chromium fonts-noto-core")
    TARGET.mkdir(parents=True, exist_ok=True)
    with system() as state, sync_playwright() as playwright:
        url = seen(state)["endpoints"]["portal"]
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 1060}, timezone_id="Asia/Ho_Chi_Minh")
        page.goto(f"{url}/?lang=en")
        play(page, state)
        for picture in PICTURES:
            take(browser, url, picture)
        browser.close()


if __name__ == "__main__":
    run(main)
