"""Walks through a compiled state machine, as an execution would."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

Machine = dict[str, Any]


def path(machine: Machine, start: str) -> list[str]:
    """The states from ``start`` to an end, where every task succeeds."""
    names = [start]
    while following := machine["States"][names[-1]].get("Next"):
        assert following not in names, f"{following} comes round again: {names}"
        names.append(following)
    return names


def forward(machine: Machine) -> list[str]:
    """The states of a saga in which nothing fails."""
    return path(machine, machine["StartAt"])


def caught(machine: Machine, state: str, error: str) -> list[str]:
    """The states after ``state`` where it fails with ``error`` for good: the first catcher that fits counts."""
    for catcher in machine["States"][state].get("Catch", []):
        if {error, "States.ALL"} & set(catcher["ErrorEquals"]):
            return path(machine, catcher["Next"])
    raise AssertionError(f"{state} lets {error} end the execution")


def retries(machine: Machine, state: str, error: str) -> int:
    """How often ``state`` is tried again after ``error``: the first retrier that fits counts."""
    for retrier in machine["States"][state].get("Retry", []):
        if {error, "States.ALL"} & set(retrier["ErrorEquals"]):
            return int(retrier["MaxAttempts"])
    return 0


def tasks(machine: Machine) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every task state."""
    return ((name, state) for name, state in machine["States"].items() if state["Type"] == "Task")
