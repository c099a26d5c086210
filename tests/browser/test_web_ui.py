"""Locust's web UI with our tab: a run is started, watched, stopped and started again, as a user does it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, FrameLocator, Page, expect

from tests.browser.conftest import Open
from tests.browser.servers import web_ui
from tests.browser.visit import NARROW, Visit, overflow, violations

pytestmark = [pytest.mark.browser, pytest.mark.end_to_end]

RUN_LIMIT_MS = 120_000
"""Of a whole run, and of what comes before its first load."""
SHORT = {"Interleave": "AB", "Rate": "5", "Duration": "8"}


@dataclass
class WebUi:
    """``sagastorm ui``, and where its runs are."""

    url: str
    runs: Path

    def summary(self, run_id: str) -> dict[str, Any]:
        summary: dict[str, Any] = json.loads((self.runs / run_id / "summary.json").read_bytes())
        return summary


@dataclass
class Watched:
    """A run that was started from the form and watched to its end, with a reload in the middle."""

    ui: WebUi
    page: Page
    started: list[int] = field(default_factory=list)
    """How many sagas the table said had started: at first, before the reload, after it, at the end."""
    run_ids: list[str] = field(default_factory=list)
    """Before the reload, after it."""


@pytest.fixture(scope="module")
def ui(tmp_path_factory: pytest.TempPathFactory, browser: Browser) -> Iterator[WebUi]:
    """Asks for the browser first: without it there is nothing to start."""
    folder = tmp_path_factory.mktemp("ui")
    with web_ui(folder) as url:
        yield WebUi(url, folder / "runs")


@pytest.fixture(scope="module")
def watched(ui: WebUi, browser: Browser) -> Iterator[Watched]:
    window = Visit(browser, "watched")
    watched = Watched(ui, window.open(ui.url))
    page = watched.page
    fill(page, SHORT, "calm")
    window.keep(page, "form")
    page.get_by_role("button", name="Start").click()
    look(page, "orchestrated under load, [2-9] of 8 s")
    watched.started.append(started(page))
    look(page, "orchestrated under load, [5-9] of 8 s")
    window.keep(page, "load")
    watched.started.append(started(page))
    watched.run_ids.append(run_id(page))
    page.reload()
    look(page, "Block")
    watched.started.append(started(page))
    look(page, "Block 2 of 2: choreographed under load")
    look(page, "Block 2 of 2: choreographed drains")
    expect(tab(page).locator("#verdict")).to_be_visible(timeout=RUN_LIMIT_MS)
    watched.started.append(started(page))
    watched.run_ids.append(run_id(page))
    yield watched
    window.close()
    assert window.complaints == []


def fill(page: Page, fields: dict[str, str], storm: str) -> None:
    """The form, which is a dialog once there has been a test."""
    for name, value in fields.items():
        page.get_by_label(name).fill(value)
    page.get_by_label("Storm").select_option(storm)


def tab(page: Page) -> FrameLocator:
    """Our page in Locust's."""
    return page.frame_locator("iframe[title=Sagas]")


def look(page: Page, awaited: str) -> None:
    """Open the tab, and wait for the status to say so."""
    page.get_by_role("tab", name="Sagas").click()
    expect(tab(page).locator("#status")).to_have_text(re.compile(awaited), timeout=RUN_LIMIT_MS)


def figures(page: Page, row: str) -> list[str]:
    """Of a row of the tab's table, topology by topology."""
    return tab(page).get_by_role("row", name=re.compile(rf"^{row}\b")).locator("td").all_inner_texts()


def started(page: Page) -> int:
    return sum(map(int, figures(page, "Started")))


def run_id(page: Page) -> str:
    return tab(page).locator("#run").inner_text().split(" · ")[0].removeprefix("run ")


def test_what_cannot_be_is_refused_in_the_form_and_starts_nothing(visit: Open, ui: WebUi) -> None:
    page = visit().open(ui.url)
    fill(page, {"Interleave": "ABX", "Rate": "fast"}, "calm")
    page.get_by_role("button", name="Start").click()
    for wrong in ("'fast' is not valid", "'ABX' is not valid"):
        expect(page.get_by_role("alert")).to_contain_text(wrong)
    expect(page.locator("header")).to_contain_text("ready")
    assert not ui.runs.exists()


def test_the_tab_fills_goes_on_after_a_reload_and_ends_with_the_verdict_of_the_summary(watched: Watched) -> None:
    assert watched.run_ids[0] == watched.run_ids[1]
    summary = watched.ui.summary(watched.run_ids[1])
    topologies = summary["topologies"].values()
    first, before, after, last = watched.started
    assert 0 < first <= before <= after < last == sum(each["scheduled"] for each in topologies)
    for row, name in (("Completed", "completed"), ("Compensated", "compensated"), ("Unresolved", "unresolved")):
        assert figures(watched.page, row) == [str(each[name]) for each in topologies]
    expect(tab(watched.page).locator("#verdict .word")).to_have_text(summary["verdict"].upper())


