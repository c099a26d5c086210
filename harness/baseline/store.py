"""Baselines in files: ``<folder>/<name>/<settings>-<machine>.json``, one for each kind of run on each kind of machine.

Both keys are digests of what the file holds in words. No path of a machine and no name of one is written.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import msgspec

from harness.core.errors import Problem, UsageError
from harness.core.verdict import RunVerdict
from harness.history.run_file import RunFile
from harness.report.compare_runs import FIELDS
from harness.report.figures import Missing
from harness.report.metrics import FIGURES, figure
from harness.report.model import Report

SCHEMA = "sagastorm.baseline/1"
MOST_RUNS = 20
"""That a baseline keeps, the newest: what was true a hundred runs ago widens the spread and tells nothing."""
OF_MACHINE = ("machine", "backend")
"""The fields of :data:`.compare_runs.FIELDS` that say what a run was made on; the others say what it was asked."""


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """One run. ``figures``: by topology and by the path in ``summary.json``; ``None`` where it was not measured."""

    run_id: str
    started_at: str
    commit: str | None
    figures: dict[str, dict[str, float | None]]


class Baseline(msgspec.Struct, frozen=True, kw_only=True):
    """The content of a file: runs that were asked the same on machines of one kind, oldest first."""

    name: str
    settings: dict[str, str]
    machine: dict[str, str]
    runs: tuple[Kept, ...]
    schema: str = SCHEMA

    @property
    def file(self) -> str:
        """Its path below the folder of all baselines."""
        return f"{self.name}/{_digest(self.settings)}-{_digest(self.machine)}.json"


def machine_of(run: RunFile) -> dict[str, str]:
    """What the figures of a run depend on besides its settings and the code: its machine's fingerprint, in words."""
    python = ".".join(run.versions.get("python", "unknown").split(".")[:2])
    return {name: str(FIELDS[name](run)) for name in OF_MACHINE} | {"python": f"Python {python}"}


def settings_of(run: RunFile) -> dict[str, str]:
    """What a run was asked, in words."""
    told = {name: str(value(run)) for name, value in FIELDS.items() if name not in OF_MACHINE}
    return told | {"scenario": Path(run.settings.scenario).name}  # which may be given as a path


def save(reports: Sequence[Report], name: str, folder: Path, *, replace: bool = False) -> list[Baseline]:
    """Add runs to the baselines that they belong to, or begin those anew (``replace``).

    A run that is there already is not counted twice. Raises ``UsageError`` with everything that is wrong, nothing written:
    a run that did not pass is none to hold others against.
    """
    problems = _bad_name(name) + [
        Problem(
            "RUN", report.run.run_id, f"one that passed; it is {report.summary.verdict}: {report.summary.reasons[0]}"
        )
        for report in reports
        if report.judgement.verdict is not RunVerdict.PASS
    ]
    if problems:
        raise UsageError(problems)
    known = {each.file: each for each in read(name, folder)}
    changed: dict[str, Baseline] = {}
    for report in reports:
        empty = Baseline(name=name, settings=settings_of(report.run), machine=machine_of(report.run), runs=())
        before = changed.get(empty.file) or (empty if replace else known.get(empty.file, empty))
        changed[empty.file] = msgspec.structs.replace(before, runs=_newest([*before.runs, _kept(report)]))
    for each in changed.values():
        _write(folder / each.file, each)
    return list(changed.values())


def read(name: str, folder: Path) -> list[Baseline]:
    """All baselines of a name; none where nothing was saved. Raises ``UsageError`` for files that cannot be read."""
    if problems := _bad_name(name):
        raise UsageError(problems)
    return _read(sorted((folder / name).glob("*.json")))


def read_all(folder: Path) -> list[Baseline]:
    """As :func:`read`, of every name."""
    return _read(sorted(folder.glob("*/*.json")))


def _read(paths: Iterable[Path]) -> list[Baseline]:
    baselines: list[Baseline] = []
    problems: list[Problem] = []
    for path in paths:
        try:
            baseline = msgspec.json.decode(path.read_bytes(), type=Baseline)
            if baseline.schema != SCHEMA:
                raise msgspec.ValidationError(f"its schema is {baseline.schema}")
            baselines.append(baseline)
        except (OSError, msgspec.DecodeError) as error:
            problems.append(Problem("baseline", str(path), f"a file of the schema {SCHEMA}: {error}"))
    if problems:
        raise UsageError(problems)
    return baselines


def _bad_name(name: str) -> list[Problem]:
    if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", name):
        return []
    return [Problem("--name", name, "at most 64 letters, digits, dots, dashes and underscores")]


def _newest(runs: Iterable[Kept]) -> tuple[Kept, ...]:
    by_id = {run.run_id: run for run in runs}
    return tuple(sorted(by_id.values(), key=lambda run: run.started_at)[-MOST_RUNS:])


def _kept(report: Report) -> Kept:
    return Kept(
        run_id=report.run.run_id,
        started_at=report.run.started_at,
        commit=report.run.commit,
        figures={topology: _figures(report, topology) for topology in report.data.topologies},
    )


def _figures(report: Report, topology: str) -> dict[str, float | None]:
    blocks = report.data.complete(topology)
    made = {path: figure(report.run, path, blocks, report.audits) for path in FIGURES}
    return {path: None if isinstance(value, Missing) else round(value, 4) for path, value in made.items()}


def _digest(told: Mapping[str, str]) -> str:
    return hashlib.sha256(msgspec.json.encode(told, order="sorted")).hexdigest()[:12]


def _write(path: Path, baseline: Baseline) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    part.write_bytes(msgspec.json.format(msgspec.json.encode(baseline), indent=2) + b"\n")
    part.replace(path)
