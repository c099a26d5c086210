"""What keeps a saga out of trouble, each a switch: the same names in a run's settings, in its report and in an ablation.

Sections 5.3.2 (backoff, jitter, dead-letter queues, circuit breakers), 5.3.4 (idempotency), 5.5.2 (semantic locks) and
5.7.1 (timeouts, the sweeper) of the chapter that this project implements; retry budgets are Google's (*Site Reliability
Engineering*, chapter 21) and Finagle's. All are on by default. What a mitigation does is where it does it; here is what it is called and where it
applies.
"""

from __future__ import annotations

import ast
import inspect
from itertools import pairwise
from typing import Literal, get_args, get_type_hints

import msgspec

Switch = Literal["on", "off"]


class Mitigations(msgspec.Struct, frozen=True, kw_only=True):
    """The value of every mitigation in a run; the default of each is what protects best."""

    backoff: Literal["exponential", "fixed", "none"] = "exponential"
    """How the wait before another try grows."""
    jitter: Literal["full", "equal", "decorrelated", "none"] = "full"
    """How the wait is spread (AWS Architecture Blog, "Exponential Backoff And Jitter")."""
    attempt_limit: Switch = "on"
    """Off: what may be given up is tried for ever."""
    dead_letter_queue: Switch = "on"
    """Off: a message that nobody can handle stays in its queue."""
    redrive: Switch = "on"
    """What is in the dead-letter queues goes back once the faults are lifted."""
    circuit_breaker: Switch = "on"
    """Around each participant's dependency: its database."""
    retry_budget: Switch = "on"
    """Retries may be a stated share of first tries; beyond it they wait for as long as a wait may be."""
    sdk_retries: Literal["standard", "adaptive", "legacy", "off"] = "standard"
    """The AWS SDK's retry mode."""
    load_shedding: Switch = "on"
    """A worker takes no more messages than it can handle while they are its own."""
    step_timeout: Switch = "on"
    """An orchestrator gives up waiting for a callback."""
    idempotency: Literal["transactional", "naive", "none"] = "transactional"
    """``transactional``: the record is written with the effect. ``naive``: before it, on its own, as in the chapter's example."""
    tombstones: Switch = "on"
    """The compensation of a step that never ran bars that step from running late."""
    outbox: Switch = "on"
    """What is to be told is stored with the effect and told before the message is acknowledged. Off: acknowledged first."""
    semantic_lock: Switch = "on"
    """A record that is part of a saga can be changed by that saga's next step only."""
    sweeper: Switch = "on"
    """Sagas that are pending beyond their objective are looked for and repaired."""

    def chosen(self) -> dict[str, str]:
        """Name to value of those that are not at their default, named as on the command line."""
        default = Mitigations()
        return {
            option(field): getattr(self, field)
            for field in self.__struct_fields__
            if getattr(self, field) != getattr(default, field)
        }


ORCHESTRATOR_ONLY = frozenset({"step-timeout"})
"""Those that only a topology with an orchestrator can have; elsewhere a run says that they do not apply."""


def option(field: str) -> str:
    """``step_timeout`` is ``step-timeout`` on the command line."""
    return field.replace("_", "-")


def values() -> dict[str, tuple[str, ...]]:
    """Name on the command line to what it may be set to, the default first."""
    hints = get_type_hints(Mitigations)
    return {option(field): get_args(hints[field]) for field in Mitigations.__struct_fields__}


def meanings() -> dict[str, str]:
    """Name on the command line to what it does: the text below each field, which Python itself does not keep."""
    [definition] = ast.parse(inspect.getsource(Mitigations)).body
    assert isinstance(definition, ast.ClassDef)
    return {
        option(field.target.id): " ".join(below.value.value.split()).replace("``", "")
        for field, below in pairwise(definition.body)
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
        if isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant) and isinstance(below.value.value, str)
    }
