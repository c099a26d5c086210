"""Figures from the series: a counter that is not there is zero only where its process was looked at."""

from __future__ import annotations

import pytest

from harness.audit.auditor import Anomaly
from harness.report.costs import (
    MachineWork,
    aws_calls_per_saga,
    cpu_ms_per_saga,
    duplicates,
    machine_work,
    retry_amplification,
)
from harness.report.figures import Missing
from harness.report.model import make_report
from harness.report.run_data import ATTEMPTS, AWS_CALLS, CPU, DELIVERED, MACHINE_WORK, RETRIES, SUPPRESSED
from harness.report.series import Track
from harness.report.summary import Duplicates
from harness.report.tables import comparison_rows
from tests.report.small import block, healthy_series, run, sagas, track
from tests.report.synthetic_run import audit


def grown(target: str, amount: float, **labels: str) -> Track:
    return track(target, [(-0.5, 0.0), (20.0, amount)], **labels)


def with_series(**more: list[Track]) -> dict[str, list[Track]]:
    return {**healthy_series(sagas(120)), **more}


def test_the_machines_speed_is_the_median_over_the_load_and_unknown_where_nobody_looked() -> None:
    looks = [(-0.5, 9.0), (0.0, 0.002), (10.0, 0.003), (20.0, 0.009), (20.5, 9.0)]
    found = machine_work(block(series=with_series(**{MACHINE_WORK: [track("machine", looks, work="a")]})))
    assert found == MachineWork("a", 0.003)
    assert machine_work(block()) is None


def test_amplification_is_attempts_by_first_attempts_and_multiplies_over_the_layers() -> None:
    series = {
        ATTEMPTS: [grown("worker-1", 120, layer="sdk"), grown("worker-1", 150, layer="delivery")],
        RETRIES: [grown("worker-1", 20, layer="sdk"), grown("worker-1", 50, layer="delivery")],
    }
    figures = retry_amplification([block(series=series)])
    assert figures["sdk"] == 1.2
    assert figures["delivery"] == 1.5
    assert figures["total"] == pytest.approx(1.8)
    assert figures["stepfunctions"] == Missing("there is no series of the stepfunctions layer", expected=True)


def test_calls_of_the_harness_itself_amplify_nothing() -> None:
    series = {
        ATTEMPTS: [grown("worker-1", 100, layer="sdk"), grown("harness", 400, layer="sdk")],
        RETRIES: [grown("harness", 399, layer="sdk")],
    }
    assert retry_amplification([block(series=series)])["sdk"] == 1.0


def test_a_layer_that_should_be_there_and_is_not_is_told() -> None:
    figure = retry_amplification([block(series={})])["sdk"]
    assert isinstance(figure, Missing)
    assert not figure.expected


def test_no_duplicate_is_a_zero_where_the_workers_were_scraped_and_unknown_where_not() -> None:
    assert duplicates([block(0)], []) == (0, 0)
    delivered, suppressed = duplicates([block(0, series={})], [])
    assert delivered == suppressed == Missing("block 1 (orchestrated) has no series of a worker process")


def test_effects_that_the_audit_found_twice_were_delivered_and_not_suppressed() -> None:
    series = with_series(**{DELIVERED: [grown("worker-1", 7)], SUPPRESSED: [grown("worker-1", 7)]})
    twice = Anomaly(name="effect-twice", count=2, sagas=("s-1",), witness="")
    other = Anomaly(name="late-step", count=5, sagas=("s-2",), witness="")
    audits = [audit(0, "orchestrated", [twice, other]), audit(1, "choreographed", [twice])]
    assert duplicates([block(0, series=series)], audits) == (9, 7)


def test_duplicates_are_told_in_one_row_and_both_numbers_are_kept_in_the_summary() -> None:
    series = with_series(**{DELIVERED: [grown("worker-1", 7)], SUPPRESSED: [grown("worker-1", 7)]})
    twice = Anomaly(name="effect-twice", count=2, sagas=("s-1",), witness="")
    report = make_report(run(block(0, series=series)), [audit(0, "orchestrated", [twice])])
    assert [row.cells for row in comparison_rows(report) if "duplicates" in row.label] == [("7 of 9",)]
    assert report.topologies["orchestrated"].duplicates == Duplicates(delivered=9, suppressed=7)


def test_aws_calls_are_those_of_workers_and_ingress_by_ended_saga() -> None:
    calls = [grown("worker-1", 600), grown("ingress-1", 120), grown("harness", 9_999)]
    series = with_series(**{AWS_CALLS: calls})
    assert aws_calls_per_saga([block(rows=sagas(120), series=series)]) == 6.0


def test_cpu_per_saga_counts_every_process_of_ours_and_not_the_emulators() -> None:
    # healthy_series: load 1 s, ingress 1 s, worker 4 s, harness 1 s, backend 10.5 s; 120 sagas
    assert cpu_ms_per_saga([block(rows=sagas(120))]) == pytest.approx(7_000 / 120)


@pytest.mark.parametrize("kind", ["worker", "ingress", "load"])
def test_cpu_per_saga_is_unknown_when_one_kind_of_process_was_not_measured(kind: str) -> None:
    series = healthy_series(sagas(120))
    series[CPU] = [each for each in series[CPU] if each.kind != kind]
    assert cpu_ms_per_saga([block(series=series)]) == Missing(
        f"block 1 (orchestrated) has no CPU time of a {kind} process"
    )


def test_nothing_is_divided_by_sagas_that_did_not_end() -> None:
    rows = sagas(0)
    assert cpu_ms_per_saga([block(rows=rows)]) == Missing("no saga ended")
