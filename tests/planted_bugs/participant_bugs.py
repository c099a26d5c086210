"""Bugs of participants: how they commit, what they undo, what they keep books of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from harness.core.errors import Indefinite
from harness.core.local_transaction import Add, Item, LocalTransaction, Write
from harness.core.saga import Action, Command, Work
from harness.participants.dispatcher import LEDGER, Dispatcher, Reply
from harness.participants.ports import ConditionFailed, Store
from tests.planted_bugs.planted import BITTEN, PlantedBug, fired, handled, with_result
from tests.world.trouble import Trouble
from tests.world.world import Parts, Plan, World


class _BuggyDispatcher(Dispatcher):
    def __init__(self, world: World, store: Store) -> None:
        super().__init__(world.plan.saga, store, world.simulation.now_ns)
        self.world = world

    def bite(self) -> None:
        self.world.fired[BITTEN] += 1


def _dispatcher(kind: Callable[[World, Store], Dispatcher]) -> Callable[[Parts], Parts]:
    return lambda parts: replace(parts, dispatcher=kind)


class _WithoutIdempotency(_BuggyDispatcher):
    """A step that was handled before is handled again."""

    async def _act(self, work: Work, command: Command) -> Reply:
        reply = await super()._act(work, command)
        if reply.replayed and reply.result == "done":
            transaction = work.action(command)
            _, entry = self._bookkeeping(work, command, reply, transaction.movements())
            try:
                await self._store.transact(work.participant, (entry, *transaction.writes))
                self.bite()
            except ConditionFailed:
                pass  # orders, journal and outbox take an id only once; stock has no such protection
        return reply


class _CheckThenAct(_BuggyDispatcher):
    """Idempotency as in section 5.3.4 of the source chapter: the key in one write, the business logic in another."""

    async def _act(self, work: Work, command: Command) -> Reply:
        transaction = work.action(command)
        done = Reply(result="done", data=dict(transaction.reply))
        record, entry = self._bookkeeping(work, command, done, transaction.movements())
        try:
            await self._store.transact(work.participant, (record,))
        except ConditionFailed:
            if not self._was_done(work, command):
                self.bite()
            return Reply(result="done", data=done.data, replayed=True)  # "already processed. Skipping."
        try:
            await self._store.transact(work.participant, (entry, *transaction.writes))
        except ConditionFailed as failed:
            raise Indefinite(work.name) from failed
        return done

    def _was_done(self, work: Work, command: Command) -> bool:
        ledger = self.world.store.table(work.participant, LEDGER).values()
        return any(entry["saga_id"] == command.saga_id and entry["step"] == work.name for entry in ledger)


def _forgets(step: str) -> Callable[[Parts], Parts]:
    class Forgets(_BuggyDispatcher):
        """Says that it is done, and does nothing."""

        async def handle(self, command: Command) -> Reply:
            if command.step != step:
                return await super().handle(command)
            self.bite()
            return Reply(result="done")

    return _dispatcher(Forgets)


class _RefundsAgain(_BuggyDispatcher):
    """Every delivery of the refund gives the money back."""

    async def _undo(self, work: Work, command: Command) -> Reply | None:
        reply = await super()._undo(work, command)
        if reply is not None and reply.replayed and reply.result == "done" and work.name == "refund":
            transaction = work.action(command)
            _, entry = self._bookkeeping(work, command, reply, transaction.movements())
            refund = [write for write in transaction.writes if isinstance(write, Add)]
            await self._store.transact(work.participant, (entry, *refund))
            self.bite()
        return reply


def _refunds(given_back: Callable[[Add], tuple[Add, ...]]) -> Callable[[Parts], Parts]:
    """Another amount is given back. The ledger is told of it as the table is: the books balance."""

    def wrong(refund: Action) -> Action:
        def action(command: Command) -> LocalTransaction:
            transaction = refund(command)
            writes: list[Write] = []
            for write in transaction.writes:
                writes.extend(given_back(write) if isinstance(write, Add) else [write])
            return replace(transaction, writes=tuple(writes))

        return action

    class Refunds(_BuggyDispatcher):
        async def _undo(self, work: Work, command: Command) -> Reply | None:
            if work.name != "refund":
                return await super()._undo(work, command)
            reply = await super()._undo(replace(work, action=wrong(work.action)), command)
            if reply is not None and reply.result == "done" and not reply.replayed:
                self.bite()
            return reply

    return _dispatcher(Refunds)


class _WithoutTombstone(_BuggyDispatcher):
    """A compensation that comes before its step finds nothing to undo, and leaves nothing to stop the late step."""

    async def _nothing_to_undo(self, work: Work, command: Command, step_id: str, step: Item | None) -> Reply | None:
        if step is not None:
            return await super()._nothing_to_undo(work, command, step_id, step)
        nothing = Reply(result="nothing-to-undo")
        try:
            await self._store.transact(work.participant, self._bookkeeping(work, command, nothing))
        except ConditionFailed:
            return nothing
        self.bite()
        return nothing


class _ReleasesBlindly(_BuggyDispatcher):
    """Stock is given back without asking whether it was ever taken."""

    async def _undo(self, work: Work, command: Command) -> Reply | None:
        if work.name != "release":
            return await super()._undo(work, command)
        before = self.world.store.table(work.participant, LEDGER).values()
        taken = any(entry["saga_id"] == command.saga_id and entry["step"] == "reserve" for entry in before)
        reply = await super()._act(work, command)
        if not taken:
            self.bite()
        return reply


class _TakesOneCentMore:
    """The balance is changed by more than the books say."""

    def __init__(self, world: World, store: Store) -> None:
        self._world = world
        self._store = store

    async def transact(self, participant: str, writes: Sequence[Write]) -> None:
        wrong = [_one_cent_more(write) for write in writes]
        await self._store.transact(participant, wrong)
        self._world.fired[BITTEN] += wrong != list(writes)


def _one_cent_more(write: Write) -> Write:
    if isinstance(write, Add) and write.table == "balances" and write.amount < 0:
        return replace(write, amount=write.amount - 1)
    return write


_DUPLICATES = Plan(trouble=Trouble(duplicate=0.3))
_CRASHES = Plan(trouble=Trouble(crash=0.1), cannot_pay_share=0.0, out_of_stock_share=0.0)
_LATE = Plan(trouble=Trouble(delay=0.3, delay_s=30.0))

PARTICIPANT_BUGS = (
    PlantedBug(
        "idempotency-off",
        frozenset({"effect-twice"}),
        _dispatcher(_WithoutIdempotency),
        occasions=fired("replayed"),
        plan=_DUPLICATES,
    ),
    PlantedBug(
        "check-then-act",
        # What was skipped is missing from the ledger, and so are the order or the journal from their tables.
        frozenset({"effect-missing", "split-ending"}),
        _dispatcher(_CheckThenAct),
        occasions=fired("crash before commit"),
        plan=_CRASHES,
    ),
    PlantedBug(
        "refund-forgotten",
        frozenset({"compensation-missing", "split-ending"}),
        _forgets("refund"),
        occasions=handled("refund"),
    ),
    PlantedBug(
        "refund-twice",
        frozenset({"compensation-twice"}),
        _dispatcher(_RefundsAgain),
        occasions=lambda world: sum(row.step == "refund" and row.replayed for row in world.step_rows),
        plan=_DUPLICATES,
    ),
    PlantedBug(
        "refunds-half",
        frozenset({"compensation-amount"}),
        _refunds(lambda refund: (replace(refund, amount=refund.amount // 2),)),
        occasions=handled("refund"),
    ),
    PlantedBug(
        "refunds-nothing",
        frozenset({"compensation-amount"}),
        _refunds(lambda _: ()),
        occasions=handled("refund"),
    ),
    PlantedBug(
        "cancellation-not-sent",
        frozenset({"effect-missing"}),
        _forgets("cancel"),
        occasions=handled("cancel"),
    ),
    PlantedBug(
        "no-tombstone",
        # The late step stays: its order or its charge is there although the saga was compensated.
        frozenset({"late-step", "compensation-missing", "split-ending"}),
        _dispatcher(_WithoutTombstone),
        occasions=with_result("tombstoned"),
        plan=_LATE,
        topologies=("orchestrated",),
    ),
    PlantedBug(
        "blind-compensation",
        frozenset({"compensation-without-step", "late-step"}),
        _dispatcher(_ReleasesBlindly),
        occasions=handled("release", "nothing-to-undo"),
        plan=_LATE,
        topologies=("orchestrated",),
    ),
    PlantedBug(
        "balance-changed-beside-the-books",
        frozenset({"money-or-stock-mismatch"}),
        lambda parts: replace(parts, store=_TakesOneCentMore),
        occasions=handled("charge"),
    ),
)
