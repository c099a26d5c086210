"""Walks through a compiled state machine, as an execution would."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from tests.world import asl

Machine = dict[str, Any]
Fails = Callable[[str, int], str | None]
"""From a work and the number of the command, 0 for the first, to the error that it ends with."""


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
    catcher = asl.catcher(machine["States"][state], error)
    assert catcher, f"{state} lets {error} end the execution"
    return path(machine, catcher["Next"])


def retries(machine: Machine, state: str, error: str) -> int:
    """How often ``state`` is tried again after ``error``: the first retrier that fits counts."""
    found = asl.retrier(machine["States"][state], error)
    return int(found[1]["MaxAttempts"]) if found else 0


def tasks(machine: Machine) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every task state."""
    return ((name, state) for name, state in machine["States"].items() if state["Type"] == "Task")


@dataclass
class Walk:
    """One execution, from its input to its end, with the errors that ``fails`` decides."""

    machine: Machine
    data: dict[str, Any]
    fails: Fails
    states: list[str] = field(default_factory=list)
    commands: list[tuple[str, int]] = field(default_factory=list)
    """(work, the retry that its command says it is)."""
    published: list[dict[str, Any]] = field(default_factory=list)
    waits_s: list[int] = field(default_factory=list)
    """What the ``Wait`` states waited; what a ``Retry`` waits is not walked."""

    def __post_init__(self) -> None:
        asl.check(self.machine)
        name: str | None = self.machine["StartAt"]
        while name:
            self.states.append(name)
            assert len(self.states) < 1000, "the walk comes to no end"
            state = self.machine["States"][name]
            name = getattr(self, f"_{state['Type'].lower()}")(state)

    def _pass(self, state: Machine) -> str:
        result = asl.resolve(state["Parameters"], self.data, {}) if "Parameters" in state else state["Result"]
        self.data = asl.put(state["ResultPath"], result, self.data)
        return str(state["Next"])

    def _choice(self, state: Machine) -> str:
        return asl.chosen(state, self.data)

    def _wait(self, state: Machine) -> str:
        self.waits_s.append(asl.at(state["SecondsPath"], self.data))
        return str(state["Next"])

    def _task(self, state: Machine) -> str:
        tries: dict[int, int] = {}
        while error := self._attempt(state, sum(tries.values())):
            index, retrier = asl.retrier(state, error) or (-1, {"MaxAttempts": 0})
            if tries.get(index, 0) >= retrier["MaxAttempts"]:
                catcher = asl.catcher(state, error)
                assert catcher, f"{error} ends the execution"
                failure = {"Error": error, "Cause": f"of {self.commands[-1]}"}
                self.data = asl.put(catcher["ResultPath"], failure, self.data)
                return str(catcher["Next"])
            tries[index] = tries.get(index, 0) + 1
        self.data = asl.put(state["ResultPath"], state.get("ResultSelector"), self.data)
        return str(state["Next"])

    def _attempt(self, state: Machine, retry: int) -> str | None:
        context = {"State": {"RetryCount": retry}, "Task": {"Token": f"token-{len(self.commands)}"}}
        parameters = asl.resolve(state["Parameters"], self.data, context)
        if "Entries" in parameters:
            self.published += parameters["Entries"]
            return None
        message = parameters["MessageBody"]
        self.commands.append((message["step"], message["retry"]))
        return self.fails(message["step"], [work for work, _ in self.commands].count(message["step"]) - 1)

    def _succeed(self, state: Machine) -> None:
        return None

    _fail = _succeed
