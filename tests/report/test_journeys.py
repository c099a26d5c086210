"""A saga's journey: what was recorded of it in one order, in words, and from the command line."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from harness.audit.auditor import Anomaly
from harness.cli import journey as journey_command
from harness.cli import main as command_line
from harness.core.errors import EXIT_PASS, EXIT_USAGE, RunNotFound, UsageError
from harness.history.history import FILE_NAME, History
from harness.history.records import Block, EventRow, FaultRow, StepRow
from harness.history.spool import Spool
from harness.report.journeys import Journey, Kind, attempt_in_words, ended, make_journey
from harness.report.selection import ANOMALOUS, MOST_ARRIVALS, SLOWEST, Chosen, choose
from harness.report.waterfall import MOST_ROWS, rows, shown
from harness.report.waterfall_text import lines
from harness.report.write import read_report
from tests.report import synthetic_run
from tests.report.small import fault, saga

BLOCK = Block(block=0, topology="orchestrated", round=0, namespace="small", duration_s=20.0)


def step(name: str, t_s: float, **changes: object) -> StepRow:
    """A handling that took 10 ms and ended at ``t_s``."""
    given: dict[str, object] = {
        "worker": "worker-1", "participant": "payment", "saga_id": "s-4", "arrival": 4, "result": "done", "replayed": False,
        "attempt": "0.1", "took_ms": 10.0,
    } | changes  # fmt: skip
    return StepRow(t_s=t_s, step=name, **given)  # type: ignore[arg-type]  # the fields as they are


def told(journey: Journey) -> list[tuple[float, Kind, str]]:
    return [(round(moment.at_ms, 1), moment.kind, moment.what) for moment in journey.moments]


def test_moments_are_told_from_the_scheduled_start_in_the_order_in_which_they_began() -> None:
    steps = [
        step("charge", 2.11, result="error", detail="no answer"),
        step("charge", 2.31, attempt="0.2"),
        step("charge", 2.35, attempt="0.3", replayed=True),
    ]
    events = [
        EventRow(t_s=5.0, what="sweeper: saga s-4, pending for 3 s, asked for again"),
        EventRow(t_s=5.0, what="sweeper: saga s-5, pending for 3 s, asked for again"),
    ]
    journey = make_journey(BLOCK, "s-4", saga(4, 2.0, 400.0), steps, [fault("lost", 4, 2.105)], events)
    assert told(journey) == [
        (0.0, Kind.CLIENT, "due"),
        (5.0, Kind.CLIENT, "sent"),
        (100.0, Kind.FAILED, "charge"),
        (105.0, Kind.STRIKE, "lost"),
        (300.0, Kind.DONE, "charge"),
        (340.0, Kind.AGAIN, "charge"),
        (400.0, Kind.CLIENT, "completed"),
        (3000.0, Kind.REPAIR, "sweeper"),
    ]
    assert journey.strikes == 1
    assert ended(journey) == "completed in 400 ms"


def test_a_saga_that_shared_a_call_with_a_struck_one_was_not_struck_itself() -> None:
    row = FaultRow(
        t_s=2.1, worker="worker-1", fault="lost", saga_id="s-4", arrival=4, participant="payment", step="charge",
        attempt="0.1.1", detail="in the same batch: dynamodb:TransactWriteItems",
    )  # fmt: skip
    journey = make_journey(BLOCK, "s-4", saga(4, 2.0), [], [row], [])
    assert journey.strikes == 0
    assert (100.0, Kind.STRIKE, "lost") in told(journey)


def test_a_saga_that_no_client_knows_is_told_from_its_first_record() -> None:
    journey = make_journey(BLOCK, "s-x", None, [step("create", 3.0, saga_id="s-x", arrival=-1)], [], [])
    assert told(journey) == [(0.0, Kind.DONE, "create")]
    assert journey.arrival is None
    assert ended(journey) == "end not known"


@pytest.mark.parametrize(
    ("attempt", "words"),
    [
        ("0.1", ""),
        ("0.3", "delivery 3"),
        ("2.1", "retry 2"),
        ("1.2c", "retry 1, delivery 2, copy"),
        ("0.1r1", "repair 1"),
        ("0.2.3", "delivery 2, SDK try 3"),
        ("first", "first"),
    ],
)
def test_an_attempt_is_told_in_words(attempt: str, words: str) -> None:
    assert attempt_in_words(attempt) == words


def test_bars_lie_within_the_time_that_is_shown() -> None:
    journey = make_journey(BLOCK, "s-4", saga(4, 2.0, 400.0), [step("charge", 2.2), step("late", 9.0)], [], [])
    drawn = rows(journey, until_ms=1_000.0)
    assert all(0 <= row.left <= 100 and 0 <= row.width <= 100 - row.left for row in drawn)
    (charge,) = [row for row in drawn if row.what == "charge"]
    assert (charge.left, charge.width) == (19.0, 1.0)


def test_the_text_has_a_line_for_every_moment_and_draws_it_to_scale() -> None:
    journey = make_journey(BLOCK, "s-4", saga(4, 2.0, 400.0), [step("charge", 2.21, took_ms=200.0)], [], [])
    text = lines(journey, width=100)
    assert len(text) == 2 + len(journey.moments)
    (charge,) = [line for line in text if "charge" in line]
    lane = charge.split("payment")[1].split()[0]
    assert lane.count("■") == round(len(lane) / 2)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return synthetic_run.build(tmp_path_factory.mktemp("run"))


def test_what_is_chosen_is_bounded_and_begins_with_the_witnesses(folder: Path) -> None:
    data = synthetic_run.read(folder)
    many = [
        Anomaly(name=f"kind-{kind}", count=3, sagas=tuple(f"s-0-{kind * 3 + nth}" for nth in range(3)), witness="")
        for kind in range(30)
    ]
    with History(folder / FILE_NAME) as history:
        chosen = choose(history, data, synthetic_run.audits(data, {0: many}))
        calm = choose(history, data, synthetic_run.audits(data))
    assert len(chosen) == MOST_ARRIVALS
    assert [one.journeys[0].saga_id for one in chosen[:30]] == [f"s-0-{kind * 3}" for kind in range(30)]
    assert all(one.reasons[0].kind == ANOMALOUS for one in chosen)
    assert calm[0].reasons[0].kind == SLOWEST
    slowest = max(row.completion_ms or 0 for each in data.complete("orchestrated") for row in each.sagas)
    assert slowest in [journey.completion_ms for journey in calm[0].journeys]


def test_a_saga_without_an_arrival_has_a_journey_of_its_own(tmp_path: Path) -> None:
    built = synthetic_run.build(
        tmp_path / "run", synthetic_run.Spec(interleave="AB", duration_s=3.0, restart_in_block=None)
    )
    data = synthetic_run.read(built)
    ghost = Anomaly(name="effect-without-saga", count=1, sagas=("ghost",), witness="")
    with Spool(tmp_path / "spool" / "worker-1.jsonl") as spool:
        spool.write(step("charge", 1.0, saga_id="ghost", arrival=-1))
    with History(built / FILE_NAME) as history:
        history.import_spool(0, tmp_path / "spool")
        first = choose(history, data, synthetic_run.audits(data, {0: [ghost]}))[0]
    assert [(journey.saga_id, journey.arrival, journey.block) for journey in first.journeys] == [("ghost", None, 0)]


def test_a_long_journey_is_cut_in_its_middle_and_says_so(folder: Path) -> None:
    long = make_journey(BLOCK, "s-4", saga(4, 2.0), [step("charge", 2 + n / 10) for n in range(MOST_ROWS)], [], [])
    report = replace(read_report(folder), chosen=(Chosen((), (long,)),))
    (waterfall,) = shown(report)[0].waterfalls
    assert len(waterfall.rows) == MOST_ROWS
    assert waterfall.hidden == len(long.moments) - MOST_ROWS
    assert waterfall.rows[-1].at == f"{long.moments[-1].at_ms:,.1f}"


@pytest.mark.parametrize(
    ("which", "blocks"), [("7", [1, 2, 3, 4]), ("2/7", [3, 4]), ("s-1-7", [2]), ("3/7", []), ("none-such", [])]
)
def test_the_command_finds_a_saga_by_its_id_its_arrival_or_its_round_and_arrival(
    folder: Path, which: str, blocks: list[int], capsys: pytest.CaptureFixture[str]
) -> None:
    if not blocks:
        with pytest.raises(UsageError, match="ROUND/ARRIVAL"):
            journey_command.journey(folder, which)
        return
    assert journey_command.journey(folder, which) == EXIT_PASS
    out = capsys.readouterr().out
    assert [number for number in (1, 2, 3, 4) if f"block {number}," in out] == blocks
    assert out.count("arrival 7:") == len(blocks)


def test_a_run_without_a_readable_history_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(RunNotFound):
        journey_command.journey(tmp_path, "1")
    (tmp_path / FILE_NAME).write_text("no database, and long enough for its header to be read as one" * 4)
    with pytest.raises(RunNotFound):
        journey_command.journey(tmp_path, "1")


def test_the_command_is_there_and_says_what_it_takes(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for which, code in (("7", EXIT_PASS), ("none-such", EXIT_USAGE)):
        monkeypatch.setattr("sys.argv", ["sagastorm", "journey", str(folder), which])
        with pytest.raises(SystemExit) as stopped:
            command_line.main()
        assert stopped.value.code == code
    captured = capsys.readouterr()
    assert captured.out.count("saga s-") == 4
    assert "ROUND/ARRIVAL" in captured.err
