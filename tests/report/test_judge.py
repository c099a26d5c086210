"""The verdict: each rule with what trips it and what just does not."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from harness.audit.auditor import Anomaly, Audit
from harness.core.errors import EXIT_FAIL, EXIT_INCONCLUSIVE, EXIT_PASS
from harness.core.verdict import RunVerdict, Verdict
from harness.history.run_file import Reading
from harness.report.judge import Judgement, judge
from harness.report.run_data import BACKEND_CALL, COMPLETIONS, CPU, MACHINE_CPU, BlockData, RunData
from tests.report import synthetic_run
from tests.report.small import DURATION_S, block, fault, healthy_series, pair, run, saga, sagas, track
from tests.report.synthetic_run import CHARGED_TWICE, audit


def judged(data: RunData, *audits: Audit) -> Judgement:
    """Judge with these audits, or with valid ones."""
    return judge(data, audits or [audit(each.block.block, each.block.topology) for each in data.blocks])


def test_a_run_in_which_everything_is_as_it_should_be_passes() -> None:
    judgement = judged(pair())
    assert (judgement.verdict, judgement.reasons, judgement.remarks) == (RunVerdict.PASS, [], [])
    assert judgement.exit_code == EXIT_PASS


def test_an_anomaly_fails_the_run_and_is_named_with_its_first_witness() -> None:
    judgement = judged(pair(), audit(0, "orchestrated"), audit(1, "choreographed", [CHARGED_TWICE]))
    assert (judgement.verdict, judgement.exit_code) == (RunVerdict.FAIL, EXIT_FAIL)
    assert judgement.reasons == [
        f"block 2 (choreographed): the audit found 2 x effect-twice; first: {CHARGED_TWICE.witness}."
    ]


def test_an_anomaly_fails_the_run_even_where_much_else_is_unknown() -> None:
    data = run(block(0, state="aborted", problem="the backend died"), block(1, "choreographed", drained=False))
    judgement = judged(data, audit(0, "orchestrated", [CHARGED_TWICE]))
    assert judgement.verdict is RunVerdict.FAIL
    assert judgement.reasons[0].startswith("block 1 (orchestrated): the audit found 2 x effect-twice")
    assert len(judgement.reasons) > 3


def test_an_audit_that_cannot_tell_makes_the_run_inconclusive() -> None:
    unknown = msgspec.structs.replace(
        audit(1, "choreographed"), verdict=Verdict.UNKNOWN, notes=["tables were not collected", "b", "c", "d", "e"]
    )
    judgement = judged(pair(), audit(0, "orchestrated"), unknown)
    assert (judgement.verdict, judgement.exit_code) == (RunVerdict.INCONCLUSIVE, EXIT_INCONCLUSIVE)
    assert judgement.reasons == [
        "block 2 (choreographed): the audit cannot tell: tables were not collected; b; c; and 2 more."
    ]


def test_a_block_that_was_not_audited_makes_the_run_inconclusive() -> None:
    assert judged(pair(), audit(0, "orchestrated")).reasons == ["block 2 (choreographed) was not audited."]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"drained": False}, "queues or executions still held work when the drain limit passed"),
        ({"drained": None}, "it was not recorded whether the queues ran empty"),
        ({"rows": sagas(120), "scheduled": 121}, "the client recorded 120 arrivals, the schedule has 121"),
        ({"rows": [saga(0, 0.0, None)]}, "no saga ended"),
        ({"rows": [saga(0, 0.0, None, sent_s=None)]}, "no arrival is recorded as sent"),
    ],
)
def test_a_block_that_cannot_speak_makes_the_run_inconclusive(changes: dict[str, Any], reason: str) -> None:
    judgement = judged(pair(**changes))
    assert judgement.verdict is RunVerdict.INCONCLUSIVE
    assert any(reason in each and each.startswith("block 2 (choreographed)") for each in judgement.reasons)


def test_an_aborted_block_says_why_and_is_not_judged_further() -> None:
    data = run(block(0), block(1, "choreographed", state="aborted", problem="the emulator died", drained=None))
    assert judged(data).reasons == [
        "1 of 2 planned blocks ran to their end, so the topologies did not get equal turns.",
        "block 2 (choreographed) is aborted: the emulator died; its figures are left out.",
    ]


def test_fewer_blocks_than_planned_make_the_run_inconclusive() -> None:
    judgement = judged(run(block(0), block(1, "choreographed"), interleave="ABBA"))
    assert judgement.reasons == ["2 of 4 planned blocks ran to their end, so the topologies did not get equal turns."]


def test_a_run_without_any_block_is_inconclusive() -> None:
    assert judge(run(interleave="AB"), []).verdict is RunVerdict.INCONCLUSIVE


def ended_by(problem: str, data: RunData) -> RunData:
    return replace(data, run=msgspec.structs.replace(data.run, problem=problem))


def test_a_run_that_ended_before_its_first_block_says_what_ended_it() -> None:
    (reason,) = judge(ended_by("nobody answers", run(interleave="AB")), []).reasons
    assert reason.startswith("0 of 2 planned blocks ran to their end")
    assert reason.endswith(" What ended the run: nobody answers.")


def test_what_ended_a_run_is_not_told_twice_where_its_block_tells_it() -> None:
    data = run(block(0, state="aborted", problem="the emulator died"), interleave="AB")
    reasons = judged(ended_by("the emulator died", data)).reasons
    assert sum("the emulator died" in reason for reason in reasons) == 1


@pytest.mark.parametrize("changes", [{"load_digest": "other"}, {"duration_s": DURATION_S + 1}])
def test_blocks_of_a_round_that_were_not_offered_the_same_make_the_run_inconclusive(changes: dict[str, Any]) -> None:
    assert (
        "round 1: its blocks were not offered the same arrivals, so it compares nothing."
        in judged(pair(**changes)).reasons
    )


STORM = [
    {"name": "request-lost", "kind": "timeout", "probability": 0.1, "start_s": 4.0, "end_s": 9.0},
    {"name": "switched-off", "kind": "timeout", "probability": 0.0, "start_s": 4.0, "end_s": 9.0},
]


def test_a_fault_that_never_struck_one_topology_makes_the_run_inconclusive() -> None:
    data = run(block(0, faults=[fault("request-lost", 3)]), block(1, "choreographed"), storm=STORM)
    assert judged(data).reasons == [
        "choreographed: the storm's fault request-lost never struck, so the run says nothing about it."
    ]


def test_one_strike_is_enough_and_a_fault_with_no_probability_need_not_strike() -> None:
    struck = [fault("request-lost", 3)]
    data = run(block(0, faults=struck), block(1, "choreographed", faults=struck), storm=STORM)
    assert judged(data).verdict is RunVerdict.PASS


def unserved(*statuses: str) -> dict[str, Any]:
    rows = [
        msgspec.structs.replace(row, status=statuses[row.arrival], outcome=None, completion_ms=None, sent_s=None)
        if row.arrival < len(statuses)
        else row
        for row in sagas(200)
    ]
    return {"rows": rows}


@pytest.mark.parametrize(
    ("statuses", "told"),
    [
        (["dropped"] * 3, "3 dropped by the load generator"),
        (["rejected"] * 3, "3 rejected by the ingress"),
        (
            ["dropped", "rejected", "error"],
            "1 dropped by the load generator, 1 rejected by the ingress, 1 without an answer",
        ),
    ],
)
def test_more_than_one_arrival_in_a_hundred_not_served_makes_the_run_inconclusive(
    statuses: list[str], told: str
) -> None:
    data = run(block(0, **unserved(*statuses)), block(1, "choreographed", **unserved()))
    assert (
        judged(data).reasons[0]
        == f"block 1 (orchestrated): 3 of 200 arrivals were not served (1.50%, limit 1%): {told}."
    )


def test_one_arrival_in_a_hundred_not_served_is_remarked_upon() -> None:
    judgement = judged(run(block(0, **unserved("dropped", "rejected")), block(1, "choreographed", **unserved())))
    assert judgement.verdict is RunVerdict.PASS
    (remark,) = judgement.remarks
    assert remark == (
        "block 1 (orchestrated): 2 of 200 arrivals were not served (1.00%, limit 1%): 1 dropped by the load "
        "generator, 1 rejected by the ingress."
    )


@pytest.mark.parametrize("status", ["accepted", "error"])
def test_one_saga_without_a_known_end_in_a_drained_block_makes_the_run_inconclusive(status: str) -> None:
    rows = [*sagas(200), saga(200, 19.99, None, status=status)]
    reasons = judged(pair(rows=rows)).reasons
    assert reasons == [
        "round 1: its blocks were not offered the same arrivals, so it compares nothing.",
        "block 2 (choreographed): 1 saga has no known end.",
    ]


def test_sagas_without_a_known_end_are_told_once_by_the_audit_that_proves_them_or_by_the_drain() -> None:
    rows = [*sagas(118), saga(118, 19.8, None), saga(119, 19.9, None)]
    lost = Anomaly(name="unresolved-saga", count=2, sagas=("s-118", "s-119"), witness="saga s-118: no end")
    proven = judged(pair(rows=rows), audit(0, "orchestrated"), audit(1, "choreographed", [lost]))
    assert [reason for reason in proven.reasons if "no known end" in reason] == []
    undrained = judged(pair(rows=rows, drained=False)).reasons
    assert [reason for reason in undrained if "no known end" in reason] == []


def test_a_configured_topology_without_a_planned_block_makes_the_run_inconclusive() -> None:
    data = run(block(0), topologies=("orchestrated", "choreographed"), interleave="A")
    assert judged(data).reasons == ["choreographed had no block in A, so there is nothing to say of it."]


def late(lag_s: float, count: int) -> dict[str, Any]:
    rows = [saga(n, n / 10, sent_s=n / 10 + (lag_s if n < count else 0.005)) for n in range(200)]
    return {"rows": rows}


def test_a_generator_that_sends_late_at_its_p99_is_saturated() -> None:
    data = run(block(0, **late(0.251, count=3)), block(1, "choreographed", **late(0.0, count=0)))
    assert judged(data).reasons == [
        "block 1 (orchestrated): the load generator sent 251 ms late at its p99 (limit 250 ms): it was saturated."
    ]


@pytest.mark.parametrize(("lag_s", "count"), [(0.249, 3), (5.0, 2)])
def test_a_generator_that_sends_late_now_and_then_is_not(lag_s: float, count: int) -> None:
    data = run(block(0, **late(lag_s, count)), block(1, "choreographed", **late(0.0, count=0)))
    assert judged(data).verdict is RunVerdict.PASS


def backend(cores: float) -> dict[str, Any]:
    series = healthy_series(sagas(120))
    kept = [each for each in series[CPU] if each.kind != "backend"]
    busy = track("backend-1", [(0.0, 2.0), (DURATION_S, 2.0 + cores * DURATION_S), (30.0, 99.0)])
    return {"series": {**series, CPU: [*kept, busy]}}


def test_a_backend_that_used_its_whole_core_over_the_load_was_saturated() -> None:
    (reason,) = judged(run(block(0, **backend(0.90)), block(1, "choreographed", **backend(0.96)))).reasons
    assert reason == (
        "block 2 (choreographed): the backend kept 0.96 cores busy over the load (limit 0.95): it was saturated, and "
        "sagas are slow because it is."
    )


def test_a_backend_just_below_its_limit_was_not_and_what_it_used_in_the_drain_does_not_count() -> None:
    data = run(block(0, **backend(0.90)), block(1, "choreographed", **backend(0.94)))
    assert judged(data).verdict is RunVerdict.PASS


def machine(busy_share: float) -> dict[str, Any]:
    cores = synthetic_run.run(synthetic_run.Spec()).machine["cores"]
    seconds = busy_share * DURATION_S * int(cores)
    busy = track("machine", [(0.0, 50.0), (DURATION_S, 50.0 + seconds), (30.0, 500.0)])
    return {"series": {**healthy_series(sagas(120)), MACHINE_CPU: [busy]}}


def test_a_machine_with_hardly_an_idle_processor_left_over_the_load_was_crowded() -> None:
    (reason,) = judged(run(block(0, **machine(0.85)), block(1, "choreographed", **machine(0.91)))).reasons
    assert reason.startswith("block 2 (choreographed): the machine's 2 cores were 91% busy over the load (limit 90%), ")
    assert reason.endswith("its times are those of a crowded machine.")


def test_a_machine_with_idle_processors_was_not_and_what_it_did_in_the_drain_does_not_count() -> None:
    data = run(block(0, **machine(0.85)), block(1, "choreographed", **machine(0.89)))
    assert judged(data).verdict is RunVerdict.PASS


def test_a_machine_that_others_used_in_one_block_of_a_round_only_makes_the_run_inconclusive() -> None:
    (reason,) = judged(run(block(0, **machine(0.60)), block(1, "choreographed", **machine(0.71)))).reasons
    assert re.fullmatch(
        r"round 1: other programs used \d\d% of the machine in block 2 \(choreographed\) and \d\d% in block 1 "
        r"\(orchestrated\) \(11 percentage points apart, limit 10\): its blocks did not have the same machine\.",
        reason,
    )


def test_others_that_used_a_little_more_of_it_or_as_much_in_every_block_of_a_round_do_not() -> None:
    little = run(block(0, **machine(0.60)), block(1, "choreographed", **machine(0.69)))
    always = run(block(0, **machine(0.85)), block(1, "choreographed", **machine(0.85)))
    assert [judged(data).verdict for data in (little, always)] == [RunVerdict.PASS, RunVerdict.PASS]


def test_a_topology_that_needs_more_of_the_machine_itself_is_not_taken_for_others() -> None:
    series = healthy_series(sagas(120))
    hungry = track("worker-1", [(0.0, 1.0), (DURATION_S, 5.0 + 0.4 * DURATION_S), (30.0, 20.0)])
    busy = track("machine", [(0.0, 100.0), (DURATION_S, 100.0 + 1.4 * DURATION_S)])
    others = [each for each in series[CPU] if each.kind != "worker"]
    data = pair(series={**series, CPU: [*others, hungry], MACHINE_CPU: [busy]})
    assert judged(data).verdict is RunVerdict.PASS


def test_a_machine_of_which_nothing_is_known_is_remarked_upon() -> None:
    series = {metric: tracks for metric, tracks in healthy_series(sagas(120)).items() if metric != MACHINE_CPU}
    judgement = judged(pair(series=series))
    assert judgement.verdict is RunVerdict.PASS
    assert judgement.remarks == ["block 2 (choreographed): how busy the machine was is not known."]


def without_backend() -> dict[str, Any]:
    series = healthy_series(sagas(120))
    return {"series": {**series, CPU: [each for each in series[CPU] if each.kind != "backend"]}}


def elsewhere(*blocks: BlockData) -> RunData:
    """On an emulator whose process is out of sight, and which answered a bare call in 4 ms before the load."""
    data = run(*blocks, backend="endpoint", endpoints={"sqs": "http://127.0.0.1:4566"})
    assert data.run.instrument is not None
    idle = Reading(p50_ms=4.0, p95_ms=9.0, samples=50)
    instrument = msgspec.structs.replace(data.run.instrument, idle_call=idle)
    return RunData(msgspec.structs.replace(data.run, instrument=instrument), data.blocks)


def answering(took_s: float) -> dict[str, Any]:
    """A backend that took as long for two calls of the load, longer for one, and no time in the drain."""
    calls = [(-1.0, 0.004), (1.0, took_s), (2.0, 9.0), (3.0, took_s), (DURATION_S + 1, 0.001), (DURATION_S + 2, 0.0)]
    return {"series": {**without_backend()["series"], BACKEND_CALL: [track("backend", calls)]}}


def test_a_backend_out_of_sight_that_took_long_to_answer_was_saturated() -> None:
    data = elsewhere(block(0, **answering(0.0239)), block(1, "choreographed", **answering(0.0241)))
    (reason,) = judged(data).reasons
    assert reason == (
        "block 2 (choreographed): the backend took 24.1 ms to answer a bare call over the load, 6.0 times the 4.0 ms "
        "before it (limit 6 times): it was saturated, and sagas are slow because it is."
    )


def test_a_backend_out_of_sight_that_answered_soon_enough_was_not() -> None:
    data = elsewhere(block(0, **answering(0.0239)), block(1, "choreographed", **answering(0.004)))
    assert (judged(data).verdict, judged(data).remarks) == (RunVerdict.PASS, [])


def test_a_backend_of_ours_is_judged_by_its_cpu_time_alone() -> None:
    slow = {**backend(0.90)["series"], BACKEND_CALL: answering(1.0)["series"][BACKEND_CALL]}
    assert judged(run(block(0, series=slow), block(1, "choreographed", series=slow))).verdict is RunVerdict.PASS


def test_somebody_elses_is_judged_by_its_cpu_time_and_by_how_long_it_takes_to_answer() -> None:
    slow = {**backend(0.90)["series"], BACKEND_CALL: answering(1.0)["series"][BACKEND_CALL]}
    (reason, *_) = judged(elsewhere(block(0, series=slow), block(1, "choreographed", series=slow))).reasons
    assert "to answer a bare call" in reason
    (reason, *_) = judged(elsewhere(block(0, **backend(0.96)), block(1, "choreographed", **backend(0.96)))).reasons
    assert "kept 0.96 cores busy" in reason


def test_a_backend_of_ours_that_was_not_measured_makes_the_run_inconclusive() -> None:
    assert judged(pair(**without_backend())).reasons == [
        "block 2 (choreographed): how busy the backend was is not known, so it cannot be shown that it kept up."
    ]


def test_somebody_elses_that_was_not_measured_makes_the_run_inconclusive() -> None:
    judgement = judged(elsewhere(block(0, **without_backend()), block(1, "choreographed", **without_backend())))
    assert judgement.verdict is RunVerdict.INCONCLUSIVE
    assert all("how busy the backend was is not known" in reason for reason in judgement.reasons)


def at_rate(rate_per_s: float) -> Judgement:
    """Of 10 sagas a second that the backend carries in one shape, and 20 in the other."""
    data = run(block(0), block(1, "choreographed"), rate_per_s=rate_per_s)
    assert data.run.instrument is not None
    capacity = {"orchestrated": 10.0, "choreographed": 20.0}
    instrument = msgspec.structs.replace(data.run.instrument, capacity_sagas_per_s=capacity)
    return judged(RunData(msgspec.structs.replace(data.run, instrument=instrument), data.blocks))


def test_a_rate_near_what_the_backend_carries_of_a_topology_is_remarked_upon() -> None:
    assert at_rate(9.0).remarks == []
    judgement = at_rate(9.5)
    assert judgement.verdict is RunVerdict.PASS
    (remark,) = judgement.remarks
    assert remark == (
        "orchestrated: 9.5 sagas/s were offered, 95% of the 10.0 that the backend carries with no participant's code "
        "(remarked upon above 90%): slow sagas may be the backend's doing."
    )


def counting(counted: float, last_s: float = 30.0, idle_s: float = 0.0) -> dict[str, Any]:
    """120 sagas that ended; the load process counted some of them and was last seen at ``last_s``.

    Its CPU time, which is stored when it has changed, was last stored ``idle_s`` before."""
    series = healthy_series(sagas(120))
    series[COMPLETIONS] = [track("load-1", [(-0.5, 0.0), (last_s, counted)], outcome="completed")]
    others = [each for each in series[CPU] if each.kind != "load"]
    series[CPU] = [*others, track("load-1", [(-0.5, 1.0), (last_s - idle_s, 2.0)])]
    return {"rows": sagas(120), "series": series}


@pytest.mark.parametrize("counted", [119, 121])
def test_series_that_count_other_than_the_rows_make_the_run_inconclusive(counted: int) -> None:
    (reason,) = judged(pair(**counting(counted))).reasons
    assert reason == (
        f"block 2 (choreographed): the series count {counted} ended sagas, the client rows 120; "
        "processes that ended between two scrapes explain 0 of the difference."
    )


def test_what_a_process_counted_between_its_last_scrape_and_its_end_is_explained() -> None:
    # Six sagas a second end: 12 of them in the two seconds after the last scrape.
    assert judged(pair(**counting(108, last_s=10.0))).verdict is RunVerdict.PASS
    assert "explain 12 of the difference" in judged(pair(**counting(107, last_s=10.0))).reasons[0]


def test_a_process_that_counts_without_measurable_work_is_seen_by_what_it_counts() -> None:
    assert judged(pair(**counting(108, last_s=10.0, idle_s=10.0))).verdict is RunVerdict.PASS


def test_an_idle_process_is_not_missed_until_there_is_something_to_count() -> None:
    late = [msgspec.structs.replace(row, completion_ms=5_500.0) for row in sagas(120)[118:]]
    found = counting(118, last_s=21.0) | {"rows": [*sagas(120)[:118], *late]}
    assert judged(pair(**found)).verdict is RunVerdict.PASS


def test_the_end_of_a_process_does_not_explain_that_it_counted_too_many() -> None:
    assert judged(pair(**counting(121, last_s=10.0))).verdict is RunVerdict.INCONCLUSIVE
