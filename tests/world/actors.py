"""Those who act in the world: the ingress in front of it, and the worker that handles its messages."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from harness.core.errors import Indefinite
from harness.core.saga import Command
from harness.history.records import SagaRow, StepRow
from harness.participants.dispatcher import Reply
from harness.topologies.base import ending_events
from tests.world.bus import Delivery
from tests.world.trouble import Crashed, TroubledStore

if TYPE_CHECKING:
    from tests.world.world import World


class Ingress:
    """Admits requests and starts their sagas; is told how they ended; knows what their clients know."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.rows: dict[str, SagaRow] = {}
        self._endings = ending_events(world.parts.saga)

    async def request(self, arrival: int, saga_id: str) -> None:
        """One arrival."""
        world, now_s = self.world, self.world.simulation.now_s
        row = SagaRow(arrival=arrival, scheduled_s=now_s, status="accepted", saga_id=saga_id, sent_s=now_s)
        if world.is_forged(arrival):
            world.fired["forged"] += 1
            self.rows[saga_id] = msgspec.structs.replace(
                row, status="rejected", saga_id=None, reason="invalid-identity"
            )
            self.forged(saga_id)
            return
        if world.plan.trouble.strikes_at("unanswered", world.plan.trouble.unanswered, 1, saga_id):
            world.fired["unanswered"] += 1
            row = msgspec.structs.replace(row, status="error", saga_id=None)
        self.rows[saga_id] = row
        world.driver.start(saga_id)

    def forged(self, saga_id: str) -> None:
        """What is done for a request that was refused: nothing."""

    def outcome(self, saga_id: str, event: str) -> None:
        """A saga ended. Its client waits for one answer, and is given no second one."""
        row = self.rows[saga_id]
        if row.status == "accepted" and row.outcome is None:
            completion_ms = 1000 * (self.world.simulation.now_s - row.scheduled_s)
            self.rows[saga_id] = msgspec.structs.replace(
                row, outcome=self._endings[event].value, completion_ms=round(completion_ms, 3)
            )


class Worker:
    """Handles deliveries: the work, its record, the reply. Returning acknowledges."""

    def __init__(self, world: World) -> None:
        self.world = world

    async def handle(self, delivery: Delivery) -> None:
        """Take the step and tell how it ended."""
        world, started_s = self.world, self.world.simulation.now_s
        try:
            reply = await self.work(delivery)
        except Indefinite as error:
            self._record(delivery, started_s, Reply(result="error", reason=str(error)))
            raise
        self._record(delivery, started_s, reply)
        world.fired["replayed"] += reply.replayed
        self.tell(delivery, reply)
        trouble = world.plan.trouble
        if trouble.strikes_at("crash before acknowledgement", trouble.crash, delivery.receives, *delivery.key):
            world.fired["crash before acknowledgement"] += 1
            raise Crashed

    async def work(self, delivery: Delivery) -> Reply:
        """The participant's part."""
        world, message = self.world, delivery.message
        store = TroubledStore(
            world.parts.store(world, world.store),
            world.plan.trouble,
            world.simulation,
            world.fired,
            delivery.receives,
            *delivery.key,
        )
        dispatcher = world.parts.dispatcher(world, store)
        request = world.workload.request(world.arrival_of[message.saga_id])
        return await dispatcher.handle(Command(message.saga_id, message.work, request))

    def tell(self, delivery: Delivery, reply: Reply) -> None:
        """The topology's part."""
        self.world.driver.reply(delivery.message, reply)

    def _record(self, delivery: Delivery, started_s: float, reply: Reply) -> None:
        now_s = self.world.simulation.now_s
        self.world.step_rows.append(
            StepRow(
                t_s=round(now_s, 4),
                worker="worker-1",
                participant=delivery.message.queue,
                saga_id=delivery.message.saga_id,
                arrival=self.world.arrival_of[delivery.message.saga_id],
                step=delivery.message.work,
                result=reply.result,
                replayed=reply.replayed,
                attempt=f"{delivery.message.retry}.{delivery.receives}",
                took_ms=round(1000 * (now_s - started_s), 2),
                detail=reply.reason,
            )
        )
