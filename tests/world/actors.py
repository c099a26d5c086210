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
from tests.world.trace import Occasion
from tests.world.trouble import Crashed, TroubledStore

if TYPE_CHECKING:
    from tests.world.world import World


class Ingress:
    """Admits requests and starts their sagas; is told how they ended; knows what their clients know."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.rows: dict[str, SagaRow] = {}
        self.ended_s: dict[str, float] = {}
        """When it first heard of a saga's end."""
        self._endings = ending_events(world.plan.saga)

    async def request(self, arrival: int, saga_id: str) -> None:
        """One arrival."""
        world, now_s = self.world, self.world.simulation.now_s
        row = SagaRow(arrival=arrival, scheduled_s=now_s, status="accepted", saga_id=saga_id, sent_s=now_s)
        if world.adversary.strikes(Occasion("forged", saga_id), world.plan.forged_share):
            self.rows[saga_id] = msgspec.structs.replace(
                row, status="rejected", saga_id=None, reason="invalid-identity"
            )
            self.forged(saga_id)
            return
        if world.adversary.strikes(Occasion("unanswered", saga_id), world.plan.trouble.unanswered):
            row = msgspec.structs.replace(row, status="error", saga_id=None)
        self.rows[saga_id] = row
        world.trace.note(saga_id, "starts")
        world.driver.start(saga_id, arrival)

    def forged(self, saga_id: str) -> None:
        """What is done for a request that was refused: nothing."""

    def outcome(self, saga_id: str, event: str) -> None:
        """A saga ended. Its client waits for one answer, and is given no second one."""
        row, now_s = self.rows[saga_id], self.world.simulation.now_s
        self.ended_s.setdefault(saga_id, now_s)
        if row.status == "accepted" and row.outcome is None:
            outcome = self._endings[event].value
            completion_ms = round(1000 * (now_s - row.scheduled_s), 3)
            self.rows[saga_id] = msgspec.structs.replace(row, outcome=outcome, completion_ms=completion_ms)
            self.world.trace.note(saga_id, f"its client is told: {outcome}")


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
        await self._reply(delivery, reply)
        if world.adversary.strikes(delivery.occasion("crash before acknowledgement"), world.plan.trouble.crash):
            raise Crashed

    async def work(self, delivery: Delivery) -> Reply:
        """The participant's part."""
        world, message = self.world, delivery.message
        store = TroubledStore(
            world.parts.store(world, world.store),
            world.adversary,
            world.simulation,
            world.trace,
            delivery.occasion("commit"),
        )
        dispatcher = world.parts.dispatcher(world, store)
        request = world.workload.request(world.arrival_of[message.saga_id])
        return await dispatcher.handle(Command(message.saga_id, message.work, request))

    def tell(self, delivery: Delivery, reply: Reply) -> None:
        """The topology's part."""
        self.world.driver.reply(delivery.message, reply)

    async def _reply(self, delivery: Delivery, reply: Reply) -> None:
        """Telling, and what can happen to it on its way."""
        adversary, trouble = self.world.adversary, self.world.plan.trouble
        if adversary.strikes(delivery.occasion("lost reply"), trouble.lost_reply):
            raise Indefinite("the reply reached nobody")
        has_token = delivery.message.token is not None
        if has_token and adversary.strikes(delivery.occasion("lost callback"), trouble.lost_callback):
            return
        late_s = adversary.late_s(delivery.occasion("late reply"), trouble.late_reply, trouble.delay_s)
        if late_s:
            self.world.simulation.spawn(self._tell_late(delivery, reply), late_s)
        else:
            self.tell(delivery, reply)

    async def _tell_late(self, delivery: Delivery, reply: Reply) -> None:
        self.tell(delivery, reply)

    def _record(self, delivery: Delivery, started_s: float, reply: Reply) -> None:
        world, message = self.world, delivery.message
        world.step_rows.append(
            StepRow(
                t_s=round(world.simulation.now_s, 4),
                worker="worker-1",
                participant=message.queue,
                saga_id=message.saga_id,
                arrival=world.arrival_of[message.saga_id],
                step=message.work,
                result=reply.result,
                replayed=reply.replayed,
                attempt=f"{message.retry}.{delivery.receives}",
                took_ms=round(1000 * (world.simulation.now_s - started_s), 2),
                detail=reply.reason,
            )
        )
        again = ", as before" if reply.replayed else ""
        why = f" ({reply.reason})" if reply.reason else ""
        world.trace.note(message.saga_id, f"{message.work}: {reply.result}{again}{why}")
