"""``idempotency=naive``: as in section 5.3.4 of the chapter, the id of what is handled first, and then the business logic.

Two writes, and a step is safe only if nothing happens between them. After a crash there, or where the second write
fails, the redelivery finds the id and is skipped: the effect is lost for good. A duplicate that comes between them is
skipped as well, and answers before anything was done. The id says nothing of how the step ended: whoever finds it
answers that it is done, even of a step that was refused; and so a compensation undoes whatever has an id.
"""

from __future__ import annotations

from harness.core.local_transaction import Require
from harness.core.saga import Command, Work
from harness.participants.dispatcher import RECORDS, Reply, stored
from harness.participants.ports import ConditionFailed
from harness.participants.unrecorded import UnrecordedDispatcher


class NaiveDispatcher(UnrecordedDispatcher):
    """Skips what has an id, and takes everything else without a record of it."""

    async def handle(self, command: Command) -> Reply:
        """See :meth:`Dispatcher.handle`; what is raised after the first write leaves nothing to try again."""
        work = self._works[command.step]
        try:
            await self._store.transact(work.participant, (self._record(work, command, Reply(result="done")),))
        except ConditionFailed as failed:
            return stored(failed.existing[0])  # "already processed. Skipping."; or a tombstone
        return await super().handle(command)

    async def _undo(self, work: Work, command: Command) -> Reply | None:
        assert work.undoes is not None
        step_id = f"{command.saga_id}#{work.undoes}"
        try:
            return await self._act(work, command, Require(RECORDS, step_id, {"result": "done"}))
        except ConditionFailed:
            nothing = Reply(result="nothing-to-undo")
        try:
            await self._store.transact(
                work.participant, (self._entry(work, command, nothing), *self._tombstone(work, step_id))
            )
        except ConditionFailed:
            return None
        return nothing
