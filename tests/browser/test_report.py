"""The report as a reader meets it: by mouse and by keyboard, light and dark, narrow and on paper."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import Page, ViewportSize, expect

from tests.browser.conftest import WITNESS, Open
from tests.browser.visit import KEPT, NARROW, WIDE, overflow, violations

pytestmark = pytest.mark.browser

FOCUSED = """
() => {
  const on = document.activeElement;
  const style = getComputedStyle(on);
  const box = on.getBoundingClientRect();
  return {
    what: on.id || on.textContent.trim() || on.getAttribute("aria-label") || on.className,
    seen: box.bottom > 0 && box.right > 0 && box.top < innerHeight && box.left < innerWidth && box.width > 0,
    outlined: style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2,
  };
}
"""
PAPER = "getComputedStyle(document.body).backgroundColor"
DRAWN = "document.querySelector('#plot-distribution canvas').toDataURL()"
WHITE = "rgb(255, 255, 255)"


def walk(page: Page, most: int = 150) -> list[dict[str, Any]]:
    """Everything that the Tab key comes to, from the top until it leaves the page."""
    stops: list[dict[str, Any]] = []
    for _ in range(most):
        page.keyboard.press("Tab")
        stop: dict[str, Any] = page.evaluate(FOCUSED)
        if page.evaluate("document.activeElement === document.body") or (stops and stop == stops[0]):
            return stops
        stops.append(stop)
    raise AssertionError(f"no end after {most} stops")


@pytest.mark.parametrize("viewport", [WIDE, NARROW], ids=["wide", "narrow"])
def test_tab_reaches_everything_there_is_to_do_and_shows_where_it_is(
    visit: Open, report: str, viewport: ViewportSize
) -> None:
    page = visit(viewport=viewport).open(report)
    stops = walk(page)
    assert [stop["what"] for stop in stops if not (stop["seen"] and stop["outlined"])] == []
    names = [stop["what"] for stop in stops]
    assert names[:2] == ["To the answer", "theme"]
    assert names.index("slowest") < names.index("saga") < names.index("Show")
    assert names.count("As a table") == page.locator("summary", has_text="As a table").count() == 5


def test_what_must_be_scrolled_sideways_can_be_by_keyboard_and_the_page_itself_need_not(
    visit: Open, report: str
) -> None:
    page = visit(viewport=NARROW).open(report)
    region = page.locator("#figures .scroll")
    region.focus()
    page.keyboard.press("ArrowRight")
    expect(region).not_to_have_js_property("scrollLeft", 0)
    assert overflow(page) == 0
    page.set_viewport_size(WIDE)
    expect(region).not_to_have_attribute("tabindex", "0")


def test_the_skip_link_leads_to_the_verdict(visit: Open, report: str) -> None:
    page = visit().open(report)
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator("#answer")).to_be_focused()
    expect(page.locator("#answer")).to_contain_text("fail")


@pytest.mark.parametrize("preferred", ["light", "dark"])
def test_the_theme_is_the_readers_until_the_button_changes_page_and_charts(
    visit: Open, report: str, preferred: str
) -> None:
    window = visit(color_scheme=preferred)
    page = window.open(report)
    button = page.locator("#theme")
    names = ["Dark", "Light"] if preferred == "light" else ["Light", "Dark"]
    expect(button).to_have_text(names[0])
    window.keep(page, "as-preferred")
    seen = []
    for name in (names[1], names[0]):
        seen.append((page.evaluate(PAPER), page.evaluate(DRAWN)))
        button.click()
        expect(button).to_have_text(name)
    assert (seen[0][0] == WHITE) is (preferred == "light")
    assert seen[0][0] != seen[1][0] and seen[0][1] != seen[1][1]
    assert (page.evaluate(PAPER), page.evaluate(DRAWN)) == seen[0]


def test_the_witness_of_an_anomaly_has_its_journey_one_click_away(visit: Open, report: str) -> None:
    page = visit().open(report)
    page.get_by_role("link", name="The journey of its witness").click()
    shown = page.locator(".journey:visible")
    expect(shown).to_have_count(1)
    expect(shown.locator("caption", has_text="orchestrated").first).to_be_visible()
    assert WITNESS in (shown.get_attribute("data-sagas") or "").split("\n")
    expect(shown).to_be_in_viewport()


def test_a_journey_is_chosen_by_its_kind_its_saga_or_its_arrival_and_back_goes_back(visit: Open, report: str) -> None:
    page = visit().open(report)
    shown, field = page.locator(".journey:visible"), page.get_by_label("Saga or arrival")
    first = shown.get_attribute("id")
    page.get_by_role("link", name="a compensated one").click()
    expect(shown).to_contain_text("compensated")
    expect(page.locator(".ways [aria-current]")).to_have_text("a compensated one")

    for asked in (WITNESS, "2/41", "41"):
        field.fill(asked)
        field.press("Enter")
        expect(shown).to_contain_text(WITNESS)
        expect(page.locator("#chosen")).to_be_empty()
        page.go_back()
        expect(shown).to_contain_text("compensated")
    page.go_back()
    expect(shown).to_have_attribute("id", str(first))

    field.fill("s-9-999")
    page.get_by_role("button", name="Show").click()
    expect(page.locator("#chosen")).to_have_text("Not on this page. Any saga: sagastorm journey synthetic-7 s-9-999")


def test_a_link_with_a_saga_in_it_opens_at_that_journey(visit: Open, report: str) -> None:
    first = visit().open(report)
    first.get_by_role("link", name="a compensated one").click()
    page = visit().open(first.url)
    assert re.search(r"#saga-\d+$", page.url)
    expect(page.locator(".journey:visible")).to_contain_text("compensated")


def test_on_paper_it_is_light_whole_and_without_what_only_a_screen_has(visit: Open, report: str) -> None:
    page = visit(color_scheme="dark").open(report)
    KEPT.mkdir(parents=True, exist_ok=True)
    pdf = page.pdf(
        path=KEPT / "report.pdf", format="A4", margin={"top": "1cm", "right": "1cm", "bottom": "1cm", "left": "1cm"}
    )
    assert pdf.startswith(b"%PDF")
    expect(page.locator("details.printed")).not_to_have_attribute("open", "")

    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.evaluate(PAPER) == WHITE
    expect(page.locator("details.printed")).to_have_attribute("open", "")
    for unseen in ("#theme", ".skip", ".ways", "details:not([open])"):
        assert page.locator(unseen).first.is_hidden(), unseen
    expect(page.locator("#plot-distribution canvas")).to_be_visible()


@pytest.mark.usefixtures("axe")
@pytest.mark.parametrize("preferred", ["light", "dark"])
def test_nothing_is_hard_to_read_or_to_reach_for_anybody(visit: Open, report: str, preferred: str) -> None:
    page = visit(color_scheme=preferred).open(report)
    assert violations(page) == []
    page.set_viewport_size(NARROW)
    assert violations(page) == []
    assert overflow(page) == 0


@pytest.mark.usefixtures("axe")
def test_what_is_hard_to_read_would_be_found(visit: Open) -> None:
    page = visit().open("about:blank")
    page.set_content(
        "<html lang=en><title>Pale</title><main style='color: #999; background: #fff'>pale<button></button>"
    )
    assert sorted(each.split(" | ")[0] for each in violations(page)) == ["button-name", "color-contrast"]
