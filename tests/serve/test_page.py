"""The page of a comparison: complete in itself, safe with any text, and the same in tables as in charts."""

from __future__ import annotations

import re

import msgspec
import pytest

from harness.audit.auditor import Anomaly
from harness.history.run_file import Deviation
from harness.report.chart_parts import TABLE_ROWS
from harness.report.comparison_charts import distributions, timelines
from harness.report.comparison_page import DASHES, render_comparison
from harness.report.model import Report, make_report
from harness.report.run_data import RunData
from tests.html_page import EVIL, Page, policy_hash
from tests.report import synthetic_run
from tests.report.small import block, run, saga, sagas
from tests.serve.saved import both, compared, of


@pytest.fixture(scope="module")
def text() -> str:
    return render_comparison(compared("one", "two", one=both(), two=both("two", 300.0)))


def evil(name: str) -> Report:
    rows = [saga(number, number / 10, saga_id=EVIL, reason=EVIL) for number in range(120)]
    data = run(block(0, rows=rows, problem=EVIL), block(1, EVIL, rows=rows, state="aborted", problem=EVIL))
    assert data.run.backend is not None
    file = msgspec.structs.replace(
        data.run,
        command=EVIL,
        commit=EVIL,
        started_at=EVIL,
        run_id=f"{name}{EVIL}",
        storm={"name": EVIL, "faults": []},
        versions={EVIL: f"{name}{EVIL}"},
        settings=msgspec.structs.replace(data.run.settings, saga=EVIL, scenario=f"{name}{EVIL}"),
        backend=msgspec.structs.replace(data.run.backend, version=EVIL),
    )
    found = Anomaly(name=EVIL, count=1, sagas=(EVIL,), witness=EVIL)
    data = RunData(file, data.blocks)
    return make_report(data, synthetic_run.audits(data, {0: [found]}))


@pytest.mark.parametrize("served", [False, True])
def test_text_from_runs_cannot_become_markup_or_script(served: bool) -> None:
    names = {f"one{EVIL}": evil("one"), f"two{EVIL}": evil("two")}
    text = render_comparison(compared(*names, **names), served=served)
    page = Page(text)
    assert "alert(1)" in text
    assert len(page.scripts) == 3
    assert "img" not in {tag for tag, _ in page.elements}
    assert not any(name.startswith("on") for _, attributes in page.elements for name in attributes)
    links = [link for link in page.values("href") if link != "data:,"]
    assert all(re.fullmatch(r"/(runs/[\w.%-]+|compare\?[\w=&%+.-]+)?", link) for link in links)
    assert bool(links) is served


def test_only_the_scripts_of_the_page_may_run_and_nothing_is_loaded(text: str) -> None:
    page = Page(text)
    (policy,) = [value for value in page.values("content") if "default-src" in value]
    running = [script for attributes, script in page.scripts if "type" not in attributes]
    hashes = [policy_hash(script) for script in running]
    assert len(running) == 2
    assert f"script-src {' '.join(hashes)};" in policy
    assert policy.startswith("default-src 'none'; ")
    for name in ("src", "href", "action", "srcset"):
        assert all(value == "data:," for value in page.values(name))
    styles = "".join(re.findall(r"<style>(.*?)</style>", text, re.DOTALL))
    assert "url(" not in styles
    assert "@import" not in styles


def test_the_page_leads_with_what_may_be_compared_then_the_differences(text: str) -> None:
    body = text[text.index("<body>") :]
    parts = ("What is compared", 'class="verdict', "<h2>Differences", "<h2>How long sagas took", "<h2>Outcomes")
    assert sorted(parts, key=body.index) == list(parts)
    assert "like for like" in body
    assert "1.50× (1.50 to 1.50)" in body


def test_what_differs_is_never_silent() -> None:
    page = render_comparison(compared("one", "two", one=both(), two=both("two", workers=2)))
    body = page[page.index("<body>") :]
    assert "read with care" in body
    assert "They differ in more than code and time: workers." in body
    assert '<th scope="row">workers</th><td class="left">1</td><td class="left">2</td>' in body


def test_every_chart_has_its_place_its_legend_and_its_table(text: str) -> None:
    page = Page(text)
    ids = [chart["id"] for chart in page.chart_data["charts"]]
    assert ids == ["distribution-0", "distribution-1", "timeline-0", "timeline-1"]
    assert {f"plot-{each}" for each in ids} <= set(page.values("id"))
    figures = re.findall(r"<figure>.*?</figure>", text, re.DOTALL)
    assert len(figures) == len(ids)
    assert all('class="legend"' in figure and "<table>" in figure and "aria-label" in figure for figure in figures)


