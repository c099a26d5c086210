"""What is told of a run while it goes on, held against what the report says of it when it is over."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from harness.core.verdict import RunVerdict
from harness.history.records import Block, FaultRow, SagaRow, Sample, SpooledRow
from harness.history.run_file import BackendFacts, Deviation, RunFile
from harness.history.spool import Spool, spool_folder
from harness.report.judge import judge
from harness.report.summary import TopologySummary, summarize_data
from harness.run.live import FILE_NAME, STOPPED, Live, LiveBlock, LiveFile, LiveTopology
from harness.run.tally import RESOLUTION, Histogram
from harness.run.turn import Turn
from harness.run.watch import MOST_BINS, Watch
from harness.topologies.policy import RetryPolicy
from tests.report import synthetic_run
from tests.report.small import saga
from tests.report.synthetic_run import Made, Spec


class Told:
    """A live run in a folder, which is told of blocks as a harness would."""

    def __init__(self, folder: Path, run: RunFile) -> None:
        self.folder, self.run = folder, run
        folder.mkdir(exist_ok=True)
        self.live = Live(folder, run)

    def of(self, made: Made, *, complete: bool = True, every_s: float = 1.0) -> None:
        """A whole block: everything up to a second is spooled and sampled when that is over."""
        block = made.block
        self.live.starting(self.run, self._turn(block))
        self.live.deployed(block, [row.scheduled_s for row in made.sagas])
        self.live.loading()
        rows: list[tuple[float, SpooledRow]] = [(row.t_s, row) for row in made.faults]
        rows += [(row.scheduled_s + (row.completion_ms or 0.0) / 1000, row) for row in made.sagas]
        rows.sort(key=lambda row: row[0])
        samples = sorted(made.samples, key=lambda sample: sample.t_s)
        with Spool(spool_folder(self.folder, block.block) / "load-0.jsonl") as spool:
            now_s = min((sample.t_s for sample in samples), default=0.0)
            while rows or samples:
                while rows and rows[0][0] <= now_s:
                    spool.write(rows.pop(0)[1])
                due = [sample for sample in samples if sample.t_s <= now_s]
                samples = samples[len(due) :]
                self.live.take(now_s, due)
                now_s += every_s
        self.live.draining(block.duration_s)
        self.live.block_over(complete=complete)

    @property
    def file(self) -> LiveFile:
        """As whoever watches reads it."""
        return msgspec.json.decode((self.folder / FILE_NAME).read_bytes(), type=LiveFile)

    def _turn(self, block: Block) -> Turn:
        return Turn(
            number=block.block,
            topology=block.topology,
            round=block.round,
            run_id=self.run.run_id,
            folder=self.folder,
            settings=self.run.settings,
            storm=None,  # type: ignore[arg-type]  # nobody asks for it here
            policy=RetryPolicy(),
            key="",
        )


def synthetic(folder: Path, spec: Spec | None = None, **changes: Any) -> tuple[Told, dict[str, TopologySummary]]:
    """A synthetic run told live, and what the report says of the same run."""
    spec = spec or Spec()
    saved = synthetic_run.build(folder / "saved", spec)
    data = synthetic_run.read(saved)
    audits = synthetic_run.audits(data)
    told = Told(folder / "live", msgspec.structs.replace(synthetic_run.run(spec), **changes))
    return told, summarize_data(data, audits, judge(data, audits)).topologies


def counts(live: LiveTopology) -> dict[str, Any]:
    return {
        "scheduled": live.scheduled,
        "accepted": live.started,
        "completed": live.completed,
        "compensated": live.compensated,
        "unresolved": live.unresolved,
        "dropped": live.dropped,
        "retry_amplification": live.retry_amplification,
        "suppressed": live.duplicates_suppressed,
        "faults": live.faults,
    }


def reported(summary: TopologySummary) -> dict[str, Any]:
    names = (
        "scheduled",
        "accepted",
        "completed",
        "compensated",
        "unresolved",
        "dropped",
        "retry_amplification",
        "faults",
    )
    return {name: getattr(summary, name) for name in names} | {"suppressed": summary.duplicates.suppressed}


def test_when_all_blocks_are_over_the_figures_are_the_reports(tmp_path: Path) -> None:
    told, summaries = synthetic(tmp_path)
    for made in synthetic_run.blocks(Spec()):
        told.of(made)
    told.live.auditing()
    told.live.ended(RunVerdict.PASS, [])

    file = told.file
    assert (file.phase, file.verdict, file.block, file.of) == ("ended", "pass", 3, 4)
    assert set(file.topologies) == set(summaries)
    for topology, summary in summaries.items():
        live = file.topologies[topology]
        assert counts(live) == reported(summary)
        assert (live.state, live.in_flight) == ("done", 0)
        exact = msgspec.structs.asdict(summary.completion_ms)
        assert live.completion_ms == {name: pytest.approx(value, rel=RESOLUTION) for name, value in exact.items()}
    assert min(figures.completed for figures in file.topologies.values()) > 100


def test_a_block_that_was_aborted_is_in_no_figure_and_its_lines_stay(tmp_path: Path) -> None:
    told, summaries = synthetic(tmp_path, Spec(interleave="A"))
    spec = Spec(interleave="AA")
    first, second = synthetic_run.blocks(spec)
    told.of(first)
    told.of(second, complete=False)
    told.live.auditing()

    assert told.file.topologies["orchestrated"].completed == summaries["orchestrated"].completed
    drawn = [msgspec.json.decode(raw, type=LiveBlock) for raw in told.file.blocks]
    assert [(block.block, sum(value or 0 for value in block.lines.ended_per_s) > 0) for block in drawn] == [
        (0, True),
        (1, True),
    ]


def test_a_figure_that_the_backend_falsifies_is_not_told_nor_the_total_that_is_made_of_it(tmp_path: Path) -> None:
    deviation = Deviation(behaviour="b", what="w", consequence="c", falsifies=("retry_amplification.delivery",))
    facts = BackendFacts(
        name="n", product="p", version="v", callback_retry="retry", deviations=(deviation,), checked=True
    )
    told, _ = synthetic(tmp_path, backend=facts)
    told.of(next(synthetic_run.blocks(Spec())))
    told.live.auditing()

    amplification = told.file.topologies["orchestrated"].retry_amplification
    assert amplification["delivery"] is None and amplification["total"] is None
    assert amplification["sdk"] is not None


def test_topologies_say_where_they_are(tmp_path: Path) -> None:
    told, _ = synthetic(tmp_path)
    told.live.measuring()
    assert {name: of.state for name, of in told.file.topologies.items()} == {
        "orchestrated": "waiting",
        "choreographed": "waiting",
    }
    first, second, *_ = synthetic_run.blocks(Spec())
    told.of(first)
    told.live.starting(told.run, told._turn(second.block))
    assert {name: of.state for name, of in told.file.topologies.items()} == {
        "orchestrated": "waiting",
        "choreographed": "starting",
    }
    told.live.auditing()
    assert {name: of.state for name, of in told.file.topologies.items()} == {
        "orchestrated": "done",
        "choreographed": STOPPED,
    }
    assert [path.name for path in told.folder.glob("*.json*")] == [FILE_NAME]


def watch(folder: Path, duration_s: float = 10.0, due_s: Sequence[float] = (), **block: Any) -> tuple[Watch, Spool]:
    """A block that is watched, and the spool of one of its processes."""
    values = {"block": 0, "topology": "orchestrated", "round": 0, "namespace": "n", "scheduled": len(due_s)} | block
    return Watch(Block(duration_s=duration_s, **values), due_s, folder, 60.0), Spool(folder / "load-0.jsonl")


def accepted(arrival: int, scheduled_s: float) -> SagaRow:
    return saga(arrival, scheduled_s, None)


def test_lines_tell_each_second_of_what_was_offered_what_ended_and_what_waits(tmp_path: Path) -> None:
    watched, spool = watch(tmp_path, due_s=[0.5, 0.6, 2.5, 7.0])
    for arrival, due_s in enumerate([0.5, 0.6, 2.5]):
        spool.write(accepted(arrival, due_s))
    spool.write(saga(0, 0.5, 100.0))
    watched.take(1.0, [])
    watched.take(2.0, [])
    spool.write(saga(1, 0.6, 2_000.0))
    spool.write(saga(2, 2.5, 300.0))
    watched.take(3.0, [])

    lines = watched.lines()
    assert lines.offered_per_s == [2, 0, 1]
    assert lines.ended_per_s == [1, 0, 2]
    assert (lines.p50_ms, lines.p95_ms) == ([100, None, 300], [100, None, 2_000])
    assert lines.oldest_s == [None, pytest.approx(0.4), pytest.approx(1.4)]
    assert watched.tally.in_flight == 0


def test_a_saga_that_nobody_asks_for_any_more_is_unresolved_and_goes_on_ageing(tmp_path: Path) -> None:
    watched, spool = watch(tmp_path, due_s=[1.0])
    spool.write(accepted(0, 1.0))
    watched.take(2.0, [])
    assert (watched.tally.in_flight, watched.tally.unresolved) == (1, 0)
    spool.write(saga(0, 1.0, None, reason="no outcome while the client was asking"))
    watched.take(9.5, [])
    assert (watched.tally.in_flight, watched.tally.unresolved) == (0, 1)
    assert watched.lines().oldest_s[-1] is None  # the second that is not over yet has it
    watched.take(10.0, [])
    assert watched.lines().oldest_s[-1] == pytest.approx(8.5)


def test_an_end_that_is_told_late_counts_but_does_not_redraw_a_second_long_past(tmp_path: Path) -> None:
    watched, spool = watch(tmp_path, duration_s=60.0)
    spool.write(saga(0, 1.0, 100.0))
    watched.take(30.0, [])
    spool.write(saga(1, 1.0, 900.0))
    watched.take(31.0, [])
    assert watched.lines().p95_ms[1] == 100.0
    assert watched.tally.ends["completed"] == 2


def test_a_day_of_load_is_drawn_with_as_many_points_as_ten_minutes(tmp_path: Path) -> None:
    watched, spool = watch(tmp_path, duration_s=86_400.0)
    for hour in range(24):
        spool.write(saga(hour, hour * 3600.0, 100.0))
        watched.take(hour * 3600.0 + 60, [])
    watched.take(90_000.0, [])
    lines = watched.lines()
    assert len(lines.ended_per_s) <= MOST_BINS
    assert sum(value is not None for value in lines.p50_ms) == 24


def test_a_surge_has_fired_once_one_of_its_arrivals_is_taken(tmp_path: Path) -> None:
    watched, spool = watch(
        tmp_path, storm_windows=[("surge", 0.0, 5.0), ("crash", 0.0, 5.0)], inapplicable_faults=["crash"]
    )
    strike = {"t_s": 1.0, "worker": "schedule", "fault": "surge", "saga_id": "", "participant": "", "step": "arrival"}
    for arrival in range(2):
        spool.write(FaultRow(arrival=arrival, attempt="0.0", **strike))  # type: ignore[arg-type]
    watched.take(1.0, [])
    assert (watched.tally.fired("surge"), watched.tally.fired("crash")) == (0, None)
    spool.write(accepted(1, 1.0))
    watched.take(2.0, [])
    assert watched.tally.fired("surge") == 2


def test_what_a_counter_stood_at_before_the_load_is_none_of_the_loads(tmp_path: Path) -> None:
    watched, _ = watch(tmp_path)

    def tried(t_s: float, value: float, target: str = "worker-1") -> Sample:
        return Sample(t_s=t_s, target=target, metric="sagastorm_attempts_total", labels={"layer": "sdk"}, value=value)

    watched.take(-0.5, [tried(-0.5, 40.0), tried(-0.5, 900.0, "harness")])
    watched.take(1.0, [tried(1.0, 50.0), tried(1.0, 990.0, "harness")])
    watched.take(2.0, [tried(2.0, 7.0)])  # it has been started again
    assert watched.tally.attempts == {"sdk": 17}


@pytest.mark.parametrize(("q", "needed"), [(0.5, 2), (0.95, 20), (0.99, 100)])
def test_a_quantile_takes_as_many_sagas_as_in_the_report(q: float, needed: int) -> None:
    histogram = Histogram()
    for number in range(needed - 1):
        histogram.add(100.0 + number)
    assert histogram.quantile(q) is None
    histogram.add(100.0)
    assert histogram.quantile(q) is not None
