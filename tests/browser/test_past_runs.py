"""``sagastorm serve``: from the list to a comparison, and to a report."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import BROKEN, Open
from tests.browser.visit import NARROW, overflow, violations

pytestmark = pytest.mark.browser


def rows(page: Page) -> list[str]:
    """The runs that are listed, from the top."""
    return page.locator("#runs tbody:visible th a").all_inner_texts()


def test_the_list_is_narrowed_by_words_and_put_into_another_order(visit: Open, served: str) -> None:
    page = visit().open(f"{served}/")
    assert sorted(rows(page)) == [BROKEN, "first", "second"]
    page.get_by_label("Filter").fill("fail effect")
    expect(page.locator("#shown")).to_have_text("1 of 3")
    assert rows(page) == [BROKEN]
    page.get_by_label("Filter").fill("")
    verdicts = page.locator("[data-key=verdict]")
    for order, place in (("ascending", 0), ("descending", -1)):
        verdicts.get_by_role("button").click()
        expect(verdicts).to_have_attribute("aria-sort", order)
        assert rows(page)[place] == BROKEN


def test_two_ticked_runs_are_compared_in_the_order_of_ticking(visit: Open, served: str) -> None:
    window = visit()
    page = window.open(f"{served}/")
    compare = page.get_by_role("button", name="Compare", exact=True)
    expect(compare).to_be_disabled()
    page.get_by_label("Compare second").check()
    expect(compare).to_be_disabled()
    page.get_by_label("Compare first").check()
    expect(page.locator("#chosen")).to_have_text("A second (base), B first")
    window.keep(page, "ticked")
    compare.click()

    expect(page.locator(".picked li")).to_have_count(2)
    expect(page.locator(".picked li").first).to_contain_text("second")
    expect(page.locator(".verdict")).to_contain_text("like for like")
    expect(page.locator(".plot canvas").first).to_be_visible()
    window.keep(page, "compared")
    page.get_by_role("link", name="make B the base").click()
    expect(page.locator(".picked li").first).to_contain_text("first")

    page.goto(f"{served}/compare?pick=second&pick=first")
    page.get_by_role("link", name="All runs").click()
    page.get_by_label("Compare first").check()
    page.get_by_label(f"Compare {BROKEN}").check()
    compare.click()
    page.wait_for_url("**/compare?*")
    page.go_back()
    expect(page.locator("#chosen")).to_have_text(f"A first (base), B {BROKEN}")
    page.get_by_role("button", name="Clear").click()
    expect(compare).to_be_disabled()


def test_two_ticked_blocks_of_one_run_are_compared(visit: Open, served: str) -> None:
    page = visit().open(f"{served}/")
    row = page.locator("#runs tbody", has_text=BROKEN)
    row.locator("summary").click()
    boxes = row.locator(".blocks").get_by_role("checkbox")
    expect(boxes).to_have_count(4)
    for number in (0, 3):
        boxes.nth(number).check()
    page.get_by_role("button", name="Compare", exact=True).click()
    expect(page.locator(".verdict")).to_contain_text("Parts of one run")
    assert "block 4" in page.locator(".picked li").nth(1).inner_text()


def test_a_run_in_the_list_opens_its_report(visit: Open, served: str) -> None:
    page = visit().open(f"{served}/")
    page.get_by_role("link", name=BROKEN, exact=True).click()
    expect(page.locator("#answer")).to_contain_text("fail")
    expect(page.locator("#plot-distribution canvas")).to_be_visible()


@pytest.mark.usefixtures("axe")
@pytest.mark.parametrize("preferred", ["light", "dark"])
@pytest.mark.parametrize(
    "path",
    ["/", "/compare?pick=first&pick=second&pick=broken", "/compare?pick=broken:1&pick=broken:2"],
    ids=["list", "runs", "blocks"],
)
def test_nothing_is_hard_to_read_or_to_reach_for_anybody(visit: Open, served: str, path: str, preferred: str) -> None:
    window = visit(color_scheme=preferred)
    page = window.open(f"{served}{path}")
    assert violations(page) == []
    window.keep(page, "wide")
    page.set_viewport_size(NARROW)
    assert violations(page) == []
    assert overflow(page) == 0
