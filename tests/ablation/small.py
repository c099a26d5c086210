"""Small ablations, with runs that are made up."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from harness.ablation.cells import Cell
from harness.ablation.plan import Plan, begin, trials
from harness.history import run_file
from harness.history.history import FILE_NAME, History
from harness.history.spool import Spool, spool_folder
from harness.report.write import SUMMARY
from harness.settings import RunSettings
from tests.report import synthetic_run

SPEC = synthetic_run.Spec(duration_s=12.0, interleave="AB", restart_in_block=None)
"""Twelve seconds are enough slices of arrivals for an interval."""
SETTINGS = RunSettings(
    interleave=SPEC.interleave, rate_per_s=SPEC.rate_per_s, duration_s=SPEC.duration_s, seed=SPEC.seed
)
IDEMPOTENCY, TIMEOUT = Cell({"idempotency": "none"}), Cell({"step-timeout": "off"})
CELLS = (Cell(), IDEMPOTENCY, TIMEOUT)
Change = Callable[[History, Path, int], None]


class Quiet:
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, text: str) -> None:
        self.said.append(text)

    def at(self, label: str, done_s: float, total_s: float, counts: str) -> None:
        self.said.append(label)


def plan(cells: tuple[Cell, ...] = CELLS, rounds: int = 1) -> Plan:
    return Plan(
        ablation_id="small",
        settings=SETTINGS,
        storm={"name": "default", "faults": []},
        cells=cells,
        rounds=rounds,
        started_at="2026-11-01T09:00:00+00:00",
        command="sagastorm ablate",
    )


def judged_run(folder: Path, settings: RunSettings) -> Path:
    """What tells that a run is finished, and nothing else of it."""
    made = folder / "run"
    made.mkdir(parents=True)
    run_file.save(made, msgspec.structs.replace(synthetic_run.run(SPEC), settings=settings))
    (made / SUMMARY).write_text("{}", encoding="utf-8")
    return made


def saved_run(folder: Path, settings: RunSettings, change: Change | None = None) -> Path:
    """A whole judged run with these settings; ``change`` may add to the histories of its blocks."""
    made = synthetic_run.build(folder / "run", SPEC)
    run_file.save(made, msgspec.structs.replace(run_file.load(made), settings=settings))
    with History(made / FILE_NAME) as history:
        for block in history.blocks():
            without = [] if block.topology == "orchestrated" else ["step-timeout"]
            history.put_block(msgspec.structs.replace(block, inapplicable_mitigations=without))
            if change:
                change(history, made, block.block)
    (made / SUMMARY).write_text("{}", encoding="utf-8")
    return made


def saved_ablation(folder: Path, asked: Plan, changes: Mapping[str, Change] | None = None) -> Path:
    """All runs of a plan; ``changes`` by the name of the cell."""
    begin(asked, folder)
    for trial in trials(asked, folder):
        saved_run(trial.folder, trial.settings, (changes or {}).get(trial.cell.name))
    return folder


def charged_twice(history: History, folder: Path, block: int) -> None:
    """The first five sagas of a block have paid twice."""
    paid = [row for row in history.ledger(block) if row.step == "charge" and row.result == "done"][:5]
    again = [msgspec.structs.replace(row, at_ns=row.at_ns + 1_000_000, movements={}) for row in paid]
    history.add_collected(block, [*history.ledger(block), *again], history.accounts(block), history.endings(block))


def forgotten(history: History, folder: Path, block: int) -> None:
    """Of every third saga of a block the client never hears the end."""
    with Spool(spool_folder(folder, block) / "load-1.jsonl") as spool:
        for row in history.sagas(block)[::3]:
            spool.write(msgspec.structs.replace(row, outcome=None, completion_ms=None))
    history.import_spool(block, spool_folder(folder, block))
