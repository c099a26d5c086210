"""What goes wrong in the world, and where: pure functions of a seed, so that a bug and its cure meet the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from math import inf

from harness.core.errors import Indefinite
from harness.core.local_transaction import Write
from harness.core.seeded import uniform
from harness.participants.ports import ConditionFailed, Store
from tests.world.simulation import Simulation, sleep
from tests.world.trace import Occasion, Trace


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
    error: float = 0.0
    """Commits that fail before they reach the store."""
    crash: float = 0.0
    """Commits before which, and after which, the worker dies; also replies after which it dies unacknowledged."""
    slow: float = 0.0
    """Commits that take up to ``slow_s`` to reach the store."""
    slow_s: float = 5.0
    lost_answer: float = 0.0
    """Commits of which the participant never hears."""
    lost_reply: float = 0.0
    """Replies that reach nobody; the worker knows, and leaves the message on its queue."""
    late_reply: float = 0.0
    """Replies that come up to ``delay_s`` late."""
    lost_callback: float = 0.0
    """Replies to an orchestrator that are lost and nobody knows: there is a time limit for that."""
    unanswered: float = 0.0
    """Clients that get no answer to their request, although it started a saga."""
    strikes: int = 3
    until_s: float = inf
    """From then on nothing strikes any more."""

    @property
    def in_words(self) -> str:
        """What is not as it is by default."""
        told = [one for one in fields(self) if one.name != "script" and getattr(self, one.name) != one.default]
        return ", ".join(f"{one.name} {getattr(self, one.name)}" for one in told) or "no trouble"

    def strikes_at(self, occasion: Occasion, share: float) -> bool:
        """Whether trouble strikes on this occasion."""
        return occasion.receives <= self.strikes and uniform(self.seed, *_key(occasion)) < share

    def share(self, occasion: Occasion) -> float:
        """How much of its limit a late or slow one takes, in [0, 1]."""
        kind, *where = _key(occasion)
        return uniform(self.seed, kind, "how much", *where)


def _key(occasion: Occasion) -> tuple[str | int, ...]:
    at = occasion
    return at.kind, at.receives, at.saga_id, at.work, at.number, at.copy, *([at.commit] if at.commit else [])


@dataclass(frozen=True)
class Script(Trouble):
    """Trouble on these occasions and no others. A late one takes all of its limit, and all else is punctual."""

    script: tuple[Occasion, ...] = ()

    def strikes_at(self, occasion: Occasion, share: float) -> bool:
        return occasion in self.script

    def share(self, occasion: Occasion) -> float:
        return float(occasion in self.script)


class Adversary:
    """Trouble at work in one world."""

    def __init__(self, trouble: Trouble, simulation: Simulation, trace: Trace) -> None:
        self.trouble = trouble
        self._simulation = simulation
        self._trace = trace

    def strikes(self, occasion: Occasion, share: float, lasts_s: float = 0.0) -> bool:
        """Whether it strikes here and now."""
        struck = self._simulation.now_s < self.trouble.until_s and self.trouble.strikes_at(occasion, share)
        if struck:
            self._trace.strike(occasion, lasts_s)
        return struck

    def late_s(self, occasion: Occasion, share: float, limit_s: float) -> float:
        """By how much something is late here."""
        late_s = limit_s * self.trouble.share(occasion)
        return late_s if self.strikes(occasion, share, late_s) else 0.0


class TroubledStore:
    """The store as one handling of one message meets it. ``at``: that handling."""

    def __init__(self, store: Store, adversary: Adversary, simulation: Simulation, trace: Trace, at: Occasion) -> None:
        self._store = store
        self._adversary = adversary
        self._trouble = adversary.trouble
        self._simulation = simulation
        self._trace = trace
        self._at = at

    async def transact(self, participant: str, writes: Sequence[Write]) -> None:
        """Commit, somehow."""
        self._at = replace(self._at, commit=self._at.commit + 1)
        trouble, work = self._trouble, self._at.work
        latency_s = 0.002 * (1 + trouble.share(self._occasion("latency")))
        await sleep(latency_s + self._adversary.late_s(self._occasion("slow"), trouble.slow, trouble.slow_s))
        self._crash("crash before commit")
        if self._strikes("error before commit", trouble.error):
            raise Indefinite("the store could not be reached")
        try:
            await self._store.transact(participant, writes)
        except ConditionFailed:
            self._trace.note(self._at.saga_id, f"{work}: conditions do not hold, nothing is written")
            raise
        self._trace.note(self._at.saga_id, f"{work}: committed")
        await sleep(latency_s / 2)
        self._crash("crash after commit")
        if self._strikes("lost answer", trouble.lost_answer):
            raise Indefinite("the store's answer was lost")

    def _crash(self, kind: str) -> None:
        if self._strikes(kind, self._trouble.crash):
            raise Crashed(kind)

    def _strikes(self, kind: str, share: float) -> bool:
        return self._adversary.strikes(self._occasion(kind), share)

    def _occasion(self, kind: str) -> Occasion:
        return replace(self._at, kind=kind)
