"""What an injector is. One file in ``chaos/faults/`` is one kind of fault."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, ClassVar, Protocol, runtime_checkable

import msgspec

from harness.worker.ports import Received


class Port(StrEnum):
    """Where an injector stands."""

    TRANSPORT = "transport"
    """Around one HTTP request to AWS, below the SDK and its retries."""
    PROCESS = "process"
    """Around the handling of one delivered message."""
    WORK = "work"
    """Around a participant taking one step."""
    ARRIVALS = "arrivals"
    """Around nothing: it changes when sagas arrive, before the load starts."""


@dataclass(frozen=True)
class Strike:
    """What an injector is told of the moment it strikes."""

    read_timeout_s: float | None = None
    """At the transport: how long the SDK would wait for an answer."""
    received: Received | None = None
    """At the process port: the message."""


class Injector(Protocol):
    """One kind of fault with its options. Made once for each fault of the storm in each worker process.

    The engine has already decided that it strikes: there is no probability, no clock window and no ``random`` here.
    """

    port: ClassVar[Port]
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

    def bites(self) -> bool:
        """Asked right before :meth:`Injector.strike`, in the same step of the event loop; false: no strike."""
        ...
