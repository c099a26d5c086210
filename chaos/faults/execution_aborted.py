"""Somebody stops a saga's execution in the middle: the orchestrator forgets it, and nobody goes on or undoes it.

The participant that was just asked for a step takes it, and finds that nobody waits for its answer.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, ClassVar

import msgspec

from chaos.injector import Port, Strike
from harness.topologies.base import Abortable, Connection


class ExecutionAborted:
    """Stands around the handling of a message. By arrival: it is one saga's execution."""

    port: ClassVar = Port.PROCESS
    by_arrival: ClassVar = True

    class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
        """There are none."""

    def __init__(self, options: Options, workers: int) -> None:
        del options, workers

    def applies_to(self, connection: Connection) -> bool:
        """Where nobody orchestrates there is nothing to stop."""
        return isinstance(connection, Abortable)

    async def strike(self, strike: Strike, proceed: Callable[[], Awaitable[Any]]) -> Any:
        """Stop it, then take the step."""
        assert strike.delivery is not None
        connection: object = strike.connection
        assert isinstance(connection, Abortable)
        envelope = strike.delivery.envelope
        await connection.abort(envelope.saga_id, envelope.repairs)
        return await proceed()


FAULT = ExecutionAborted
