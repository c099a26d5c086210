"""What a marker asks for, checked as the command line is: everything that is wrong at once, before any run."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest

from chaos import storm as storms
from harness import registry
from harness.cli import options
from harness.core.errors import Problem, UsageError
from harness.gate.cases import cases_of
from harness.gate.entry import fields_of
from harness.gate.model import BASE, TOPOLOGY, Case, Gates
from harness.gate.reach import refuse_idle
from harness.gate.read import gates_of
from harness.gate.relative import pairs_needed
from harness.settings import RunSettings

GATES = "gates"
SETTINGS = tuple(option.name.replace("-", "_") for option in options.OPTIONS)


@dataclass(frozen=True)
class Asked:
    """One marker's run, and what is to be true of it. ``arguments`` are those of ``sagastorm run``."""

    arguments: tuple[str, ...]
    settings: RunSettings
    gates: Gates | None

    @property
    def key(self) -> str:
        """Equal where the same run is asked for."""
        return hashlib.sha256(msgspec.json.encode(self.settings)).hexdigest()[:16]


def ask(item: pytest.Item, backend: str, problems: list[str]) -> Asked | None:
    """What the marker of a test asks for; what is wrong with it goes to ``problems``, with the name of the test."""
    marker = item.get_closest_marker("storm")
    assert marker is not None
    try:
        return read(marker.args, marker.kwargs, backend, item.config.rootpath)
    except UsageError as error:
        problems += [f"{item.nodeid}: {problem}" for problem in error.problems]
        return None


def read(args: tuple[Any, ...], kwargs: Mapping[str, Any], backend: str, root: Path) -> Asked:
    """A marker's arguments. Raises ``UsageError``.

    As for a command that is started in ``root``, what the marker leaves open is decided by ``SAGASTORM_…`` variables and
    the ``sagastorm.toml`` that is there.
    """
    given, problems = _given(args, kwargs)
    flags = {name.replace("_", "-"): _text(value) for name, value in given.items() if name in SETTINGS}
    if backend:
        flags["backend"] = backend
    settings, cases, gates = RunSettings(), list[Case](), None
    try:
        with contextlib.chdir(root):  # where the run will be started, and where it will look for files
            settings = options.settings(flags, os.environ, Path())
            cases = _cases(settings)
    except UsageError as error:
        problems += [_of_marker(problem) for problem in error.problems]
    if given.get(GATES) is not None:
        try:
            gates = gates_of({"gate": [_gate(each) for each in _listed(given[GATES])]}, GATES)
            against_base = [gate.name for gate in gates.gates if gate.against == BASE]
            one = "of one run by itself; sagastorm check --base holds it against a base"
            problems += [Problem(GATES, name, one) for name in against_base]
            if cases and not against_base:
                refuse_idle(gates, cases, has_base=False)
                problems += _too_few_turns(gates, settings)
        except UsageError as error:
            problems += error.problems
    if problems:
        raise UsageError(problems)
    arguments = [part for name, text in flags.items() for part in (f"--{name}", text)]
    return Asked(("run", *arguments), settings, gates)


def _too_few_turns(gates: Gates, settings: RunSettings) -> Iterable[Problem]:
    """Gates of one topology against another that this one run can never answer."""
    counts = Counter(settings.interleave)
    turns = {name: counts[chr(ord("A") + number)] for number, name in enumerate(settings.topologies)}
    for gate in gates.gates:
        reference = (gate.against or "").removeprefix(TOPOLOGY)
        judged = [name for name in turns if name != reference and gate.topology in (None, name)]
        needed = pairs_needed(gate.metric)
        if reference in turns and any(min(turns[reference], turns[name]) < needed for name in judged):
            valid = f"{needed} turns of each topology or more for {gate.name}, such as ABBAABBA"
            yield Problem("interleave", settings.interleave, valid)


def _given(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> tuple[dict[str, Any], list[Problem]]:
    """By name; the storm is the one that may come without."""
    problems = [
        Problem(name, value, f"an argument that is one of: {', '.join((*SETTINGS, GATES))}")
        for name, value in kwargs.items()
        if name not in (*SETTINGS, GATES)
    ]
    if len(args) > 1 or (args and "storm" in kwargs):
        problems.append(Problem("storm", (*args, *filter(None, [kwargs.get("storm")])), "one storm; the rest by name"))
    return {**kwargs, **({"storm": args[0]} if args else {})}, problems


def _text(value: Any) -> str:
    """As it would be written on the command line."""
    if isinstance(value, Mapping):
        return ",".join(f"{name}={each}" for name, each in value.items())
    return ",".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)


def _of_marker(problem: Problem) -> Problem:
    """Under the name that the argument has in a marker."""
    if not problem.field.startswith("--"):
        return problem
    return Problem(problem.field.removeprefix("--").replace("-", "_"), problem.value, problem.valid)


def _listed(gates: Any) -> Iterable[Any]:
    return gates if isinstance(gates, (list, tuple)) else [gates]


def _gate(given: Any) -> Any:
    """``"completion_ms.p99 < 800 ms"`` as a table of ``gates.toml``; a table is one already."""
    return fields_of(given) if isinstance(given, str) else given


def _cases(settings: RunSettings) -> list[Case]:
    saga = registry.saga(settings.saga)
    storm = storms.load(settings.storm, saga, settings.duration_s, settings.rate_per_s)
    return cases_of(settings, msgspec.to_builtins(storm))
