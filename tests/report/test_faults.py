"""Faults: what struck, and whether both topologies met the same."""

from __future__ import annotations

import msgspec

from chaos import engine
from harness.history.records import FaultRow
from harness.report.faults import COLLATERAL, fired, planned_faults, same_trouble
from harness.report.html import render_page
from harness.report.judge import judge
from harness.report.markdown import render_markdown
from harness.report.model import make_report
from harness.report.tables import collateral_lines, fault_label, sagas_in_common
from tests.report.small import block, fault, pair, run, saga

STORM = [{"name": "request-lost", "kind": "timeout", "probability": 0.5, "start_s": 1.0, "end_s": 2.0}]


def test_a_fault_of_the_storm_that_never_struck_is_listed_with_zero() -> None:
    data = run(block(0), block(1, "choreographed"), storm=STORM)
    assert fired(data, "orchestrated") == {"request-lost": 0}


def test_a_fault_that_nobody_planned_is_listed_all_the_same() -> None:
    data = run(block(0, faults=[fault("gremlin", 1)]), block(1, "choreographed"), storm=STORM)
    assert fired(data, "orchestrated") == {"request-lost": 0, "gremlin": 1}


def test_a_storm_without_faults_has_none() -> None:
    assert planned_faults(run(block(0)).run) == []


def test_strikes_are_counted_one_by_one_and_sagas_once() -> None:
    struck = [fault("request-lost", 7), fault("request-lost", 7), fault("request-lost", 9)]
    data = run(block(0, faults=struck), block(1, "choreographed", faults=struck[:1]), storm=STORM)
    (trouble,) = same_trouble(data)
    assert trouble.fired == {"orchestrated": 3, "choreographed": 1}
    assert trouble.common == {(0, 7)}
    assert trouble.only("orchestrated") == [(0, 9)]
    assert sagas_in_common(trouble) == "1; 1 only orchestrated, 0 only choreographed"


def test_equal_sets_are_the_same_trouble() -> None:
    struck = [fault("request-lost", 7), fault("request-lost", 9)]
    data = run(block(0, faults=struck), block(1, "choreographed", faults=struck[::-1]), storm=STORM)
    (trouble,) = same_trouble(data)
    assert trouble.same
    assert sagas_in_common(trouble) == "all 2"


def test_the_same_arrival_in_another_round_is_another_saga() -> None:
    data = run(
        block(0, faults=[fault("request-lost", 7)]),
        block(1, "choreographed"),
        block(2, "choreographed", faults=[fault("request-lost", 7)]),
        block(3, "orchestrated"),
        storm=STORM,
        interleave="ABBA",
    )
    (trouble,) = same_trouble(data)
    assert trouble.common == frozenset()
    assert (trouble.only("orchestrated"), trouble.only("choreographed")) == ([(0, 7)], [(1, 7)])


def test_rounds_that_one_topology_did_not_finish_do_not_make_the_sets_differ() -> None:
    struck = [fault("request-lost", 7)]
    data = run(
        block(0, faults=struck),
        block(1, "choreographed", faults=struck),
        block(2, "choreographed", faults=struck),
        storm=STORM,
        interleave="ABBA",
    )
    (trouble,) = same_trouble(data)
    assert trouble.same
    assert trouble.fired == {"orchestrated": 1, "choreographed": 2}


def test_a_strike_on_no_scheduled_saga_counts_as_fired_and_belongs_to_no_set() -> None:
    data = run(block(0, faults=[fault("request-lost", -1)]), block(1, "choreographed"), storm=STORM)
    (trouble,) = same_trouble(data)
    assert (trouble.fired["orchestrated"], trouble.same) == (1, True)


SURGE = [{"name": "rush", "kind": "surge", "probability": 1.0, "start_s": 1.0, "end_s": 2.0}]


def planned(*arrivals: int) -> list[FaultRow]:
    return [
        msgspec.structs.replace(fault("rush", arrival), worker="schedule", step="arrival", participant="", saga_id="")
        for arrival in arrivals
    ]


