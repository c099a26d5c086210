"""The sagas that the ingress has started: which are under way, and how the others ended."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import dataclass, field

from harness.core.saga import Outcome


@dataclass
class Entry:
    """One saga. ``started`` is set once the topology has taken it; ``fingerprint`` is of the request that asked."""

    fingerprint: bytes
    starting: asyncio.Lock = field(default_factory=asyncio.Lock)
    started: bool = False
    outcome: Outcome | None = None
    reason: str | None = None
    ended: asyncio.Event = field(default_factory=asyncio.Event)


class Sagas:
    """Bounded: at most ``max_under_way`` sagas that have not ended, and the latest ``max_remembered`` that have."""

    def __init__(self, max_under_way: int = 20_000, max_remembered: int = 200_000) -> None:
        self._max_under_way = max_under_way
        self._max_remembered = max_remembered
        # Apart, so that one saga that never ends does not keep those that came after it from being forgotten.
        self._under_way: dict[str, Entry] = {}
        self._ended: OrderedDict[str, Entry] = OrderedDict()

    @property
    def under_way(self) -> int:
        """How many have not ended."""
        return len(self._under_way)

    def get(self, saga_id: str) -> Entry | None:
        """The saga, if it is remembered."""
        return self._under_way.get(saga_id) or self._ended.get(saga_id)

    def admit(self, saga_id: str, fingerprint: bytes) -> Entry | None:
        """A new or known saga; ``None`` where there is no room for a new one."""
        entry = self.get(saga_id)
        if entry is None and len(self._under_way) < self._max_under_way:
            entry = self._under_way[saga_id] = Entry(fingerprint)
        return entry

    def forget(self, saga_id: str) -> None:
        """Nobody will ask for this saga: it has not started, and its id was told to no one."""
        self._under_way.pop(saga_id, None)

    def end(self, saga_id: str, outcome: Outcome, reason: str | None) -> None:
        """A saga has ended. The first word counts; a repetition is no news."""
        entry = self._under_way.pop(saga_id, None)
        if entry is None:
            return
        entry.outcome, entry.reason = outcome, reason
        entry.ended.set()
        self._ended[saga_id] = entry
        while len(self._ended) > self._max_remembered:
            self._ended.popitem(last=False)
