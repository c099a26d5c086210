"""Takes the pictures in the README anew: ``python -m tests.browser.screenshots RUN OTHER``.

The report is that of RUN, and the comparison that of both, which are folders beside each other. The Sagas tab is that of a
run made for it, with the default storm: a minute and a half on a machine that has nothing else to do.
"""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from playwright.sync_api import Browser, FrameLocator, Page, expect, sync_playwright

from harness.report.write import PAGE
from tests.browser.servers import past_runs, web_ui
from tests.browser.visit import ROOT, Visit, launch

PICTURES = ROOT / "docs"
PAGE_SIZE, TAB_SIZE = {"width": 1280, "height": 1120}, {"width": 1280, "height": 1000}
RUN_LIMIT_MS = 180_000


def main(run: Path, other: Path) -> None:
    """All of them."""
    with sync_playwright() as playwright:
        browser = launch(playwright)
        for scheme, name in (("light", "report"), ("dark", "report-dark")):
            picture(browser, (run / PAGE).resolve().as_uri(), name, color_scheme=scheme)
        with past_runs(run.resolve().parent) as served:
            picture(browser, f"{served}/compare?pick={run.name}&pick={other.name}", "comparison")
        with TemporaryDirectory() as folder, web_ui(Path(folder)) as url:
            sagas_tab(browser, url)
        browser.close()


def picture(browser: Browser, address: str, name: str, **options: Any) -> None:
    """What is seen of a page before it is scrolled."""
    window = Visit(browser, name, viewport=PAGE_SIZE, **options)
    shoot(window.open(address), name)
    window.context.close()


def sagas_tab(browser: Browser, url: str) -> None:
    """While the second topology is under load."""
    window = Visit(browser, "sagas-tab", viewport=TAB_SIZE)
    page = window.open(url)
    page.get_by_label("Interleave").fill("AB")
    page.get_by_role("button", name="Start").click()
    page.get_by_role("tab", name="Sagas").click()
    tab: FrameLocator = page.frame_locator("iframe[title=Sagas]")
    expect(tab.locator("#status")).to_contain_text("choreographed under load, 20 of", timeout=RUN_LIMIT_MS)
    shoot(page, "sagas-tab")
    page.get_by_role("button", name="Stop").click()
    expect(tab.locator("#verdict")).to_be_visible(timeout=RUN_LIMIT_MS)
    window.context.close()


def shoot(page: Page, name: str) -> None:
    path = PICTURES / f"{name}.png"
    page.screenshot(path=path)
    print(f"{path.relative_to(ROOT)}: {path.stat().st_size // 1000} kB")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
