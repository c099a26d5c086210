"""Faults: what struck, and whether both topologies met the same."""

from __future__ import annotations

from harness.report.faults import fired, planned_faults, same_trouble
from harness.report.tables import sagas_in_common
from tests.report.small import block, fault, run

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
