"""What an injector is. One file in ``chaos/faults/`` is one kind of fault."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, ClassVar, Protocol, runtime_checkable

import msgspec

from harness.load.plan import LoadPlan
from harness.topologies.base import Connection, Delivery
from harness.worker.ports import Received


class Port(StrEnum):
    """Where an injector stands."""

    TRANSPORT = "transport"
    """Around one HTTP request to AWS, below the SDK and its retries."""
    PROCESS = "process"
    """Around the handling of one delivered message."""
    WORK = "work"
    """Around a participant taking one step."""
    REPLY = "reply"
    """Around telling how a step ended: a callback, or an event."""
    ARRIVALS = "arrivals"
    """Around nothing: it changes when sagas arrive or what they ask for, before the load starts."""


def _always() -> bool:
    return True


@dataclass(frozen=True)
class Strike:
    """What an injector is told of the moment it strikes."""

    first: Callable[[], bool] = _always
    """Whether nobody has asked this before of the fault and this attempt, in any worker process: a message that was sent
    twice makes the same attempt twice."""
    draw: float = 0.0
    """A uniform number in [0, 1), a pure function of the seed, the fault, the arrival, the step and the attempt."""
    call: str | None = None
    """At the transport: the AWS call, ``service:Operation``."""
    read_timeout_s: float | None = None
    """At the transport: how long the SDK would wait for an answer."""
    delivery: Delivery | None = None
    """Anywhere but at the transport: the step that was asked for."""
    received: Received | None = None
    """At the process port: the message."""
    connection: Connection | None = None
    """At the process port: the topology in use."""


class Injector(Protocol):
    """One kind of fault with its options. Made once for each fault of the storm in each worker process.

    The engine has already decided that it strikes: there is no probability, no clock window and no ``random`` here.
    """

    @property
    def port(self) -> Port:
        """Where it stands: a constant of its class, unless its options decide."""
        ...

    by_arrival: ClassVar[bool]
    """True: the storm's window selects sagas by their scheduled arrival, so that both topologies have the same sagas
    struck. False: the window is on the wall clock, because what is struck is a resource and not a saga."""
    Options: ClassVar[type[msgspec.Struct]]

    def __init__(self, options: Any, workers: int) -> None:
        """``workers`` is how many processes share what the options state for all."""
        ...

    async def strike(self, strike: Strike, proceed: Callable[[], Awaitable[Any]]) -> Any:
        """Do the harm; ``proceed()`` is what would have happened, and its result is this one's."""
        ...


@runtime_checkable
class Selective(Protocol):
    """Optional, for an injector that can find that it would change nothing."""

    def bites(self, strike: Strike) -> bool:
        """Asked right before :meth:`Injector.strike`, in the same step of the event loop; false: no strike."""
        ...


@runtime_checkable
class Passing(Protocol):
    """Optional, for an injector under which every saga ends, even one that it strikes on each attempt.

    It strikes the sagas of its window for as long as they take; another that strikes every attempt is lifted at the end
    of the load, for nothing would ever end under it.
    """

    passes: ClassVar[bool]


@runtime_checkable
class Observant(Protocol):
    """Optional, for an injector at the process port that must know what else was handled."""

    def handled(self, delivery: Delivery) -> None:
        """Told of every message that was handled to its end, struck or not."""
        ...


@runtime_checkable
class Particular(Protocol):
    """Optional, for an injector that has nothing to strike in some topologies."""

    def applies_to(self, connection: Connection) -> bool:
        """False: it cannot strike there, which is then no gap in the evidence."""
        ...


@runtime_checkable
class Scheduling(Protocol):
    """What an injector at the arrivals port does."""

    def plan(self, plan: LoadPlan, start_s: float, end_s: float) -> LoadPlan:
        """The plan with this fault in it, in its window."""
        ...
