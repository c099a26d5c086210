"""The orchestrated topology twice more, for ``make bench-gates``: as it is, and slower by a step that replies late."""

from __future__ import annotations

import asyncio
import os
from typing import Any

from harness.aws.gateway import Gateway
from harness.core.saga import Saga
from harness.participants.dispatcher import Reply
from harness.topologies.base import Blueprint, Connection, Delivery, Deployed
from harness.topologies.orchestrated import TOPOLOGY as ORCHESTRATED
from harness.topologies.policy import RetryPolicy

LATE_MS_VARIABLE = "PLANTED_LATE_MS"
STEP = "create"
"""The one step that every saga takes, once."""


class _Planted:
    """``late`` replies of one step by so many milliseconds, as the environment says; all else is the topology's own."""

    def __init__(self, *, late: bool) -> None:
        self._late = late

    def blueprint(self, saga: Saga) -> Blueprint:
        """As it is."""
        return ORCHESTRATED.blueprint(saga)

    def state_machine(self, saga: Saga, deployed: Deployed, policy: RetryPolicy) -> dict[str, Any] | None:
        """As it is."""
        return ORCHESTRATED.state_machine(saga, deployed, policy)

    def connect(self, gateway: Gateway, saga: Saga, deployed: Deployed) -> Connection:
        """With the slow reply in the place of the quick one, so that the connection is all else that it was."""
        connection = ORCHESTRATED.connect(gateway, saga, deployed)
        if self._late:
            reply = connection.reply
            late_s = float(os.environ[LATE_MS_VARIABLE]) / 1000

            async def late(delivery: Delivery, outcome: Reply) -> None:
                if delivery.step == STEP:
                    await asyncio.sleep(late_s)
                await reply(delivery, outcome)

            connection.reply = late  # type: ignore[method-assign]
        return connection


AGAIN, SLOWER = _Planted(late=False), _Planted(late=True)
