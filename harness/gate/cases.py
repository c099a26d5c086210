"""Saved runs, sorted into the cases that gates are asked of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from harness.audit.auditor import Audit
from harness.core.errors import Problem, UsageError
from harness.gate.model import Case, Witness
from harness.history.run_file import RunFile
from harness.report.compare_runs import FIELDS
from harness.report.model import Report
from harness.report.run_data import BlockData
from harness.settings import RunSettings

MAY_DIFFER = frozenset({"seed", "blocks"})
"""Between the runs of a case, and between them and their base: repeats may have seeds and turns of their own."""


@dataclass(frozen=True)
class Turn:
    """One block and the run that it is of."""

    report: Report
    data: BlockData

    @property
    def audit(self) -> Audit | None:
        """What the auditor said of it."""
        return next((audit for audit in self.report.audits if audit.block == self.data.block.block), None)

    def witness(self, saga_id: str | None, says: str) -> Witness:
        """A saga of this block."""
        block = self.data.block
        return Witness(
            run_id=self.report.run.run_id, block=block.block, topology=block.topology, saga_id=saga_id, says=says
        )


@dataclass(frozen=True)
class CaseRuns:
    """A case, and its runs in the order in which they were made."""

    case: Case
    reports: tuple[Report, ...]

    @cached_property
    def turns(self) -> tuple[Turn, ...]:
        """The topology's blocks."""
        return tuple(
            Turn(report, data)
            for report in self.reports
            for data in report.data.blocks
            if data.block.topology == self.case.topology
        )

    @cached_property
    def complete(self) -> tuple[Turn, ...]:
        """Those that ran to their end: figures come from these only."""
        return tuple(turn for turn in self.turns if turn.data.block.state == "complete")

    @property
    def ended(self) -> int:
        """Sagas whose end is known."""
        return sum(len(turn.data.ended) for turn in self.complete)

    @property
    def blocks_told(self) -> str:
        """``4 blocks``."""
        return f"{len(self.turns)} block{'s' * (len(self.turns) != 1)}"


def cases_of(settings: RunSettings, storm: Mapping[str, Any]) -> list[Case]:
    """The cases that a run with these settings, and this resolved storm, belongs to: one for each topology."""
    changed = settings.mitigations.chosen()
    return [
        Case(
            saga=settings.saga,
            storm=str(storm.get("name", settings.storm)),
            topology=topology,
            mitigations=mitigations_told(changed),
            faults=tuple(str(fault["name"]) for fault in storm.get("faults", ())),
        )
        for topology in settings.topologies
    ]


def mitigations_told(changed: Mapping[str, str]) -> str:
    """``backoff=none,sweeper=off``, in one order whoever writes it."""
    return ",".join(f"{name}={value}" for name, value in sorted(changed.items()))


def sorted_runs(reports: Sequence[Report]) -> dict[Case, CaseRuns]:
    """Runs by case, in the order in which they began."""
    found: dict[Case, list[Report]] = {}
    for report in sorted(reports, key=lambda each: each.run.started_at):
        for case in cases_of(report.run.settings, report.run.storm):
            found.setdefault(case, []).append(report)
    return {case: CaseRuns(case, tuple(of_case)) for case, of_case in found.items()}


def refuse_unlike(runs: Sequence[RunFile]) -> None:
    """Raises ``UsageError`` where runs of one saga, storm and set of mitigations differ in more than code, time and seed."""
    first: dict[tuple[str, str, str], RunFile] = {}
    problems: list[Problem] = []
    for run in runs:
        one = cases_of(run.settings, run.storm)[0]
        known = first.setdefault((one.saga, one.storm, one.mitigations), run)
        problems += [
            Problem(f"{field} of {run.run_id}", value(run), f"{known.run_id} has {value(known)!r}")
            for field, value in FIELDS.items()
            if field not in MAY_DIFFER and value(run) != value(known)
        ]
    ids = [run.run_id for run in runs]
    problems += [
        Problem("RUN", run_id, "each run once") for run_id in sorted({each for each in ids if ids.count(each) > 1})
    ]
    if problems:
        raise UsageError(problems)
