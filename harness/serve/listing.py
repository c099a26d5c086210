"""What lies in the folder of runs, told from ``run.json`` and ``summary.json`` alone: a history takes too long to read.

Nothing here fails for what a folder holds: a run that cannot be read is listed with the reason, beside all others.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import msgspec

from harness.ablation import plan as ablation_plan
from harness.core.errors import SagastormError
from harness.history import run_file
from harness.history.run_file import RunFile
from harness.report.write import PAGE, SUMMARY
from harness.run.under_way import is_under_way

MOST_LISTED = 2_000
"""Runs; ids begin with the date, so these are the newest. A page with more is none that anybody reads."""
ABLATION_DEPTHS = ("*", "*/*", "*/*/*")
"""How far below the folder of ablations one is looked for."""
TABLE = "table.json"
UNREADABLE = (SagastormError, OSError, msgspec.MsgspecError, ValueError, LookupError)
"""What comes of a file that is damaged, missing, of another version or not ours."""


class State(StrEnum):
    """Of a run's folder."""

    ENDED = "ended"
    UNDER_WAY = "under way"
    STOPPED = "stopped early"
    """It has no summary and nobody is at work on it: it was stopped or killed before its report."""
    UNREADABLE = "unreadable"


class Figures(msgspec.Struct, frozen=True):
    """What the list shows of a topology. Every key may be missing: an older run is listed too."""

    completion_ms: dict[str, float | None] = {}
    compensation_rate: float | None = None
    retry_amplification: dict[str, float | None] = {}
    anomalies: dict[str, int] = {}


class Summary(msgspec.Struct, frozen=True):
    """What the list shows of ``summary.json``."""

    verdict: str
    reasons: list[str] = []
    topologies: dict[str, Figures] = {}


@dataclass(frozen=True)
class Listed:
    """One folder. ``note``: why there is no verdict."""

    name: str
    state: State
    run: RunFile | None = None
    summary: Summary | None = None
    note: str = ""
    has_report: bool = False
    blocks: tuple[str, ...] = ()
    """The topology of each block that was planned."""

    @property
    def comparable(self) -> bool:
        """Whether its records can be read, as far as the list can tell."""
        return self.state in (State.ENDED, State.STOPPED)


@dataclass(frozen=True)
class ListedAblation:
    """One ablation, by its path below the folder of ablations. ``note``: why there is no more to tell."""

    name: str
    plan: ablation_plan.Plan | None
    has_table: bool
    note: str = ""


def list_runs(runs: Path) -> tuple[list[Listed], int]:
    """The newest first, and how many are left out for being too many."""
    names = sorted(run_names(runs), reverse=True)
    listed = [look(runs / name) for name in names[:MOST_LISTED]]
    listed.sort(key=lambda each: each.run.started_at if each.run else each.name, reverse=True)
    # What has no date of its own comes last, wherever its name would put it.
    listed.sort(key=lambda each: each.run is None)
    return listed, max(0, len(names) - MOST_LISTED)


def run_names(runs: Path) -> frozenset[str]:
    """The names of all folders that are taken for runs."""
    try:
        return frozenset(entry.name for entry in runs.iterdir() if entry.is_dir() and not entry.name.startswith("."))
    except OSError:
        return frozenset()


def look(folder: Path) -> Listed:
    """One run's folder as the list has it."""
    has_report = (folder / PAGE).is_file()
    if is_under_way(folder):
        return Listed(folder.name, State.UNDER_WAY, _run_or_none(folder), has_report=has_report)
    try:
        run = run_file.load(folder)
        blocks = _blocks(run)
    except UNREADABLE as error:
        return Listed(folder.name, State.UNREADABLE, note=_reason(error, folder), has_report=has_report)
    state, note, summary = State.ENDED, "", None
    try:
        summary = msgspec.json.decode((folder / SUMMARY).read_bytes(), type=Summary)
    except FileNotFoundError:
        state, note = State.STOPPED, "it ended before it was judged; its report is made from what was recorded"
    except UNREADABLE as error:
        state, note = State.STOPPED, f"{SUMMARY}: {_reason(error, folder)}"
    return Listed(folder.name, state, run, summary, note, has_report, blocks)


def _blocks(run: RunFile) -> tuple[str, ...]:
    topologies = run.settings.topologies
    return tuple(topologies["ABCDEFGH".index(letter)] for letter in run.settings.interleave)


def _run_or_none(folder: Path) -> RunFile | None:
    try:
        return run_file.load(folder)
    except UNREADABLE:
        return None  # it has only begun


def _reason(error: Exception, folder: Path) -> str:
    # Where the folder of runs is on this machine is nobody's business who looks at the page.
    return (str(error) or type(error).__name__).replace(f"{folder}/", "").replace(f"{folder}: ", "")


def list_ablations(ablations: Path) -> list[ListedAblation]:
    """The newest first."""
    found = ablation_folders(ablations)
    listed = [_ablation(name, folder) for name, folder in found.items()]
    return sorted(listed, key=lambda each: each.plan.started_at if each.plan else "", reverse=True)


def ablation_folders(ablations: Path) -> Mapping[str, Path]:
    """The folders with an ablation in them, by their path below this one."""
    found = [path.parent for depth in ABLATION_DEPTHS for path in ablations.glob(f"{depth}/{ablation_plan.FILE_NAME}")]
    return {folder.relative_to(ablations).as_posix(): folder for folder in sorted(found)}


def _ablation(name: str, folder: Path) -> ListedAblation:
    has_table = (folder / TABLE).is_file()
    try:
        return ListedAblation(name, ablation_plan.load(folder), has_table)
    except UNREADABLE as error:
        return ListedAblation(name, None, has_table, _reason(error, folder))
