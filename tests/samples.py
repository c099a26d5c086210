"""Sagas, envelopes and deliveries to test with."""

from __future__ import annotations

from typing import Any

import msgspec

from harness.core.envelope import Envelope
from harness.core.local_transaction import LocalTransaction
from harness.core.saga import Command, Compensation, Saga, Step, StepKind
from harness.topologies.base import Delivery

AUDIENCE = "test-namespace"
KEY = "a key for tests that is long enough for HS256"
ORDER = b'{"customer":"ann","lines":[{"sku":"sku-1","quantity":2,"unit_price_cents":350}]}'


class Anything(msgspec.Struct):
    """The request of the sagas made here."""

    what: str = ""


def nothing(command: Command) -> LocalTransaction:
    """An action that writes nothing."""
    return LocalTransaction(())


def undoable(name: str, participant: str = "shop", kind: StepKind = StepKind.COMPENSATABLE, **changes: Any) -> Step:
    """A step with its compensation ``un-<name>``, refusal ``<name>-refused`` and so on."""
    parts = {
        "succeeded": f"{name}-done",
        "refused": f"{name}-refused",
        "compensation": Compensation(f"un-{name}", f"{name}-undone", nothing),
    }
    return Step(name, participant, kind, nothing, **(parts | changes))


def pivot(name: str, **changes: Any) -> Step:
    """The last step that can refuse."""
    return undoable(name, kind=StepKind.PIVOT, **changes)


def retriable(name: str, participant: str = "shop", **changes: Any) -> Step:
    """A step that goes forward only."""
    return Step(name, participant, StepKind.RETRIABLE, nothing, **({"succeeded": f"{name}-done"} | changes))


def saga(*steps: Step, after: tuple[Step, ...] = (), **changes: Any) -> Saga:
    """A saga of these steps, all tables in place."""
    parts = {
        "name": "sample",
        "requested": "sample-requested",
        "steps": steps,
        "after_compensation": after,
        "tables": {step.participant: () for step in (*steps, *after)},
        "request": Anything,
        "workload": lambda plan: None,
    }
    return Saga(**(parts | changes))


def envelope(**changes: Any) -> Envelope:
    """Arrival 7 of create-order, due after 1.5 s."""
    parts = {
        "saga": "create-order",
        "saga_id": "saga-7",
        "arrival": 7,
        "scheduled_s": 1.5,
        "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "identity": "token",
        "request": msgspec.Raw(ORDER),
    }
    return Envelope(**(parts | changes))


def delivery(step: str = "charge", participant: str = "payment", **changes: Any) -> Delivery:
    """The first delivery of a step."""
    return Delivery(**({"envelope": envelope(), "participant": participant, "step": step} | changes))


def as_json(value: object) -> Any:
    """What ``value`` is after a way through JSON, where white space no longer counts."""
    return msgspec.json.decode(msgspec.json.encode(value))
