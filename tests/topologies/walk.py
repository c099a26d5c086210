"""Walks through a compiled state machine, as an execution would."""

from __future__ import annotations

import hashlib
import json
import operator
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

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
    catcher = _fitting(machine["States"][state].get("Catch", []), error)
    assert catcher, f"{state} lets {error} end the execution"
    return path(machine, catcher["Next"])


def retries(machine: Machine, state: str, error: str) -> int:
    """How often ``state`` is tried again after ``error``: the first retrier that fits counts."""
    retrier = _fitting(machine["States"][state].get("Retry", []), error)
    return int(retrier["MaxAttempts"]) if retrier else 0


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
        name: str | None = self.machine["StartAt"]
        while name:
            self.states.append(name)
            assert len(self.states) < 1000, "the walk comes to no end"
            state = self.machine["States"][name]
            name = getattr(self, f"_{state['Type'].lower()}")(state)

    def _pass(self, state: Machine) -> str:
        result = _filled(state["Parameters"], self.data, {}) if "Parameters" in state else state["Result"]
        self._put(state["ResultPath"], result)
        return str(state["Next"])

    def _choice(self, state: Machine) -> str:
        chosen = next((rule for rule in state["Choices"] if self._holds(rule)), None)
        return str(chosen["Next"] if chosen else state["Default"])

    def _holds(self, rule: dict[str, Any]) -> bool:
        if "And" in rule:
            return all(map(self._holds, rule["And"]))
        value = _at(rule["Variable"], self.data)
        if "StringEquals" in rule:
            return bool(value == rule["StringEquals"])
        return bool(value >= rule["NumericGreaterThanEquals"])

    def _wait(self, state: Machine) -> str:
        self.waits_s.append(_at(state["SecondsPath"], self.data))
        return str(state["Next"])

    def _task(self, state: Machine) -> str:
        tries: dict[int, int] = {}
        while error := self._attempt(state, sum(tries.values())):
            retriers = state.get("Retry", [])
            retrier = _fitting(retriers, error)
            index = retriers.index(retrier) if retrier else -1
            if retrier is None or tries.get(index, 0) >= retrier["MaxAttempts"]:
                catcher = _fitting(state.get("Catch", []), error)
                assert catcher, f"{error} ends the execution"
                self._put(catcher["ResultPath"], {"Error": error, "Cause": f"of {self.commands[-1]}"})
                return str(catcher["Next"])
            tries[index] = tries.get(index, 0) + 1
        self._put(state["ResultPath"], state.get("ResultSelector"))
        return str(state["Next"])

    def _attempt(self, state: Machine, retry: int) -> str | None:
        context = {"State": {"RetryCount": retry}, "Task": {"Token": f"token-{len(self.commands)}"}}
        parameters = _filled(state["Parameters"], self.data, context)
        if "Entries" in parameters:
            self.published += parameters["Entries"]
            return None
        message = parameters["MessageBody"]
        self.commands.append((message["step"], message["retry"]))
        return self.fails(message["step"], [work for work, _ in self.commands].count(message["step"]) - 1)

    def _succeed(self, state: Machine) -> None:
        return None

    _fail = _succeed

    def _put(self, where: str | None, value: Any) -> None:
        if where is None:
            return
        *inner, last = where.split(".")[1:]
        holder = self.data = json.loads(json.dumps(self.data))
        for name in inner:
            holder = holder[name]
        holder[last] = value


def _fitting(rules: list[dict[str, Any]], error: str) -> dict[str, Any] | None:
    return next((rule for rule in rules if {error, "States.ALL"} & set(rule["ErrorEquals"])), None)


def _filled(template: Any, data: Mapping[str, Any], context: Mapping[str, Any]) -> Any:
    """Payload templates: a key that ends with ``.$`` has a path or an intrinsic function for its value."""
    if isinstance(template, list):
        return [_filled(item, data, context) for item in template]
    if not isinstance(template, dict):
        return template
    return {
        key.removesuffix(".$"): _evaluated(value, data, context)
        if key.endswith(".$")
        else _filled(value, data, context)
        for key, value in template.items()
    }


def _at(where: str, data: Any) -> Any:
    for name in where.split(".")[1:]:
        data = data[name]
    return data


def _array_range(first: float, last: float, step: int) -> list[int]:
    assert step > 0
    items = list(range(round(first), round(last) + 1, step))
    assert len(items) <= 1000, "more than an array may hold"
    return items


_INTRINSICS = {
    "Array": lambda *items: list(items),
    "ArrayGetItem": operator.getitem,
    "ArrayLength": len,
    "ArrayRange": _array_range,
    "Format": str.format,
    "Hash": lambda text, algorithm: hashlib.new(algorithm.replace("-", ""), text.encode()).hexdigest(),
    "MathAdd": operator.add,
    "StringSplit": lambda text, separators: re.findall(f"[^{separators}]+", text),
    "StringToJson": json.loads,
}


def _evaluated(expression: str, data: Mapping[str, Any], context: Mapping[str, Any]) -> Any:
    """A path into the input (``$``) or the context (``$$``), or intrinsic functions: near enough to Python to be run."""
    assert expression.count("States.") <= 10, "more than may be nested in one field"
    found: list[Any] = []

    def look_up(where: re.Match[str]) -> str:
        found.append(_at(where[0].lstrip("$"), context if where[0].startswith("$$") else data))
        return f"found[{len(found) - 1}]"

    python = re.sub(r"\$\$?(\.\w+)+", look_up, expression).replace("States.", "")
    return eval(python, {"__builtins__": {}, "found": found}, _INTRINSICS)  # what we compiled ourselves
