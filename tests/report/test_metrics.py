"""Figures by their path, and what a backend's deviation does to them."""

from __future__ import annotations

import msgspec
import pytest

from harness.backends.deviations import DEVIATIONS
from harness.history.run_file import BackendFacts, Deviation
from harness.report.html import render_page
from harness.report.metrics import FIGURES
from harness.report.model import Report, make_report
from harness.report.run_data import RunData
from harness.report.summary import TopologySummary
from harness.report.tables import comparison_rows, round_lines
from tests.report import synthetic_run
from tests.report.small import pair
from tests.report.test_terminal import printed

WHY = "retries are not counted here"


def falsifying(data: RunData, *paths: str) -> RunData:
    """The run on a backend whose one deviation falsifies these."""
    deviation = Deviation(behaviour="retries_are_counted", what="It forgets.", consequence=f"{WHY}.", falsifies=paths)
    facts = BackendFacts(
        name="endpoint",
        product="localstack",
        version="localstack 4.14.0",
        callback_retry="reenter",
        deviations=(deviation,),
        checked=True,
    )
    return RunData(msgspec.structs.replace(data.run, backend=facts), data.blocks)


def judged(data: RunData) -> Report:
    return make_report(data, synthetic_run.audits(data))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> RunData:
    return synthetic_run.read(synthetic_run.build(tmp_path_factory.mktemp("run")))


def at(topology: TopologySummary, path: str) -> object:
    found: object = msgspec.to_builtins(topology)
    for key in path.split("."):
        assert isinstance(found, dict)
        found = found[key]
    return found


def test_every_path_leads_to_a_figure_of_the_summary() -> None:
    (topology, *_) = judged(pair()).topologies.values()
    for path in FIGURES:
        assert isinstance(at(topology, path), int | float | None), path


@pytest.mark.parametrize("product", DEVIATIONS)
def test_every_metric_that_a_known_deviation_falsifies_exists(product: str) -> None:
    for deviation in DEVIATIONS[product]:
        assert set(deviation.falsifies) <= FIGURES.keys(), deviation.behaviour


@pytest.mark.parametrize("path", FIGURES)
def test_a_falsified_figure_is_null_with_the_consequence_as_its_reason(data: RunData, path: str) -> None:
    whole, without = judged(data), judged(falsifying(data, path))
    for name, topology in without.topologies.items():
        assert at(topology, path) is None
        told = f"{name}: {path} is null: {WHY}." in without.summary.reasons
        assert told is (at(whole.topologies[name], path) is not None)
    assert without.judgement.reasons == whole.judgement.reasons


def test_no_other_figure_falls_with_a_falsified_one_but_what_is_made_of_it(data: RunData) -> None:
    whole, without = judged(data), judged(falsifying(data, "retry_amplification.stepfunctions"))
    gone = {
        (name, path)
        for name in whole.topologies
        for path in FIGURES
        if at(whole.topologies[name], path) != at(without.topologies[name], path)
    }
    # A choreographed saga has no such layer, so its total is whole.
    assert gone == {
        ("orchestrated", "retry_amplification.stepfunctions"),
        ("orchestrated", "retry_amplification.total"),
        ("orchestrated", "amplification_peak"),
    }


def test_what_is_falsified_has_no_difference_no_block_figure_and_no_chart(data: RunData) -> None:
    report = judged(falsifying(data, "completion_ms.p50", "recovery_s"))
    row = next(row for row in comparison_rows(report) if row.label == "completion p50")
    assert row.cells == ("-", "-")
    (difference,) = row.differences
    assert difference is not None
    assert (difference.base, difference.difference, difference.by_round, difference.why) == (None, None, (), WHY)
    assert [block.p50_ms for block in report.blocks] == [None] * 4
    assert report.spreads[0].p50_ratio is None
    assert "completion p50" not in round_lines(report)[0]
    assert f"completion p50: not compared: {WHY}." in printed(report, 140)
    page = render_page(report)
    assert f"Not shown: {WHY}." in page
    assert 'id="plot-distribution"' not in page
    assert 'id="plot-loop-0"' in page
