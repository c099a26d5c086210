"""A visit to our pages with a real browser, in which nothing goes unnoticed."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Frame,
    Page,
    Playwright,
    Request,
    ViewportSize,
    expect,
)

ROOT = Path(__file__).resolve().parents[2]
KEPT = ROOT / "build" / "screenshots"
"""What CI keeps: what each page looked like at the end of its test, and where a test says so."""
NAMES = ("chromium", "chromium-browser", "google-chrome")
WIDE: ViewportSize = {"width": 1280, "height": 900}
NARROW: ViewportSize = {"width": 480, "height": 900}
LIMIT_MS = 20_000
"""Of any wait for a page; what waits for a run says so."""
expect.set_options(timeout=LIMIT_MS)
AXE = ROOT / "node_modules" / "axe-core" / "axe.min.js"
TOLD = """
async () => {
  document.querySelectorAll("details").forEach((each) => { each.open = true; });
  const { violations } = await axe.run(document, { resultTypes: ["violations"] });
  return violations.filter((each) => ["serious", "critical"].includes(each.impact)).flatMap((each) => each.nodes.map(
    (node) => [each.id, node.target.join(" "), node.failureSummary.split("\\n").slice(1).join(";")].join(" | ")));
}
"""


def executable() -> str | None:
    """The browser of the machine's own packages; Playwright's downloads are not used."""
    return next(filter(None, map(shutil.which, NAMES)), None)


def launch(playwright: Playwright) -> Browser:
    """Without a sandbox, which root cannot have, and which pages of our own do without."""
    return playwright.chromium.launch(executable_path=executable(), args=["--no-sandbox"])


class Visit:
    """One window of its own, with everything that its pages complained of or asked others for.

    ``name`` is what its screenshots are called. ``options`` are those of Playwright's ``new_context``.
    """

    def __init__(self, browser: Browser, name: str, **options: Any) -> None:
        self.complaints: list[str] = []
        self.context: BrowserContext = browser.new_context(**{"viewport": WIDE} | options)
        self.context.set_default_timeout(LIMIT_MS)
        self.context.on("console", self._on_console)
        self.context.on("weberror", lambda error: self.complaints.append(f"error: {error.error}"))
        self.context.on("request", self._on_request)
        self._name = re.sub(r"[^\w.-]+", "-", name).strip("-")
        self._own: set[str] = set()

    def open(self, address: str) -> Page:
        """A page, which may ask where it came from, and nobody else."""
        self._own.add(_origin(address))
        page = self.context.new_page()
        page.goto(address)
        return page

    def keep(self, page: Page, what: str) -> None:
        """A screenshot of the whole page."""
        KEPT.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=KEPT / f"{self._name}-{what}.png", full_page=True)

    def close(self) -> None:
        """Keep what its pages look like, and be gone."""
        for number, page in enumerate(self.context.pages):
            self.keep(page, f"end-{number}" if number else "end")
        self.context.close()

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(f"console: {message.text}")

    def _on_request(self, request: Request) -> None:
        if urlsplit(request.url).scheme not in ("data", "blob") and _origin(request.url) not in self._own:
            self.complaints.append(f"asked for {request.url}")


def violations(page: Page | Frame) -> list[str]:
    """What axe-core finds seriously wrong for those who see or hear otherwise, contrast of all text included, with all
    that is folded opened."""
    # Evaluated, not loaded: the policy of our pages lets no other script in.
    page.evaluate(AXE.read_text(encoding="utf-8"))
    found: list[str] = page.evaluate(TOLD)
    return found


def overflow(page: Page) -> int:
    """By how many pixels the page is wider than the window."""
    wider: int = page.evaluate("document.documentElement.scrollWidth - innerWidth")
    return max(0, wider)


def _origin(address: str) -> str:
    parts = urlsplit(address)
    # Files have no server: each stands for itself.
    return f"{parts.scheme}://{parts.netloc}" if parts.netloc else f"{parts.scheme}:{parts.path}"
