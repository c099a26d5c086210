"""The table of an ablation, read from its runs: every cell's figures, and what got worse against everything on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from harness.ablation.cells import EVERYTHING_ON, Cell
from harness.ablation.change import Change, Value
from harness.ablation.execution import finished
from harness.ablation.measures import ANOMALIES, MEASURES, Measure, Seen, anomaly, see
from harness.ablation.plan import Plan, Trial, load, trials
from harness.history.run_file import RunFile
from harness.report.backend import backend_name
from harness.report.compare import compare_pairs, matched
from harness.report.compare_runs import FIELDS
from harness.report.faults import storm_name
from harness.report.metrics import falsified
from harness.report.write import read_report

SCHEMA = "sagastorm.ablation-table/1"


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one run. ``verdict`` is ``None`` where it was not measured; ``reason`` is the first one."""

    cell: Cell
    round: int
    verdict: str | None
    reason: str | None = None


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One cell in one topology. By the names of the measures; ``changes`` is empty for everything on, where the cell
    does not apply, and where one of the two was not measured."""

    cell: Cell
    applies: bool
    blocks: int
    """Complete ones, which the figures are made from."""
    figures: dict[str, Value]
    anomalies: dict[str, Value] | None
    """How often each was found in a block, on average; ``None`` where nobody looked."""
    changes: dict[str, Change]


class Table(msgspec.Struct, frozen=True, kw_only=True):
    """The content of ``table.json``."""

    ablation_id: str
    saga: str
    storm: str
    seed: int
    load: str
    rounds: int
    backend: str
    commits: list[str]
    machine: str
    command: str
    started_at: str
    outcomes: list[Outcome]
    topologies: dict[str, list[Row]]
    notes: list[str]
    schema: str = SCHEMA

    def row(self, topology: str, cell: str) -> Row | None:
        """Of the cell with that name."""
        return next((row for row in self.topologies.get(topology, []) if row.cell.name == cell), None)


def measure_of(name: str) -> Measure:
    """The one of that name; any other name is an anomaly's."""
    return next((measure for measure in MEASURES if measure.name == name), None) or anomaly(name)


def read_table(folder: Path) -> Table:
    """Make the table from the saved runs below ``folder``. Raises :class:`~harness.core.errors.RunNotFound`."""
    plan = load(folder)
    reader = _Reader(plan, folder)
    # Needed to the end; those of the others one cell at a time, for a run's records are large.
    everything_on = reader.rounds(plan.cells[0])
    rows: dict[str, list[Row]] = {topology: [] for topology in plan.settings.topologies}
    for cell in plan.cells:
        rounds = reader.rounds(cell) if cell.changed else everything_on
        for topology, made in rows.items():
            made.append(_row(plan, topology, cell, everything_on, rounds, reader.withheld))
    run = reader.runs[0] if reader.runs else None
    settings = plan.settings
    return Table(
        ablation_id=plan.ablation_id,
        saga=settings.saga,
        storm=storm_name(run) if run else settings.storm,
        seed=settings.seed,
        load=f"blocks {settings.interleave} of {settings.duration_s:g} s at {settings.rate_per_s:g}/s ({settings.arrivals})",
        rounds=plan.rounds,
        backend=backend_name(run) if run else settings.backend,
        commits=list(dict.fromkeys(run.commit or "unknown" for run in reader.runs)),
        machine=str(FIELDS["machine"](run)) if run else "unknown",
        command=plan.command,
        started_at=plan.started_at,
        outcomes=reader.outcomes,
        topologies=rows,
        notes=list(_notes(reader.runs)),
    )


class _Reader:
    """Reads the runs cell by cell, and remembers what is told of all of them."""

    def __init__(self, plan: Plan, folder: Path) -> None:
        self._trials = trials(plan, folder)
        self.runs: list[RunFile] = []
        self.outcomes: list[Outcome] = []
        self.withheld: dict[str, str] = {}

    def rounds(self, cell: Cell) -> list[list[Seen]]:
        """Its complete blocks, round by round; none where a round was not measured."""
        return [self._read(trial) for trial in self._trials if trial.cell == cell]

    def _read(self, trial: Trial) -> list[Seen]:
        folder = finished(trial)
        if folder is None:
            why = (
                trial.failure_path.read_text(encoding="utf-8").strip() if trial.failure_path.exists() else "not run yet"
            )
            self.outcomes.append(Outcome(cell=trial.cell, round=trial.round, verdict=None, reason=why))
            return []
        report = read_report(folder)
        verdict, reasons = report.judgement.verdict.value, report.judgement.reasons
        self.outcomes.append(
            Outcome(cell=trial.cell, round=trial.round, verdict=verdict, reason=next(iter(reasons), None))
        )
        self.runs.append(report.run)
        self.withheld |= falsified(report.run)
        return see(report)


def _row(
    plan: Plan,
    topology: str,
    cell: Cell,
    everything_on: Sequence[Sequence[Seen]],
    rounds: Sequence[Sequence[Seen]],
    withheld: Mapping[str, str],
) -> Row:
    blocks = [seen for round_ in rounds for seen in round_ if seen.data.block.topology == topology]
    applies = cell.applies([name for seen in blocks for name in seen.data.block.inapplicable_mitigations])
    pairs = [pair for base, other in zip(everything_on, rounds, strict=True) for pair in _pairs(topology, base, other)]
    found = sorted(
        {path for pair in [*pairs, blocks] for seen in pair for path in seen.values if path.startswith(ANOMALIES)}
    )
    anomalies = [anomaly(path.removeprefix(ANOMALIES)) for path in found]
    changes: dict[str, Change] = {}
    if pairs and applies and cell.changed:
        sides = [(base.data, other.data) for base, other in pairs]
        comparison = compare_pairs(EVERYTHING_ON, cell.name, sides, plan.settings.seed, withheld, "cells")
        changes = {each.name: each.change(pairs, comparison, plan.settings.seed) for each in [*anomalies, *MEASURES]}
    audited = any(seen.audited for seen in blocks)
    return Row(
        cell=cell,
        applies=applies,
        blocks=len(blocks),
        figures={each.name: each.value(blocks) for each in MEASURES},
        anomalies={each.name: value for each in anomalies if (value := each.value(blocks))} if audited else None,
        changes=changes,
    )


def _pairs(topology: str, base: Sequence[Seen], other: Sequence[Seen]) -> Iterator[tuple[Seen, Seen]]:
    bases, others = (
        {seen.data.block.block: seen for seen in side if seen.data.block.topology == topology} for side in (base, other)
    )
    for left, right in matched([seen.data for seen in bases.values()], [seen.data for seen in others.values()]):
        yield bases[left.block.block], others[right.block.block]


def _notes(runs: Sequence[RunFile]) -> Iterator[str]:
    """What should be the same in all runs and is not."""
    told = {name: [str(value(run)) for run in runs] for name, value in FIELDS.items() if name != "mitigations"}
    told["commit"] = [run.commit or "unknown" for run in runs]
    for name, values in told.items():
        if len(different := list(dict.fromkeys(values))) > 1:
            yield f"The runs are not all of one {name}: {'; '.join(different)}. What differs may come from that."
