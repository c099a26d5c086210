"""Sagas of every shape, with effects that can be counted, and the data that makes one step refuse."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from harness.core.local_transaction import Add, Change, Insert, LocalTransaction
from harness.core.saga import Action, Command, Compensation, Ending, Saga, Step, WorkloadPlan
from harness.sagas.create_order import SAGA as CREATE_ORDER
from tests import samples

_PLENTY = 1_000_000


def _plugin_example() -> Saga:
    """As an installed package would be, it is outside of the package of the tests."""
    path = Path(__file__).parents[1] / "plugin_example" / "book_trip.py"
    spec = importlib.util.spec_from_file_location("book_trip", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    saga: Saga = module.SAGA
    return saga


def _takes(name: str) -> Action:
    """One unit and a lock."""

    def action(command: Command) -> LocalTransaction:
        unit = Add("units", name, "left", -1, at_least=1, refusal="none-left")
        return LocalTransaction((unit, Insert(f"{name}-locks", command.saga_id, {"status": "TAKEN"})))

    return action


def _gives_back(name: str) -> Action:
    def action(command: Command) -> LocalTransaction:
        lock = Change(f"{name}-locks", command.saga_id, set={"status": "FREE"}, expect={"status": "TAKEN"})
        return LocalTransaction((Add("units", name, "left", 1), lock))

    return action


def _uses_up(name: str) -> Action:
    """One unit, for good."""

    def action(command: Command) -> LocalTransaction:
        return LocalTransaction((Add("units", name, "left", -1), *_writes(name)(command).writes))

    return action


def _writes(name: str) -> Action:
    def action(command: Command) -> LocalTransaction:
        return LocalTransaction((Insert(f"{name}-notes", command.saga_id, {"status": "WRITTEN"}),))

    return action


class _Units:
    """The workload of a shape: units of whatever its steps take."""

    def __init__(self, steps: Iterable[Step]) -> None:
        self._steps = tuple(steps)

    def request(self, arrival: int) -> samples.Anything:
        return samples.Anything()

    def subject(self, arrival: int) -> str:
        return "anybody"

    def initial_items(self) -> Iterable[tuple[str, str, Mapping[str, object]]]:
        for step in self._steps:
            yield step.participant, "units", {"id": step.name, "left": _PLENTY}


def _shape(name: str, *steps: Step, after: tuple[Step, ...] = ()) -> Saga:
    """The saga of these steps, each with an effect, and an ending that tells of a lock that was left."""
    acting = [_acting(step) for step in steps]
    closing = tuple(replace(step, action=_writes(step.name)) for step in after)
    endings = [
        Ending(step.participant, f"{step.name}-locks", "status", completed="TAKEN", compensated="FREE")
        if step.compensation
        else Ending(step.participant, f"{step.name}-notes", "status", completed="WRITTEN", compensated=None)
        for step in acting
    ]
    endings += [
        Ending(step.participant, f"{step.name}-notes", "status", completed=None, compensated="WRITTEN")
        for step in closing
    ]
    return samples.saga(*acting, after=closing, name=name, endings=tuple(endings), workload=lambda _: _Units(acting))


def _acting(step: Step) -> Step:
    if step.compensation is None:
        return replace(step, action=_uses_up(step.name))
    undo = step.compensation
    return replace(
        step,
        action=_takes(step.name),
        compensation=Compensation(undo.name, undo.succeeded, _gives_back(step.name)),
    )


SAGAS = {
    saga.name: saga
    for saga in (
        CREATE_ORDER,
        _plugin_example(),
        _shape("without a pivot", samples.undoable("book"), samples.undoable("pay")),
        _shape("only forward", samples.retriable("write"), samples.retriable("tell")),
        _shape("pivot first", samples.pivot("pay"), samples.retriable("ship")),
        _shape(
            "many closing steps",
            samples.undoable("book-hotel", "hotels"),
            samples.undoable("book_flight", "flights"),
            samples.pivot("take-money", participant="bank"),
            samples.retriable("send-tickets", "mail"),
            after=(samples.retriable("say-sorry", "mail"), samples.retriable("offer-a-discount", "mail")),
        ),
    )
}


class _Supplied:
    """A workload with enough of everything that its first request needs, but one too few for one step."""

    def __init__(self, saga: Saga, plan: WorkloadPlan, refusing: str | None) -> None:
        self._workload = saga.workload(plan)
        self._levels: dict[tuple[str, str, str], dict[str, int]] = {}
        for step in saga.steps:
            transaction = step.action(Command("s-0000", step.name, self._workload.request(0)))
            for write in transaction.writes:
                if isinstance(write, Add):
                    least = write.at_least or 0
                    level = least - 1 if step.name == refusing else least + _PLENTY
                    self._levels[step.participant, write.table, write.id] = {write.attribute: level}

    def request(self, arrival: int) -> Any:
        return self._workload.request(arrival)

    def subject(self, arrival: int) -> str:
        return self._workload.subject(arrival)

    def initial_items(self) -> Iterable[tuple[str, str, Mapping[str, object]]]:
        for participant, table, item in self._workload.initial_items():
            key = participant, table, str(item["id"])
            if key in self._levels:  # what the request does not touch would only slow the matrix down
                yield participant, table, {**item, **self._levels[key]}


def supplied(saga: Saga, refusing: str | None) -> Saga:
    """The saga with data that lets nothing refuse but this step."""
    return replace(saga, workload=lambda plan: _Supplied(saga, plan, refusing))
