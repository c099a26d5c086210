"""The page: complete in itself, safe with any text, and drawn from the same figures."""

from __future__ import annotations

import re
from hashlib import sha256
from html import unescape
from math import inf
from pathlib import Path

import msgspec
import pytest

from harness.audit.auditor import Anomaly
from harness.history.history import FILE_NAME, History
from harness.history.records import EventRow, StepRow
from harness.report.html import render_page
from harness.report.journeys import make_journey
from harness.report.model import Report, make_report
from harness.report.run_data import RunData
from harness.report.selection import Chosen, Reason, choose
from harness.report.templates import HERE
from harness.report.traffic import Traffic, hops, read_traffic
from tests.html_page import EVIL, Page, policy_hash
from tests.report import synthetic_run
from tests.report.small import block, fault, pair, run, saga

UPSTREAM_SHA256 = {
    "uPlot.iife.min.js": "19c8d4c6ad88929a79f4ae49d6f7161566dfd0ba3d15cc495e974f787eb78f1f",
    "uPlot.min.css": "df630c6a8d6f8eeaff264b50f73ce5b114f646ffd9a0bb74f049b0a00135fa04",
}
"""Of the files in the npm package uplot 1.6.32."""
CHARGED_TWICE = msgspec.structs.replace(synthetic_run.CHARGED_TWICE, sagas=("s-2-41", "s-2-97"))
PICTURED = ("orchestrated", "choreographed")


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    folder = synthetic_run.build(tmp_path_factory.mktemp("run"))
    data = synthetic_run.read(folder)
    audits = synthetic_run.audits(data, {2: [CHARGED_TWICE]})
    with History(folder / FILE_NAME) as history:
        return make_report(data, audits, choose(history, data, audits), read_traffic(history, data))


@pytest.fixture(scope="module")
def text(report: Report) -> str:
    return render_page(report)


def test_the_page_loads_nothing_from_elsewhere(text: str) -> None:
    for tag, attributes in Page(text).elements:
        for name in ("src", "href", "action", "data", "poster", "srcset"):
            # A place on the page itself is the only address but data.
            assert (attributes.get(name) or "data:,").startswith(("data:", "#")), (tag, attributes)
    styles = "".join(re.findall(r"<style>(.*?)</style>", text, re.DOTALL))
    assert "url(" not in styles
    assert "@import" not in styles
    assert "default-src 'none'" in unescape(text)


def test_no_script_runs_but_our_own_as_they_stand_in_the_page(text: str) -> None:
    (allowed,) = re.findall(r"script-src (.*?);", unescape(text))
    scripts = [script for attributes, script in Page(text).scripts if "type" not in attributes]
    hashes = [policy_hash(script) for script in scripts]
    assert allowed.split() == hashes


def test_the_page_leads_with_the_verdict_and_three_differences_with_their_intervals(text: str) -> None:
    body = text[text.index("<body>") :]
    assert body.index('class="verdict fail"') < body.index('class="card') < body.index("How long sagas took")
    assert len(re.findall(r'class="card( unclear)?"', body)) == 3
    assert len(re.findall(r'class="interval">-?\d', body)) == 3


def test_every_chart_has_its_place_its_title_its_unit_and_a_table(text: str) -> None:
    page = Page(text)
    charts = page.chart_data
    assert [chart["id"] for chart in charts] == [
        "distribution", "loop-0", "loop-1"
    ]  # fmt: skip
    assert {f"plot-{chart['id']}" for chart in charts} <= set(page.values("id"))
    labels = [attributes.get("aria-label") for _, attributes in page.elements if attributes.get("role") == "img"]
    assert len([label for label in labels if label]) >= len(charts)
    figures = re.findall(r"<figure>.*?</figure>", text, re.DOTALL)
    assert len(figures) == len(charts) + len(PICTURED)
    assert all("<figcaption>" in figure and "<details>" in figure and "<table>" in figure for figure in figures)


def test_lines_of_a_chart_are_as_long_as_their_axis_and_rise_to_all_sagas(text: str) -> None:
    for chart in Page(text).chart_data:
        for line in [line for panel in chart["spec"].get("panels", [chart["spec"]]) for line in panel["lines"]]:
            assert len(line["values"]) == len(chart["spec"]["x"])
    distribution = Page(text).chart_data[0]["spec"]
    assert [line["values"][-1] for line in distribution["lines"]] == [100.0, 100.0]
    assert [line["values"][0] for line in distribution["lines"]] == [0.0, 0.0]


