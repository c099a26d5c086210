"""Commits a participant's local transactions exactly once, however often a step is delivered.

To the writes of an action the dispatcher adds an idempotency record and a ledger entry and commits all of them in one
transaction. When the record is already there, the step was handled before, and the stored reply is given again.

A compensation also requires, in its own transaction, that the step it undoes was committed. Where that step never
ran, the compensation puts a *tombstone* in the place of the step's record: the late step then finds it and is refused.

The record is the outbox as well: it holds the reply, committed with the effect, and each redelivery tells it again. A
table of messages to be sent would need somebody to send them; here the queue does, which keeps the step's own message
until the reply has been told.

This is ``idempotency=transactional``; the other values are :mod:`harness.participants.naive` and
:mod:`harness.participants.unrecorded`, and :mod:`harness.participants.mitigated` chooses. In all of them the ledger
entry is committed with the effect: it is the auditor's evidence, which no mitigation may take away.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any
from uuid import uuid4

import msgspec

from harness.core.errors import Indefinite
from harness.core.local_transaction import Insert, Item, LocalTransaction, Require, Write
from harness.core.saga import Command, Saga, StepKind, Work
from harness.participants.ports import ConditionFailed, Store

RECORDS = "records"
"""Table of a participant's idempotency records and tombstones; id ``<saga id>#<step>``."""
LEDGER = "ledger"
"""Table of what a participant did; one entry for each commit."""

_UNDO_TRIES = 3


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a step. ``result``: ``done``, ``refused``, ``tombstoned`` or ``nothing-to-undo``.

    ``replayed``: the step had been handled before and this is the stored reply.
    """

    result: str
    reason: str | None = None
    data: dict[str, Any] = {}
    replayed: bool = False


class Dispatcher:
    """Handles the commands of one saga's participants.

    Without ``tombstones`` the compensation of a step that never ran leaves nothing in its way: when it comes, it runs.
    """

    def __init__(
        self, saga: Saga, store: Store, now_ns: Callable[[], int] = time.monotonic_ns, *, tombstones: bool = True
    ) -> None:
        self._works = saga.works()
        self._store = store
        self._now_ns = now_ns
        self._tombstones = tombstones

    async def handle(self, command: Command) -> Reply:
        """Take the step, or tell again how it ended.

        Raises ``KeyError`` for a step that the saga does not have, and
        :class:`~harness.core.errors.Indefinite` where the step must be tried again.
        """
        work = self._works[command.step]
        for _ in range(_UNDO_TRIES):
            reply = await (self._act(work, command) if work.undoes is None else self._undo(work, command))
            if reply is not None:
                return reply
        raise Indefinite(f"{command.step}: its step kept changing while it was being undone")

    async def _act(self, work: Work, command: Command) -> Reply:
        transaction = work.action(command)
        done = Reply(result="done", data=dict(transaction.reply))
        record, entry = self._bookkeeping(work, command, done, transaction.movements())
        writes = (record, entry, *transaction.writes)
        try:
            await self._store.transact(work.participant, writes)
        except ConditionFailed as failed:
            if 0 in failed.existing:
                return stored(failed.existing[0])
            return await self._refuse(work, command, meaning(work, writes, failed))
        return done

    async def _refuse(self, work: Work, command: Command, reason: str) -> Reply:
        refused = Reply(result="refused", reason=reason)
        try:
            await self._store.transact(work.participant, self._bookkeeping(work, command, refused))
        except ConditionFailed as failed:
            return stored(failed.existing[0])
        return refused

    async def _undo(self, work: Work, command: Command) -> Reply | None:
        """``None``: the step appeared while its tombstone was being written; look again."""
        assert work.undoes is not None
        step_id = f"{command.saga_id}#{work.undoes}"
        transaction: LocalTransaction = work.action(command)
        done = Reply(result="done", data=dict(transaction.reply))
        record, entry = self._bookkeeping(work, command, done, transaction.movements())
        writes = (record, entry, Require(RECORDS, step_id, {"result": "done"}), *transaction.writes)
        try:
            await self._store.transact(work.participant, writes)
        except ConditionFailed as failed:
            if 0 in failed.existing:
                return stored(failed.existing[0])
            if 2 in failed.existing:
                return await self._nothing_to_undo(work, command, step_id, failed.existing[2])
            meaning(work, writes, failed)
        return done

    async def _nothing_to_undo(self, work: Work, command: Command, step_id: str, step: Item | None) -> Reply | None:
        nothing = Reply(result="nothing-to-undo")
        guard: tuple[Write, ...] = self._tombstone(work, step_id)
        if step is not None:
            guard = (Require(RECORDS, step_id, {"result": step["result"]}),)
        try:
            await self._store.transact(work.participant, (*self._bookkeeping(work, command, nothing), *guard))
        except ConditionFailed as failed:
            return stored(failed.existing[0]) if 0 in failed.existing else None
        return nothing

    def _tombstone(self, work: Work, step_id: str) -> tuple[Insert, ...]:
        """One, or none where they are off."""
        if not self._tombstones:
            return ()
        barred = Reply(result="tombstoned", reason=f"undone by {work.name} before it ran")
        return (Insert(RECORDS, step_id, _stored_as(barred)),)

    def _bookkeeping(
        self, work: Work, command: Command, reply: Reply, movements: Mapping[str, int] | None = None
    ) -> tuple[Insert, Insert]:
        return self._record(work, command, reply), self._entry(work, command, reply, movements)

    def _record(self, work: Work, command: Command, reply: Reply) -> Insert:
        return Insert(RECORDS, f"{command.saga_id}#{work.name}", _stored_as(reply))

    def _entry(self, work: Work, command: Command, reply: Reply, movements: Mapping[str, int] | None = None) -> Insert:
        entry: Item = {
            "saga_id": command.saga_id,
            "step": work.name,
            "result": reply.result,
            "at_ns": self._now_ns(),
            "movements": msgspec.json.encode(movements or {}).decode(),
        }
        return Insert(LEDGER, f"{command.saga_id}#{work.name}#{uuid4().hex}", entry)


def _stored_as(reply: Reply) -> Item:
    return {"result": reply.result, "reply": msgspec.json.encode(reply).decode()}


def stored(record: Item | None) -> Reply:
    """The reply that a record holds."""
    if record is None:
        raise Indefinite("the idempotency record vanished while it was read")
    reply = msgspec.json.decode(str(record["reply"]), type=Reply)
    return msgspec.structs.replace(reply, replayed=True)


def meaning(work: Work, writes: tuple[Write, ...], failed: ConditionFailed) -> str:
    """Why the business refuses; :class:`Indefinite` where a failed condition has no such meaning."""
    reasons = [writes[index].refusal for index in sorted(failed.existing)]
    if work.kind is StepKind.RETRIABLE or work.refused is None or None in reasons:
        where = [f"{writes[index].table}:{writes[index].id}" for index in sorted(failed.existing)]
        raise Indefinite(f"{work.name}: the conditions on {', '.join(where)} do not hold")
    return str(reasons[0])
