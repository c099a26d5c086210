"""``idempotency=none``: no record of what was handled, so every delivery takes its step again.

A compensation cannot know whether its step ran, and acts blindly; for the same reason there can be no tombstones. The
ledger entry is still committed with every effect, so that the auditor sees each of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from harness.core.local_transaction import Insert, Write
from harness.core.saga import Command, Work
from harness.participants.dispatcher import Dispatcher, Reply, meaning
from harness.participants.ports import ConditionFailed


class UnrecordedDispatcher(Dispatcher):
    """Commits each effect with its ledger entry, and nothing else.

    It leaves an action's own conditions as they are; :mod:`harness.participants.mitigated` takes out those that would
    make up for the record.
    """

    async def _act(self, work: Work, command: Command, *guards: Write) -> Reply:
        """Raises :class:`ConditionFailed` where one of ``guards``, which come first, does not hold."""
        transaction = work.action(command)
        done = Reply(result="done", data=dict(transaction.reply))
        writes = (*guards, self._entry(work, command, done, transaction.movements()), *transaction.writes)
        try:
            await self._store.transact(work.participant, writes)
        except ConditionFailed as failed:
            if any(index < len(guards) for index in failed.existing):
                raise
            return await self._refuse(work, command, meaning(work, writes, failed))
        return done

    async def _refuse(self, work: Work, command: Command, reason: str) -> Reply:
        refused = Reply(result="refused", reason=reason)
        await self._store.transact(work.participant, (self._entry(work, command, refused),))
        return refused

    async def _undo(self, work: Work, command: Command) -> Reply | None:
        return await self._act(work, command)

    def _entry(self, work: Work, command: Command, reply: Reply, movements: Mapping[str, int] | None = None) -> Insert:
        # Its id is new each time. Were it conditional, the SDK's own second try of an entry that is written alone, and
        # so has no request token, would find its first.
        return replace(super()._entry(work, command, reply, movements), unconditional=True)
