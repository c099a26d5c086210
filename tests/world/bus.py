"""Queues that deliver at least once: a message comes again until it is acknowledged, or becomes a dead letter."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from harness.core.errors import Indefinite
from tests.world.simulation import Simulation, sleep
from tests.world.trouble import Crashed, Trouble

VISIBILITY_TIMEOUT_S = 4.0
MAX_RECEIVES = 12
HOP_S = 0.01


@dataclass(frozen=True)
class Message:
    """Asks ``queue`` (a participant, or the ingress) for ``work`` (a step, or an event that ends a saga)."""

    queue: str
    saga_id: str
    work: str
    token: str | None = None
    """Of the orchestrator's command, to answer with."""
    retry: int = 0


@dataclass(frozen=True)
class Delivery:
    """One handing-over of a message; returning from its handling acknowledges it. ``copy`` counts duplicates."""

    message: Message
    number: int
    copy: int
    receives: int

    @property
    def key(self) -> tuple[str, str, int, int]:
        """What trouble is decided by, besides the number of receives. The same in a bug and in its cure."""
        return self.message.saga_id, self.message.work, self.number, self.copy


Handler = Callable[[Delivery], Awaitable[None]]


class Bus:
    """All queues. ``handler`` is set once there is somebody to handle messages."""

    def __init__(self, simulation: Simulation, trouble: Trouble, fired: Counter[str]) -> None:
        self._simulation = simulation
        self._trouble = trouble
        self._fired = fired
        self._sent: Counter[tuple[str, str]] = Counter()
        self.handler: Handler | None = None
        self.dead_letters: list[Message] = []

    def send(self, message: Message) -> None:
        """Put a message on its queue. From now on it is delivered at least once."""
        self._sent[message.saga_id, message.work] += 1
        number = self._sent[message.saga_id, message.work]
        self._simulation.spawn(self._deliver(Delivery(message, number, copy=1, receives=1)))
        if self._strikes("duplicate", self._trouble.duplicate, Delivery(message, number, copy=1, receives=1)):
            self._simulation.spawn(self._deliver(Delivery(message, number, copy=2, receives=1)))

    async def _deliver(self, delivery: Delivery) -> None:
        assert self.handler is not None
        wait_s = HOP_S * (1 + self._trouble.share("hop", delivery.receives, *delivery.key))
        if self._strikes("delay", self._trouble.delay, delivery):
            wait_s += self._trouble.delay_s * self._trouble.share("delay", delivery.receives, *delivery.key)
        await sleep(wait_s)
        if not self._strikes("lose", self._trouble.lose, delivery):
            try:
                await self.handler(delivery)
                return
            except (Crashed, Indefinite):
                pass
        if delivery.receives == MAX_RECEIVES:
            self.dead_letters.append(delivery.message)
            return
        again = Delivery(delivery.message, delivery.number, delivery.copy, delivery.receives + 1)
        self._simulation.spawn(self._deliver(again), VISIBILITY_TIMEOUT_S)

    def _strikes(self, kind: str, share: float, delivery: Delivery) -> bool:
        struck = self._trouble.strikes_at(kind, share, delivery.receives, *delivery.key)
        self._fired[kind] += struck
        return struck
