"""What goes wrong in the world, and where: pure functions of a seed, so that a bug and its cure meet the same."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from harness.core.errors import Indefinite
from harness.core.local_transaction import Write
from harness.core.seeded import uniform
from harness.participants.ports import Store
from tests.world.simulation import Simulation, sleep


class Crashed(Exception):
    """The worker died here: it answers nothing, acknowledges nothing and records nothing."""


@dataclass(frozen=True)
class Trouble:
    """How often each kind of trouble strikes, as a share of its occasions.

    The first ``strikes`` deliveries of a message can be struck; later ones are spared, so every world comes to an end.
    """

    seed: int = 1
    duplicate: float = 0.0
    """Messages that are delivered twice."""
    lose: float = 0.0
    """Deliveries that reach nobody; the queue delivers again."""
    delay: float = 0.0
    """Deliveries that come up to ``delay_s`` late, and so overtake each other."""
    delay_s: float = 12.0
    crash: float = 0.0
    """Commits before which, and after which, the worker dies; also replies after which it dies unacknowledged."""
    slow: float = 0.0
    """Commits that take up to ``slow_s`` to reach the store."""
    slow_s: float = 5.0
    lost_answer: float = 0.0
    """Commits of which the participant never hears."""
    unanswered: float = 0.0
    """Clients that get no answer to their request, although it started a saga."""
    strikes: int = 3

    def strikes_at(self, kind: str, share: float, receives: int, *key: str | int) -> bool:
        """Whether trouble of this kind strikes at this occasion."""
        return receives <= self.strikes and uniform(self.seed, kind, receives, *key) < share

    def share(self, kind: str, *key: str | int) -> float:
        """How much of its limit a late or slow one takes, in [0, 1)."""
        return uniform(self.seed, kind, "how much", *key)


class TroubledStore:
    """The store as one handling of one message meets it."""

    def __init__(
        self,
        store: Store,
        trouble: Trouble,
        simulation: Simulation,
        fired: Counter[str],
        receives: int,
        *key: str | int,
    ) -> None:
        self._store = store
        self._trouble = trouble
        self._simulation = simulation
        self._fired = fired
        self._receives = receives
        self._key = key
        self._commits = 0

    async def transact(self, participant: str, writes: Sequence[Write]) -> None:
        """Commit, somehow."""
        self._commits += 1
        trouble = self._trouble
        latency_s = 0.002 * (1 + trouble.share("latency", *self._key, self._commits))
        if self._strikes("slow", trouble.slow):
            latency_s += trouble.slow_s * trouble.share("slow", *self._key, self._commits)
        await sleep(latency_s)
        self._crash("crash before commit")
        await self._store.transact(participant, writes)
        await sleep(latency_s / 2)
        self._crash("crash after commit")
        if self._strikes("lost answer", trouble.lost_answer):
            raise Indefinite("the store's answer was lost")

    def _crash(self, kind: str) -> None:
        if self._strikes(kind, self._trouble.crash):
            raise Crashed(kind)

    def _strikes(self, kind: str, share: float) -> bool:
        struck = self._trouble.strikes_at(kind, share, self._receives, *self._key, self._commits)
        self._fired[kind] += struck
        return struck