def test_a_surge_has_struck_where_one_of_its_arrivals_was_accepted() -> None:
    rows = [saga(0, 0.5), saga(1, 1.5, None, status="rejected"), saga(2, 1.6)]
    data = run(block(0, rows=rows, faults=planned(1, 2)), storm=SURGE)
    assert fired(data, "orchestrated") == {"rush": 2}
    assert [fault_label(trouble) for trouble in same_trouble(data)] == ["rush (scheduled)"]


def test_a_surge_of_which_the_topology_accepted_nothing_has_not() -> None:
    rows = [saga(0, 0.5), saga(1, 1.5, None, status="rejected")]
    data = run(
        block(0, rows=rows, faults=planned(1)),
        block(1, "choreographed", rows=[saga(0, 0.5), saga(1, 1.5)], faults=planned(1)),
        storm=SURGE,
    )
    assert (fired(data, "orchestrated"), fired(data, "choreographed")) == ({"rush": 0}, {"rush": 1})
    assert any("orchestrated: the storm's fault rush never struck" in each for each in judge(data, []).reasons)


def in_the_same_batch(arrival: int) -> FaultRow:
    return msgspec.structs.replace(fault("request-lost", arrival), detail=f"{COLLATERAL}: sqs:SendMessageBatch")


def test_sagas_that_shared_a_call_with_a_struck_one_are_told_apart_and_in_no_set() -> None:
    struck = [fault("request-lost", 7)]
    shared = [in_the_same_batch(7), in_the_same_batch(8), in_the_same_batch(8), in_the_same_batch(9)]
    data = run(block(0, faults=[*struck, *shared]), block(1, "choreographed", faults=struck), storm=STORM)
    (trouble,) = same_trouble(data)
    assert (trouble.fired, trouble.same) == ({"orchestrated": 1, "choreographed": 1}, True)
    assert trouble.collateral == {"orchestrated": 2, "choreographed": 0}
    report = make_report(data, [])
    told = "request-lost: and more sagas in the same batched calls, not counted: 2 in orchestrated."
    assert collateral_lines(report) == [told]
    assert told in render_page(report)
    assert "- request-lost: and more sagas in the same batched calls" in render_markdown(report)


def test_a_fault_that_hit_sagas_in_passing_only_has_not_struck() -> None:
    data = pair(faults=[in_the_same_batch(8)])
    assert fired(data, "choreographed") == {"request-lost": 0}


def test_the_mark_of_a_saga_hit_in_passing_is_the_one_that_the_engine_writes() -> None:
    assert engine.COLLATERAL == COLLATERAL


def test_a_fault_that_does_not_apply_to_a_topology_is_no_gap_in_what_is_known_of_it() -> None:
    storm = [{"name": "aborted", "kind": "execution-aborted", "probability": 0.5, "start_s": 1.0, "end_s": 2.0}]
    struck = [fault("aborted", 7)]
    data = run(block(0, faults=struck), block(1, "choreographed", inapplicable_faults=["aborted"]), storm=storm)
    assert (fired(data, "orchestrated"), fired(data, "choreographed")) == ({"aborted": 1}, {"aborted": None})
    (trouble,) = same_trouble(data)
    assert (trouble.same, trouble.common) == (True, {(0, 7)})
    judgement = judge(data, [])
    assert not any("aborted" in reason for reason in judgement.reasons)
    assert "choreographed: the storm's fault aborted does not apply to it." in judgement.remarks


def test_a_fault_that_applies_and_never_struck_is_one() -> None:
    storm = [{"name": "aborted", "kind": "execution-aborted", "probability": 0.5, "start_s": 1.0, "end_s": 2.0}]
    data = run(block(0), block(1, "choreographed", inapplicable_faults=["aborted"]), storm=storm)
    reasons = judge(data, []).reasons
    assert [reason for reason in reasons if "aborted" in reason] == [
        "orchestrated: the storm's fault aborted never struck, so the run says nothing about it."
    ]
