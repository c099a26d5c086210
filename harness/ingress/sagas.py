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
    """Bounded: at most ``max_under_way`` sagas that have not ended, and the latest ``max_remembered`` of all."""

    def __init__(self, max_under_way: int = 20_000, max_remembered: int = 200_000) -> None:
        self._max_under_way = max_under_way
        self._max_remembered = max_remembered
        self._entries: OrderedDict[str, Entry] = OrderedDict()
        self.under_way = 0

    def get(self, saga_id: str) -> Entry | None:
        """The saga, if it is remembered."""
        return self._entries.get(saga_id)

    def admit(self, saga_id: str, fingerprint: bytes) -> Entry | None:
        """A new or known saga; ``None`` where there is no room for a new one."""
        entry = self._entries.get(saga_id)
        if entry is None:
            if self.under_way >= self._max_under_way:
                return None
            entry = self._entries[saga_id] = Entry(fingerprint)
            self.under_way += 1
            self._forget_oldest_ended()
        return entry

    def end(self, saga_id: str, outcome: Outcome, reason: str | None) -> None:
        """A saga has ended. The first word counts; a repetition is no news."""
        entry = self._entries.get(saga_id)
        if entry is None or entry.outcome is not None:
            return
        entry.outcome, entry.reason = outcome, reason
        entry.ended.set()
        self.under_way -= 1

    def _forget_oldest_ended(self) -> None:
        while len(self._entries) > self._max_remembered:
            saga_id, oldest = next(iter(self._entries.items()))
            if oldest.outcome is None:
                return
            del self._entries[saga_id]
