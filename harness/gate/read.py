"""``gates.toml``, or ``[tool.sagastorm.gates]`` of a ``pyproject.toml``: read and refused before any run."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from harness.core.errors import Problem, UsageError
from harness.gate import invariants
from harness.gate.entry import gate_from
from harness.gate.model import Gate, Gates

TABLES: Final = ("invariants", "gate", "check")
"""``check`` is the matrix of ``sagastorm check``, which reads it itself."""
PYPROJECT: Final = "pyproject.toml"
_SECTION: Final = ("tool", "sagastorm", "gates")


def read_gates(source: Path | Mapping[str, Any]) -> Gates:
    """What a file or a table asks. Raises :class:`~harness.core.errors.UsageError` with everything that is wrong."""
    if isinstance(source, Path):
        return gates_of(_table(source), source.name)
    return gates_of(source, "a table")


def find_gates(folder: Path) -> Gates:
    """Those of a project: its ``gates.toml``, else its ``pyproject.toml``'s, else the invariants alone."""
    own, project = folder / "gates.toml", folder / PYPROJECT
    if own.is_file():
        return read_gates(own)
    if project.is_file() and (table := _section(_load(project))) is not None:
        return gates_of(table, PYPROJECT)
    return gates_of({}, "no gates.toml: the invariants alone")


def gates_of(table: Mapping[str, Any], source: str) -> Gates:
    """As :func:`read_gates`, of a table that ``source`` is the name of."""
    problems = [
        Problem(f"{source}: {name}", table[name], f"one of: {', '.join(TABLES)}")
        for name in table
        if name not in TABLES
    ]
    kept, left_out = _invariants(table.get("invariants", {}), source, problems)
    entries = table.get("gate", [])
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        problems.append(Problem(f"{source}: gate", entries, "tables, each under [[gate]]"))
        entries = []
    asked = [gate_from(entry, f"{source}: gate {number}", problems) for number, entry in enumerate(entries, 1)]
    gates = (*kept, *(gate for gate in asked if gate))
    names = [gate.name for gate in gates]
    problems += [
        Problem(f"{source}: name", name, "a name of its own for each gate; name says which is which")
        for name in sorted({name for name in names if names.count(name) > 1})
    ]
    if problems:
        raise UsageError(problems)
    return Gates(gates=gates, source=source, left_out=left_out)


def _table(path: Path) -> Mapping[str, Any]:
    table = _load(path)
    if path.name != PYPROJECT:
        return table
    section = _section(table)
    if section is None:
        raise UsageError([Problem("--gates", path.name, "a file with a table [tool.sagastorm.gates]")])
    return section


def _load(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError([Problem("--gates", str(path), f"it cannot be read: {error.strerror}")]) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError([Problem("--gates", str(path), f"it is not TOML: {error}")]) from None


def _section(table: Mapping[str, Any]) -> Mapping[str, Any] | None:
    for depth, name in enumerate(_SECTION, 1):
        below = table.get(name)
        if below is None:
            return None
        if not isinstance(below, Mapping):
            valid = f"a table; each gate is under [[{'.'.join(_SECTION)}.gate]]"
            raise UsageError([Problem(f"{PYPROJECT}: {'.'.join(_SECTION[:depth])}", below, valid)])
        table = below
    return table


def _invariants(table: Any, source: str, problems: list[Problem]) -> tuple[list[Gate], tuple[str, ...]]:
    known = invariants.gates()
    field = f"{source}: invariants"
    if not isinstance(table, Mapping) or set(table) - {"except"}:
        problems.append(Problem(field, table, "a table with nothing but except, the names of those to leave out"))
        return known, ()
    left_out = table.get("except", [])
    names = [gate.name for gate in known if gate.name != invariants.INSTRUMENT]
    if not isinstance(left_out, list):
        problems.append(Problem(f"{field}.except", left_out, "a list of names"))
        return known, ()
    wrong = [name for name in left_out if name not in names]
    problems += [Problem(f"{field}.except", name, f"one of: {', '.join(names)}") for name in wrong]
    return [gate for gate in known if gate.name not in left_out], tuple(str(name) for name in left_out)