def test_the_loop_counts_every_scheduled_and_every_ended_saga_once(report: Report, text: str) -> None:
    chart = next(chart for chart in Page(text).chart_data if chart["id"] == "loop-0")
    blocks = report.data.complete("orchestrated")
    sagas_per_second = chart["spec"]["panels"][0]
    lines = {
        line["label"]: sum(line["values"]) * len(blocks) for line in sagas_per_second["lines"] if not line["faint"]
    }
    assert lines == {
        "offered": sum(len(data.sagas) for data in blocks),
        "ended": sum(len(data.ended) for data in blocks),
    }
    assert chart["spec"]["windows"] == [[4.0, 12.0], [4.0, 12.0], [6.0, 9.0]]


def test_the_loop_of_every_topology_has_the_same_axes(text: str) -> None:
    first, second = (chart["spec"] for chart in Page(text).chart_data if chart["id"].startswith("loop"))
    assert first["x"] == second["x"]
    assert [panel["range"] for panel in first["panels"]] == [panel["range"] for panel in second["panels"]]
    assert [panel["unit"] for panel in first["panels"]] == [
        "sagas per second", "tries by first tries", "sagas", "messages", "seconds"
    ]  # fmt: skip


def test_retries_are_drawn_by_layer_and_in_all(text: str) -> None:
    loops = [chart["spec"] for chart in Page(text).chart_data if chart["id"].startswith("loop")]
    assert [[line["role"] for line in spec["panels"][1]["lines"]] for spec in loops] == [
        ["total", "sdk", "delivery", "stepfunctions"], ["total", "sdk", "delivery"]
    ]  # fmt: skip


def test_the_chart_tells_when_a_topology_was_back_and_when_it_never_was(tmp_path: Path) -> None:
    spec = synthetic_run.Spec(interleave="AB", duration_s=24.0, fades_s={"orchestrated": 6.0, "choreographed": inf})
    data = synthetic_run.read(synthetic_run.build(tmp_path, spec))
    report = make_report(data, synthetic_run.audits(data))
    back = [chart["spec"]["back"] for chart in Page(render_page(report)).chart_data if chart["id"].startswith("loop")]
    late_s = report.topologies["orchestrated"].recovery_s
    assert late_s
    assert back == [
        {"at_s": synthetic_run.STORM_END_S + late_s, "words": f"back after {late_s:.0f} s"},
        {"at_s": None, "words": "not back in 18 s"},
    ]


def evil_report() -> Report:
    rows = [saga(number, number / 10, saga_id=EVIL, reason=EVIL) for number in range(120)]
    data = run(
        block(0, rows=rows, faults=[fault(EVIL, 1)], problem=EVIL),
        block(1, EVIL, rows=rows, state="aborted", problem=EVIL),
    )
    data.blocks[0].events.append(EventRow(t_s=1.0, what=EVIL))
    file = msgspec.structs.replace(
        data.run,
        command=EVIL,
        commit=EVIL,
        backend=msgspec.structs.replace(data.run.backend, version=EVIL),
        run_id=EVIL,
    )
    data = RunData(file, data.blocks)
    evil = Anomaly(name=EVIL, count=1, sagas=(EVIL,), witness=EVIL)
    step = StepRow(
        t_s=1.0, worker=EVIL, participant=EVIL, saga_id=EVIL, arrival=1, step=EVIL, result=EVIL, replayed=False,
        attempt=EVIL, took_ms=1.0, detail=EVIL,
    )  # fmt: skip
    events = [EventRow(t_s=1.0, what=f"sweeper: saga {EVIL}, {EVIL}")]
    record = msgspec.structs.replace(data.blocks[0].block, topology=EVIL)
    journey = make_journey(record, EVIL, rows[1], [step], [fault(EVIL, 1)], events)
    traffic = Traffic(EVIL, 1, hops([(None, [(EVIL, EVIL, EVIL, EVIL, False)])]), {EVIL: 1.0})
    return make_report(
        data, synthetic_run.audits(data, {0: [evil]}), [Chosen((Reason(EVIL, EVIL),), (journey,))], [traffic]
    )


