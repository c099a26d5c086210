"""Queues that deliver at least once: a message comes again until it is acknowledged, or becomes a dead letter."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from harness.core.errors import Indefinite
from tests.world.simulation import Simulation, sleep
from tests.world.trace import Occasion, Trace
from tests.world.trouble import Adversary, Crashed

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

    def occasion(self, kind: str) -> Occasion:
        """For trouble of this kind. The same in a bug and in its cure."""
        return Occasion(kind, self.message.saga_id, self.message.work, self.number, self.copy, self.receives)


Handler = Callable[[Delivery], Awaitable[None]]


class Bus:
    """All queues. ``handler`` is set once there is somebody to handle messages."""

    def __init__(self, simulation: Simulation, adversary: Adversary, trace: Trace) -> None:
        self._simulation = simulation
        self._adversary = adversary
        self._trouble = adversary.trouble
        self._trace = trace
        self._sent: Counter[tuple[str, str]] = Counter()
        self.handler: Handler | None = None
        self.pending = 0
        """Messages, duplicates included, that are neither acknowledged nor dead."""
        self.dead_letters: list[Message] = []

    def send(self, message: Message) -> None:
        """Put a message on its queue. From now on it is delivered at least once."""
        self._sent[message.saga_id, message.work] += 1
        delivery = Delivery(message, self._sent[message.saga_id, message.work], copy=1, receives=1)
        copies = [delivery]
        if self._adversary.strikes(delivery.occasion("duplicate"), self._trouble.duplicate):
            copies.append(replace(delivery, copy=2))
        for copy in copies:
            self.pending += 1
            self._simulation.spawn(self._deliver(copy))

    async def _deliver(self, delivery: Delivery) -> None:
        assert self.handler is not None
        trouble, message = self._trouble, delivery.message
        hop_s = HOP_S * (1 + trouble.share(delivery.occasion("hop")))
        await sleep(hop_s + self._adversary.late_s(delivery.occasion("delay"), trouble.delay, trouble.delay_s))
        if not self._adversary.strikes(delivery.occasion("lose"), trouble.lose):
            again = f", delivery {delivery.receives}" if delivery.receives > 1 else ""
            self._trace.note(message.saga_id, f"{message.work} reaches {message.queue}{again}")
            try:
                await self.handler(delivery)
                self.pending -= 1
                return
            except (Crashed, Indefinite):
                pass
        if delivery.receives == MAX_RECEIVES:
            self.pending -= 1
            self.dead_letters.append(message)
            self._trace.note(message.saga_id, f"{message.work} is a dead letter")
            return
        again_later = replace(delivery, receives=delivery.receives + 1)
        self._simulation.spawn(self._deliver(again_later), VISIBILITY_TIMEOUT_S)
