"""Finds a scenario: a locustfile, by the name of a shipped one or by its path. It is run, never imported."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from harness.core.errors import Problem, UsageError

ANY_SAGA = "any_saga"
"""The scenario that takes its saga from the plan: for sagas that bring none of their own."""


def shipped() -> dict[str, Path]:
    """Name to file."""
    spec = find_spec("scenarios")
    folders = list(spec.submodule_search_locations or []) if spec else []
    return {
        path.stem: path
        for folder in folders
        for path in sorted(Path(folder).glob("*.py"))
        if not path.stem.startswith("_") and path.stem != "open_arrivals"
    }


def for_saga(saga: str) -> str:
    """The scenario named like the saga, or the one that fits all."""
    name = saga.replace("-", "_")
    return name if name in shipped() else ANY_SAGA


def locate(scenario: str) -> Path:
    """The file; :class:`~harness.core.errors.UsageError` names the shipped ones."""
    known = shipped()
    if scenario in known:
        return known[scenario]
    path = Path(scenario)
    if path.suffix == ".py" and path.is_file():
        return path.resolve()
    raise UsageError([Problem("scenario", scenario, f"one of: {', '.join(known)}; or the path of a locustfile")])
