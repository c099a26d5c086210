"""Who talked to whom, from the order of recorded steps, and the picture of it."""

from __future__ import annotations

from pathlib import Path

from harness.history.history import FILE_NAME, History
from harness.report.picture import INGRESS, STATE_MACHINE, WIDTH, draw
from harness.report.traffic import Handled, Hop, Passage, Traffic, hops, read_traffic
from tests.report import synthetic_run


def done(step: str, participant: str, result: str = "done", *, replayed: bool = False) -> Handled:
    return ("s-1", participant, step, result, replayed)


FORWARD = [done("create", "order"), done("charge", "payment"), done("approve", "order")]
UNDONE = [done("create", "order"), done("charge", "payment", "refused"), done("reject", "order")]


def ways(found: tuple[Hop, ...]) -> list[tuple[str, str, int, int, int, int]]:
    return [(hop.source, hop.step, hop.sagas, hop.messages, hop.duplicates, hop.failed) for hop in found]


def test_a_step_was_asked_for_by_whoever_took_the_step_before() -> None:
    sagas: list[Passage] = [("completed", FORWARD), ("completed", FORWARD), ("compensated", UNDONE)]
    found = hops(sagas)
    assert ways(found) == [
        (INGRESS, "create", 3, 3, 0, 0),
        ("order", "charge", 3, 3, 0, 0),
        ("payment", "approve", 2, 2, 0, 0),
        ("payment", "reject", 1, 1, 0, 0),
    ]
    assert [hop.back for hop in found] == [False, False, False, True]


def test_duplicates_and_failures_count_for_the_way_on_which_the_step_was_first_asked_for() -> None:
    handled = [
        done("create", "order"),
        done("charge", "payment", "error"),
        done("charge", "payment"),
        done("create", "order", replayed=True),
        done("charge", "payment", replayed=True),
        done("approve", "order"),
    ]
    assert ways(hops([("completed", handled)])) == [
        (INGRESS, "create", 1, 2, 1, 0),
        ("order", "charge", 1, 3, 1, 1),
        ("payment", "approve", 1, 1, 0, 0),
    ]


def test_a_step_whose_first_record_is_a_replay_was_taken_all_the_same() -> None:
    handled = [done("create", "order"), done("charge", "payment", replayed=True), done("approve", "order")]
    assert ways(hops([("completed", handled)]))[-1] == ("payment", "approve", 1, 1, 0, 0)


def test_no_message_of_a_run_is_left_out_or_counted_twice(tmp_path: Path) -> None:
    folder = synthetic_run.build(tmp_path)
    data = synthetic_run.read(folder)
    with History(folder / FILE_NAME) as history:
        found = read_traffic(history, data)
        for traffic in found:
            recorded = sum(len(history.steps(each.block.block)) for each in data.complete(traffic.topology))
            assert sum(hop.messages for hop in traffic.hops) == recorded
            assert traffic.sagas == sum(len(each.sagas) for each in data.complete(traffic.topology))
    assert [traffic.topology for traffic in found] == list(data.topologies)


def test_who_started_executions_has_a_state_machine_in_the_middle_of_its_picture() -> None:
    sagas: list[Passage] = [("completed", FORWARD), ("compensated", UNDONE)]
    alone = draw(Traffic("a", 2, hops(sagas)))
    told = draw(
        Traffic("b", 2, hops(sagas), {"stepfunctions:StartExecution": 3.0, "stepfunctions:SendTaskSuccess": 6.0})
    )
    assert [" ".join(column.words) for column in alone.columns] == [INGRESS, "order", "payment"]
    assert [" ".join(column.words) for column in told.columns] == [INGRESS, "order", STATE_MACHINE, "payment"]
    assert [arrow.label for arrow in alone.arrows] == ["create 1.00", "charge 1.00", "approve 0.50", "reject 0.50"]
    assert told.arrows[0].label == "start 1.50"
    assert "3.00 callbacks by saga" in told.what


def test_a_rare_way_is_in_the_table_and_not_in_the_picture() -> None:
    short: Passage = ("completed", [done("create", "order"), done("approve", "order")])
    sagas: list[Passage] = [*[("completed", FORWARD)] * 199, short]
    picture = draw(Traffic("a", 200, hops(sagas)))
    assert len(picture.arrows) == 3
    assert len(picture.rows) == 4
    assert "In the table only: 1 more, which fewer than 1% of the sagas went." in picture.what


def test_labels_and_arrows_stay_within_the_picture() -> None:
    chain = [done(f"a-step-with-a-long-name-{n}", f"participant-{n % 4}", "error") for n in range(8)]
    handled = [each for one in chain for each in (one, (*one[:3], "done", False), (*one[:3], "done", True))]
    picture = draw(Traffic("a", 1, hops([("completed", handled)])))
    for arrow in picture.arrows:
        assert 0 < arrow.label_x < WIDTH
        assert all(0 <= float(point.split(",")[0]) <= WIDTH for point in arrow.points.split())
        assert arrow.again > 0