def test_text_from_the_run_cannot_become_markup_or_script() -> None:
    text = render_page(evil_report())
    page = Page(text)
    assert "alert(1)" in text
    assert len(page.scripts) == 4
    assert [attributes for tag, attributes in page.elements if tag == "img"] == []
    assert [script for _, script in page.scripts if EVIL in script] == []
    assert not any(name.startswith("on") for _, attributes in page.elements for name in attributes)


def test_a_page_can_be_made_of_a_run_without_blocks() -> None:
    text = render_page(make_report(run(interleave="AB"), []))
    assert Page(text).chart_data == []
    assert "No saga ended." in text


def test_a_page_can_be_made_of_one_topology_without_series() -> None:
    data = run(block(0, series={}))
    text = render_page(make_report(data, synthetic_run.audits(data)))
    assert [chart["id"] for chart in Page(text).chart_data] == ["distribution", "loop-0"]
    assert [panel["unit"] for panel in Page(text).chart_data[1]["spec"]["panels"]] == [
        "sagas per second",
        "sagas",
        "seconds",
    ]
    assert "Not drawn: tries by first tries: there is no such series" in text


def test_drawn_colors_and_words_are_there_for_light_and_dark(text: str) -> None:
    assert "prefers-color-scheme: dark" in text
    for color in ("#0072b2", "#d55e00", "#56b4e9", "#e69f00"):
        assert color in text


@pytest.mark.parametrize("name", UPSTREAM_SHA256)
def test_vendored_files_are_what_their_package_holds_below_their_licence(name: str) -> None:
    content = (HERE / "vendor" / name).read_bytes()
    licence, end, upstream = content.partition(b"*/\n")
    assert end
    assert b"The MIT License (MIT)" in licence
    assert b"Copyright (c) 2022 Leon Sorokin" in licence
    assert sha256(upstream).hexdigest() == UPSTREAM_SHA256[name]


def test_what_is_vendored_is_told_in_the_list_of_third_party_material() -> None:
    told = (Path(__file__).parents[2] / "THIRD_PARTY.md").read_text(encoding="utf-8")
    for name, digest in UPSTREAM_SHA256.items():
        assert name in told
        assert digest in told


def test_identical_topologies_draw_a_point_and_not_an_error() -> None:
    data = pair()
    assert 'class="strip"' in render_page(make_report(data, synthetic_run.audits(data)))


def test_every_link_leads_to_a_place_on_the_page_and_no_place_has_two_names(text: str) -> None:
    page = Page(text)
    assert len(page.values("id")) == len(set(page.values("id")))
    links = [str(attributes["href"]) for tag, attributes in page.elements if tag == "a"]
    assert links
    assert {link.removeprefix("#") for link in links} <= set(page.values("id"))


def test_the_witness_of_an_anomaly_leads_to_its_journey(text: str) -> None:
    (place,) = re.findall(r'<a href="#(saga-\d+)">The journey of its witness</a>', text)
    article = text[text.index(f'id="{place}"') :]
    article = article[: article.index("</article>")]
    assert "s-2-41" in article
    assert "effect-twice, block 3" in article


def test_a_journey_shows_the_same_arrival_in_both_topologies_to_one_scale(text: str) -> None:
    articles = re.findall(r'<article class="journey".*?</article>', text, re.DOTALL)
    assert articles
    for article in articles:
        assert [name for name in PICTURED if f"<b>{name}</b>" in article] == list(PICTURED)
        assert len(set(re.findall(r"<span>0</span><span>(.*?)</span>", article))) == 1


def test_controls_have_a_name_and_what_moves_the_page_can_be_skipped(text: str) -> None:
    page = Page(text)
    labelled = {attributes.get("for") for tag, attributes in page.elements if tag == "label"}
    assert {attributes.get("id") for tag, attributes in page.elements if tag == "input"} <= labelled
    first_link = next(attributes for tag, attributes in page.elements if tag == "a")
    assert first_link == {"class": "skip", "href": "#answer"}


def test_a_topology_without_a_complete_block_has_no_picture_and_no_journeys() -> None:
    text = render_page(make_report(run(interleave="AB"), []))
    assert "Who talks to whom" not in text
    assert "One saga" not in text
