"""What a participant needs from outside: somewhere to commit, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from harness.core.local_transaction import Write


class ConditionFailed(Exception):
    """A local transaction was cancelled whole because conditions did not hold.

    ``existing`` maps the index of each write whose condition failed to the item that stood in its way, ``None`` where
    there was none.
    """

    def __init__(self, existing: Mapping[int, Mapping[str, object] | None]) -> None:
        self.existing = existing
        super().__init__(f"conditions failed at {sorted(existing)}")


class Store(Protocol):
    """The tables of the participants."""

    async def transact(self, participant: str, writes: Sequence[Write]) -> None:
        """Commit all of ``writes`` or none of them.

        Raises :class:`ConditionFailed` where a condition does not hold (definite: nothing was written) and
        :class:`~harness.core.errors.Indefinite` where only another try can tell.
        """
        ...
