"""What an ablation is to measure: fixed when it starts, so that one that goes on later measures the same."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from harness.ablation.cells import Cell
from harness.core.errors import Problem, UsageError
from harness.history import plan_file
from harness.settings import RunSettings

SCHEMA = "sagastorm.ablation/1"
FILE_NAME = "ablation.json"
MOST_ROUNDS = 20


class Plan(plan_file.PlanFile, frozen=True, kw_only=True):
    """The content of ``ablation.json``. The first cell has everything on; the others are held against it."""

    ablation_id: str
    settings: RunSettings
    """Of every cell, but for its mitigations."""
    storm: dict[str, object]
    """As resolved from its file when the ablation started."""
    cells: tuple[Cell, ...]
    rounds: int = 1
    """How often all cells are measured, each time all of them in turn: so a machine that drifts hits all alike."""
    started_at: str
    """UTC, ISO 8601."""
    command: str
    schema: str = SCHEMA


@dataclass(frozen=True)
class Trial:
    """One run of one cell."""

    cell: Cell
    round: int
    settings: RunSettings
    folder: Path
    """Its run's folder is made in it."""

    @property
    def failure_path(self) -> Path:
        """Holds the reason, where the environment let it down twice."""
        return self.folder / "not-measured.txt"


def make(settings: RunSettings, storm: dict[str, object], cells: tuple[Cell, ...], rounds: int, command: str) -> Plan:
    """A new plan. Raises :class:`~harness.core.errors.UsageError` for settings that would let cells differ."""
    if settings.scaled:
        options = [field.removesuffix("_per_s").removesuffix("_s") for field in settings.scaled]
        valid = f"a choice, since the backend {settings.backend} would make it anew, and differently, for every cell"
        raise UsageError([Problem(f"--{option}", None, valid) for option in options])
    started = datetime.now(UTC)
    return Plan(
        ablation_id=f"{started:%Y%m%d-%H%M%S}-{secrets.token_hex(2)}",
        settings=settings,
        storm=storm,
        cells=cells,
        rounds=rounds,
        started_at=started.isoformat(timespec="seconds"),
        command=command,
    )


def trials(plan: Plan, folder: Path) -> list[Trial]:
    """Every run that the plan asks for, in the order in which they are made: all cells once, then all again."""
    return [
        Trial(
            cell=cell,
            round=round_,
            settings=msgspec.structs.replace(plan.settings, mitigations=cell.mitigations),
            folder=folder / f"round-{round_ + 1}" / cell.folder,
        )
        for round_ in range(plan.rounds)
        for cell in plan.cells
    ]


def begin(plan: Plan, folder: Path) -> Plan:
    """Keep the plan in its folder, or go on with the same one that is kept there, which is returned then.

    Raises :class:`~harness.core.errors.UsageError` where another one is, or something else.
    """
    return plan_file.begin(plan, folder / FILE_NAME, "an ablation", _different)


def load(folder: Path) -> Plan:
    """The plan in a folder; :class:`~harness.core.errors.RunNotFound` where there is none, or none of this version."""
    return plan_file.load(folder / FILE_NAME, Plan, SCHEMA)


def _different(kept: Plan, asked: Plan) -> Iterator[Problem]:
    """What is asked for otherwise than it was when the ablation started."""
    for field in RunSettings.__struct_fields__:
        was, now = getattr(kept.settings, field), getattr(asked.settings, field)
        if was != now:
            yield _problem(field.removesuffix("_per_s").removesuffix("_s").replace("_", "-"), was, now)
    if kept.storm != asked.storm and kept.settings.storm == asked.settings.storm:
        yield Problem(f"storm {kept.settings.storm}", "changed since", "the storm with which this ablation was started")
    if kept.cells != asked.cells:
        was, now = (", ".join(cell.name for cell in plan.cells[1:]) for plan in (kept, asked))
        yield _problem("cells", was, now)
    if kept.rounds != asked.rounds:
        yield _problem("rounds", kept.rounds, asked.rounds)


def _problem(option: str, was: object, now: object) -> Problem:
    return Problem(
        f"--{option}", now, f"{was!r}, with which this ablation was started; another --out starts another one"
    )
