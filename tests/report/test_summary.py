"""``summary.json``: the published keys are all there, always, and the figures are what the golden file says."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from harness.report.judge import judge
from harness.report.run_data import RunData
from harness.report.summary import Summary, summarize_data
from harness.report.write import encode_summary
from tests.conftest import Golden
from tests.report import synthetic_run
from tests.report.small import block, pair, run, saga, sagas

GOLDEN = Path(__file__).parent / "golden"
KEYS = {"schema", "run_id", "seed", "saga", "storm", "backend", "verdict", "reasons", "topologies"}
BACKEND_KEYS = {"name", "product", "version", "callback_retry", "unverified", "deviations"}
TOPOLOGY_KEYS = {
    "scheduled", "dropped", "accepted", "completed", "compensated", "unresolved", "throughput_per_s", "completion_ms",
    "compensation_rate", "retry_amplification", "duplicates", "faults", "anomalies", "recovery_s",
    "aws_calls_per_saga", "cpu_ms_per_saga", "amplification_peak", "offered_in_storm_per_s", "goodput_in_storm_per_s",
    "peak_backlog", "peak_oldest_s", "dead_letters", "sweeper_repairs", "sweeper_expired", "breaker_openings", "recovered",
    "recovery_completion_s", "recovery_backlog_s", "recovery_watched_s",
}  # fmt: skip


def summed_up(data: RunData) -> Summary:
    audits = synthetic_run.audits(data)
    return summarize_data(data, audits, judge(data, audits))


def test_the_summary_of_a_synthetic_run(tmp_path: Path, golden: Golden) -> None:
    data = synthetic_run.read(synthetic_run.build(tmp_path))
    audits = synthetic_run.audits(data, {2: [synthetic_run.CHARGED_TWICE]})
    summary = summarize_data(data, audits, judge(data, audits))
    golden(GOLDEN / "summary.json", encode_summary(summary).decode())


STATES = {
    "everything measured": pair(),
    "no block at all": run(interleave="AB"),
    "no saga ended": run(block(0, rows=[saga(0, 0.0, None)], series={})),
    "no series": pair(series={}),
    "only aborted blocks": run(block(0, state="aborted"), block(1, "choreographed", state="aborted")),
}


@pytest.mark.parametrize("state", STATES)
def test_no_key_is_ever_left_out(state: str) -> None:
    written = msgspec.json.decode(encode_summary(summed_up(STATES[state])))
    assert set(written) == KEYS
    assert written["schema"] == "sagastorm.summary/1"
    assert set(written["backend"]) == BACKEND_KEYS
    assert written["topologies"]
    for topology in written["topologies"].values():
        assert set(topology) == TOPOLOGY_KEYS
        assert set(topology["completion_ms"]) == {"p50", "p95", "p99"}
        assert set(topology["duplicates"]) == {"delivered", "suppressed"}
        assert set(topology["retry_amplification"]) == {"total", "sdk", "delivery", "stepfunctions"}


@pytest.mark.parametrize("state", ["no block at all", "only aborted blocks"])
def test_without_a_complete_block_every_figure_is_null(state: str) -> None:
    for topology in summed_up(STATES[state]).topologies.values():
        assert (topology.scheduled, topology.throughput_per_s, topology.completion_ms.p50) == (None, None, None)
        assert (topology.duplicates.delivered, topology.recovery_s, topology.cpu_ms_per_saga) == (None, None, None)


@pytest.mark.parametrize("state", ["no block at all", "only aborted blocks"])
def test_that_no_block_is_complete_is_told_once_for_each_topology(state: str) -> None:
    summary = summed_up(STATES[state])
    assert [reason for reason in summary.reasons if "null" in reason] == [
        f"{topology}: every figure is null: no block of this topology ran to its end."
        for topology in summary.topologies
    ]


def test_a_null_that_could_have_been_a_number_has_its_reason_after_those_of_the_verdict() -> None:
    data = run(block(0, rows=sagas(60), drained=False))
    reasons = summed_up(data).reasons
    assert reasons[0].startswith("block 1 (orchestrated): queues or executions still held work")
    assert "orchestrated: completion_ms.p99 is null: 60 sagas ended, p99 needs 100." in reasons[1:]


def test_figures_of_an_aborted_block_are_left_out_and_its_anomalies_are_not() -> None:
    data = run(block(0, rows=sagas(60)), block(3, rows=sagas(60), state="aborted"))
    audits = [
        synthetic_run.audit(0, "orchestrated"),
        synthetic_run.audit(3, "orchestrated", [synthetic_run.CHARGED_TWICE]),
    ]
    topology = summarize_data(data, audits, judge(data, audits)).topologies["orchestrated"]
    assert topology.scheduled == 60
    assert topology.anomalies == {"effect-twice": 2}


def test_a_storm_is_told_by_its_name_and_not_by_the_path_of_its_file() -> None:
    assert summed_up(run(block(0), storm=[])).storm == "small"