def test_lines_are_as_long_as_their_axis_and_no_two_sides_look_alike(text: str) -> None:
    data = Page(text).chart_data
    for chart in data["charts"]:
        for each in chart["spec"].get("panels", [chart["spec"]]):
            assert {len(line["values"]) for line in each["lines"]} == {len(chart["spec"]["x"])}
            sides = [line["side"] for line in each["lines"] if line["side"] is not None]
            assert sides == [0, 1]
    assert len(set(DASHES)) == len(DASHES) == 8
    for number in range(8):
        assert f"--s{number}:" in text


def test_distributions_of_all_groups_are_over_the_same_times_and_end_with_all_sagas() -> None:
    groups = compared("one", "two", one=both(), two=both("two", 300.0)).groups
    first, second = distributions(groups)
    assert first.spec["x"] == second.spec["x"]
    assert [line["values"][-1] for chart in (first, second) for line in chart.spec["lines"]] == [100.0] * 4
    assert {row[0]: row[1:] for row in first.rows}["50 %"] == ("200 ms", "300 ms")


def test_a_timeline_counts_every_arrival_and_every_end_once() -> None:
    chart = timelines(compared("one:1", "two:1", one=both(), two=both("two")).groups)[0]
    lines = {line["label"]: sum(line["values"]) for line in chart.spec["panels"][0]["lines"]}
    assert lines == {"offered": 120, "A": 120, "B": 120}
    assert [panel["unit"] for panel in chart.spec["panels"]] == [
        "ended per second", "sagas in flight", "messages waiting", "oldest saga, s"
    ]  # fmt: skip
    assert chart.notes == ("Not drawn: tries by first tries: there is no such series.",)


def test_a_load_or_storm_that_is_not_the_same_for_all_is_not_drawn_as_if_it_were() -> None:
    few = of(block(0, rows=sagas(60), storm_windows=[("slow", 1.0, 2.0)]), name="two")
    stormy = of(block(0, storm_windows=[("slow", 5.0, 9.0)]))
    (chart,) = timelines(compared("one", "two", one=stormy, two=few).groups)
    assert [line["label"] for line in chart.spec["panels"][0]["lines"]] == ["A", "B"]
    assert chart.spec["windows"] == []
    assert "No storm is tinted, as its windows are not the same for all." in chart.notes
    (same,) = timelines(compared("one", "two", one=stormy, two=of(block(0, storm_windows=[("slow", 5.0, 9.0)]))).groups)
    assert same.spec["windows"] == [[5.0, 9.0]]


def test_the_table_of_a_long_load_lists_some_seconds_only() -> None:
    long = [saga(number, float(number)) for number in range(600)]
    report = of(block(0, rows=long, duration_s=600.0, load_ended_s=600.0, drained_s=601.0))
    (chart,) = timelines(compared("one:1", "two:1", one=report, two=report).groups)
    assert len(chart.spec["x"]) == 601
    assert len(chart.rows) <= TABLE_ROWS


def test_figures_that_the_backend_falsifies_are_not_drawn() -> None:
    report = both()
    assert report.run.backend is not None
    wrong = Deviation(
        behaviour="b", what="w", consequence="Times are wrong.", falsifies=("completion_ms.p50", "throughput_per_s")
    )
    backend = msgspec.structs.replace(report.run.backend, deviations=(wrong,))
    file = msgspec.structs.replace(report.run, run_id="two", backend=backend)
    other = make_report(RunData(file, report.data.blocks), report.audits)
    together = compared("one", "two", one=report, two=other)
    assert distributions(together.groups)[0].missing == "of B: Times are wrong"
    assert "Not drawn: ended per second: of B: Times are wrong." in timelines(together.groups)[0].notes
    difference = together.groups[0].comparisons[0].of("completion p50")
    assert (difference.ratio, difference.why) == (None, "Times are wrong")


def test_a_page_can_be_made_of_runs_without_any_block() -> None:
    empty = run(interleave="AB")
    report = make_report(empty, [])
    text = render_comparison(compared("one", "two", one=report, two=report))
    assert Page(text).chart_data["charts"] == []
    assert "No saga ended." in text


def test_eight_picks_fit_on_a_page() -> None:
    runs = {f"run{number}": both(f"run{number}", 100.0 + 10 * number) for number in range(8)}
    page = Page(render_comparison(compared(*runs, **runs), served=True))
    assert len(page.chart_data["charts"]) == 4
    assert [line["side"] for line in page.chart_data["charts"][0]["spec"]["lines"]] == list(range(8))


def test_links_lead_to_another_base_and_to_fewer_picks() -> None:
    runs = {"one": both(), "two": both("two"), "three": both("three")}
    links = Page(render_comparison(compared("one", "two:1", "three", **runs), served=True)).values("href")
    assert "/compare?pick=two%3A1&pick=one&pick=three" in links
    assert "/compare?pick=one&pick=three" in links
    assert "/runs/two" in links
