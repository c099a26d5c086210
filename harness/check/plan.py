"""What a check runs: the table ``check`` of ``gates.toml``, and the plan that it becomes.

The plan is fixed when the check starts, so that one that goes on later asks the same of the same code. How often it is
repeated is not part of it: more of the same may be added at any time.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from difflib import get_close_matches
from enum import StrEnum
from pathlib import Path
from typing import Any, get_type_hints

import msgspec

from harness.core.errors import Problem, UsageError
from harness.gate.model import MITIGATIONS, Case, Gates
from harness.history import plan_file
from harness.settings import RunSettings

SCHEMA = "sagastorm.check/1"
FILE_NAME = "check.json"
MOST_REPEATS = 50
DEFAULTS = RunSettings()
UNITS_S = {"s": 1.0, "m": 60.0, "h": 3600.0}


class Matrix(msgspec.Struct, frozen=True, kw_only=True):
    """The table ``check``: every saga under every storm, in these topologies. What it leaves out is as in ``sagastorm run``."""

    sagas: tuple[str, ...] = (DEFAULTS.saga,)
    topologies: tuple[str, ...] = DEFAULTS.topologies
    storms: tuple[str, ...] = (DEFAULTS.storm,)
    interleave: str | None = None
    rate: float | None = None
    duration: float | str | None = None
    seed: int | None = None
    """Of the first repeat. Each further one has the next, so that what is found is not a matter of one seed."""
    repeats: int | None = None
    budget: float | str | None = None
    lock: str = "requirements.lock"
    """What a base is built from, with hashes: its own file of that name."""


class Side(StrEnum):
    """Whose run it is."""

    HEAD = "head"
    BASE = "base"


class Cell(msgspec.Struct, frozen=True, kw_only=True):
    """One run of the matrix, without its seed."""

    name: str
    """As lines call it."""
    flags: dict[str, str]
    """What ``sagastorm run`` is told, of either side: in so many words, whatever the defaults of a revision are."""
    cases: tuple[Case, ...]
    """What gates can be asked of it."""
    storm_digest: str
    """Of the storm as it was resolved when the check started."""
    reference: bool = False
    """A mitigation is removed, for gates that ask what it buys: this run is there to be held against."""
    planned_s: float
    """How long it should take, for as long as none was measured; see :mod:`.budget`."""


class Plan(plan_file.PlanFile, frozen=True, kw_only=True):
    """The content of ``check.json``."""

    check_id: str
    cells: tuple[Cell, ...]
    seed: int
    head: str | None
    """This revision, see :meth:`harness.check.revision.Repository.state`; none outside of a repository."""
    base: str | None
    """The commit of the base, where there is one."""
    started_at: str
    """UTC, ISO 8601."""
    command: str
    schema: str = SCHEMA


@dataclass(frozen=True)
class Trial:
    """One run of one cell by one side, in one repeat."""

    cell: Cell
    side: Side
    repeat: int
    seed: int
    folder: Path
    """Its run's folder is made in it."""

    @property
    def name(self) -> str:
        """As lines call it."""
        return f"{self.cell.name}, {self.side}, repeat {self.repeat + 1}"

    @property
    def flags(self) -> dict[str, str]:
        """Of ``sagastorm run``; see :func:`trials` for its blocks' order."""
        blocks = self.cell.flags["interleave"]
        return self.cell.flags | {"seed": str(self.seed), "interleave": blocks[::-1] if self.repeat % 2 else blocks}


def read_matrix(table: object) -> Matrix:
    """The table ``check``. Raises :class:`~harness.core.errors.UsageError` with everything that is wrong with it."""
    if not isinstance(table, Mapping):
        raise UsageError([Problem("check", table, "a table: [check]")])
    problems: list[Problem] = []
    values: dict[str, Any] = {}
    hints = get_type_hints(Matrix)
    for name, value in table.items():
        if name not in hints:
            near = get_close_matches(name, hints, 1)
            meant = f"; {near[0]} is meant?" if near else ""
            problems.append(Problem(f"check.{name}", value, f"a key that is one of: {', '.join(hints)}{meant}"))
            continue
        try:
            values[name] = msgspec.convert(value, hints[name])
        except msgspec.ValidationError as error:
            problems.append(Problem(f"check.{name}", value, str(error)))
    matrix = Matrix(**values)
    for name in ("sagas", "topologies", "storms"):
        chosen = getattr(matrix, name)
        if not chosen or len(set(chosen)) < len(chosen):
            problems.append(Problem(f"check.{name}", list(chosen), "one or more, each once"))
    if problems:
        raise UsageError(problems)
    return matrix


def seconds(field: str, given: float | str) -> float:
    """``90``, ``90s``, ``8m`` and ``1h`` in seconds. Raises :class:`~harness.core.errors.UsageError`."""
    text = str(given).strip()
    unit_s = UNITS_S.get(text[-1:], 1.0)
    try:
        value_s = float(text.removesuffix(text[-1:]) if text[-1:] in UNITS_S else text) * unit_s
    except ValueError:
        value_s = 0.0
    if not 0 < value_s < 7 * 24 * 3600:
        raise UsageError([Problem(field, given, "a time such as 90s, 8m or 1h")])
    return value_s


def mitigations_asked(gates: Gates, saga: str, storm: str) -> list[str]:
    """What gates want to see switched off under this storm, each once."""
    return list(
        dict.fromkeys(
            gate.against.removeprefix(MITIGATIONS)
            for gate in gates.gates
            if gate.against and gate.against.startswith(MITIGATIONS)
            if gate.saga in (None, saga) and gate.storm in (None, storm)
        )
    )


def make(cells: tuple[Cell, ...], seed: int, head: str | None, base: str | None, command: str) -> Plan:
    """A new plan."""
    started = datetime.now(UTC)
    return Plan(
        check_id=f"{started:%Y%m%d-%H%M%S}-{secrets.token_hex(2)}",
        cells=cells,
        seed=seed,
        head=head,
        base=base,
        started_at=started.isoformat(timespec="seconds"),
        command=command,
    )


def trials(plan: Plan, folder: Path, repeat: int) -> list[Trial]:
    """All runs of one repeat, in their order.

    Every second repeat goes through them backwards, and through the blocks of each: so a machine that gets slower or faster
    all the while hits both sides of everything alike.
    """
    made = [
        Trial(cell, side, repeat, plan.seed + repeat, folder / "runs" / f"repeat-{repeat + 1}" / f"{number + 1}-{side}")
        for number, cell in enumerate(plan.cells)
        for side in _sides(plan, cell)
    ]
    return made[::-1] if repeat % 2 else made


def _sides(plan: Plan, cell: Cell) -> Iterator[Side]:
    if plan.base and not cell.reference:
        yield Side.BASE
    yield Side.HEAD


def begin(plan: Plan, folder: Path) -> Plan:
    """Keep the plan in its folder, or go on with the same one that is kept there, which is returned then.

    Raises :class:`~harness.core.errors.UsageError` where another one is, or something else.
    """
    return plan_file.begin(plan, folder / FILE_NAME, "a check", _different)


def _different(kept: Plan, asked: Plan) -> Iterator[Problem]:
    """What is asked for otherwise than it was when the check started."""
    said = {"cells": "the matrix", "seed": "the seed", "head": "this revision", "base": "--base"}
    for field, name in said.items():
        was, now = getattr(kept, field), getattr(asked, field)
        if was != now:
            shown = "changed since" if field == "cells" else now
            start = "the one" if field == "cells" else f"{was!r}"
            yield Problem(name, shown, f"{start} with which this check was started; another --out starts another one")