def test_locusts_own_statistics_tell_topologies_and_outcomes_apart(visit: Open, watched: Watched) -> None:
    page = visit().open(watched.ui.url)
    for topology, told in watched.ui.summary(watched.run_ids[1])["topologies"].items():
        row = page.get_by_role("row").filter(has_text=f"{topology} completed")
        expect(row.get_by_role("cell").nth(2)).to_have_text(str(told["completed"]))


def test_the_report_opens_from_the_tab_and_shows_the_journey_of_a_saga(visit: Open, watched: Watched) -> None:
    window = visit()
    page = window.open(watched.ui.url)
    page.get_by_role("tab", name="Sagas").click()
    with window.context.expect_page() as opened:
        tab(page).get_by_role("link", name="Open the report").click()
    report = opened.value
    expect(report.locator("#answer .word")).to_contain_text(watched.ui.summary(watched.run_ids[1])["verdict"])
    saga = str(report.locator(".journey").last.get_attribute("data-sagas")).split("\n")[-1]
    report.get_by_label("Saga or arrival").fill(saga)
    report.get_by_role("button", name="Show").click()
    expect(report.locator(".journey:visible caption").last).to_contain_text(saga)


@pytest.mark.parametrize(
    ("address", "answer"),
    [("**/sagas/tab.js", ""), ("**/sagas/?embedded", "<title>no page of ours</title>")],
    ids=["no script", "no page"],
)
def test_where_our_page_cannot_be_put_into_the_tab_there_is_a_plain_table_and_a_link(
    visit: Open, watched: Watched, address: str, answer: str
) -> None:
    window = visit()
    window.context.route(address, lambda route: route.fulfill(body=answer, content_type="text/html"))
    page = window.open(watched.ui.url)
    page.get_by_role("tab", name="Sagas").click()
    for topology, told in watched.ui.summary(watched.run_ids[1])["topologies"].items():
        row = page.get_by_role("row").filter(has=page.get_by_role("cell", name=topology, exact=True))
        expect(row).to_be_visible()
        expect(row.get_by_role("cell").nth(2)).to_have_text(str(told["scheduled"]))
    expect(page.get_by_role("cell").filter(has_text="Charts and the report: /sagas/")).to_be_visible()
    page.get_by_role("tab", name="Download Data").click()
    page.get_by_role("link", name=re.compile("^Sagas")).click()
    expect(page.locator("#verdict .word")).to_be_visible()


@pytest.mark.usefixtures("axe")
@pytest.mark.parametrize("preferred", ["light", "dark"])
def test_the_page_by_itself_is_not_hard_to_read_or_to_reach_for_anybody(
    visit: Open, watched: Watched, preferred: str
) -> None:
    page = visit(color_scheme=preferred).open(f"{watched.ui.url}/sagas/")
    expect(page.locator("#completion canvas")).to_be_visible()
    assert violations(page) == []
    page.set_viewport_size(NARROW)
    assert violations(page) == []
    assert overflow(page) == 0


def test_the_tab_is_as_light_or_dark_as_locusts_page(visit: Open, watched: Watched) -> None:
    page = visit(color_scheme="light").open(watched.ui.url)
    page.get_by_role("tab", name="Sagas").click()
    expect(tab(page).locator("#verdict")).to_be_visible()
    ink = "getComputedStyle(document.body).color"
    seen = [tab(page).locator("body").evaluate(ink)]
    page.locator("header button").last.click()
    expect(tab(page).locator("html.dark")).to_be_attached()
    seen.append(tab(page).locator("body").evaluate(ink))
    assert seen[0] != seen[1]


def test_a_second_run_is_started_and_stopped_and_is_audited_all_the_same(visit: Open, watched: Watched) -> None:
    page = visit().open(watched.ui.url)
    page.get_by_role("button", name="New").click()
    fill(page, SHORT | {"Duration": "20"}, "calm")
    page.get_by_role("button", name="Start").click()
    look(page, "under load, [2-9] of 20 s")
    page.get_by_role("button", name="Stop").click()
    look(page, "Block 1 of 2: orchestrated drains")
    expect(tab(page).locator("#verdict .word")).to_have_text("INCONCLUSIVE", timeout=RUN_LIMIT_MS)
    assert run_id(page) != watched.run_ids[1]
    reasons = watched.ui.summary(run_id(page))["reasons"]
    told = tab(page).locator("#verdict li").all_inner_texts()
    assert told == reasons[: len(told)]
    assert any("the load was stopped before its time" in reason for reason in told)
    expect(tab(page).get_by_role("link", name="Open the report")).to_be_visible()
