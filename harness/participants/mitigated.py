"""The dispatcher of a run, by its mitigations.

How a step is committed is a dispatcher's matter. What an action itself asks for is data, and is taken out of the data:

- ``semantic-lock=off``: what a :class:`Change` expects of the item. In general that is a lock: a status that only the
  saga's next step may change, as ``PENDING`` of an order or ``CHARGED`` of a journal entry. An expectation with a
  business meaning, a refusal, is taken out with the rest: it is the chapter's own example of such a lock (5.6.2).
- ``idempotency=none``: that nothing is there where a new item goes. An order's own id would else do quietly what the
  record was to do. A place that somebody else may have taken, which is a refusal, is still taken.

What a semantic lock buys: no two works of a shipped saga change an item at the same time, and none of them is handled
twice while there are records. With ``idempotency=transactional`` and tombstones nothing in them depends on it, for
their items are known to no other saga. With ``idempotency=none`` it is what is left: a second refund finds the journal
``REFUNDED`` and commits nothing, until its message is a dead letter; without the lock the money is given back twice.
It stops the same step as well that was committed and whose reply was lost, for it cannot tell who asks.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from harness.core.local_transaction import Change, Insert, LocalTransaction, Write
from harness.core.mitigations import Mitigations
from harness.core.saga import Action, Command, Saga, Step
from harness.participants.dispatcher import Dispatcher
from harness.participants.naive import NaiveDispatcher
from harness.participants.ports import Store
from harness.participants.unrecorded import UnrecordedDispatcher


def dispatcher_for(
    saga: Saga, store: Store, mitigations: Mitigations, now_ns: Callable[[], int] = time.monotonic_ns
) -> Dispatcher:
    """A dispatcher with these mitigations, of those that are a participant's matter."""
    if mitigations.semantic_lock == "off":
        saga = _rewritten(saga, _unlocked)
    tombstones = mitigations.tombstones == "on"
    match mitigations.idempotency:
        case "transactional":
            return Dispatcher(saga, store, now_ns, tombstones=tombstones)
        case "naive":
            return NaiveDispatcher(saga, store, now_ns, tombstones=tombstones)
        case "none":
            return UnrecordedDispatcher(_rewritten(saga, _put), store, now_ns)


def _unlocked(write: Write) -> Write:
    return replace(write, expect={}) if isinstance(write, Change) else write


def _put(write: Write) -> Write:
    return replace(write, unconditional=True) if isinstance(write, Insert) and write.refusal is None else write


def _rewritten(saga: Saga, rewrite: Callable[[Write], Write]) -> Saga:
    """The saga with every write of its actions and compensations rewritten."""

    def of(action: Action) -> Action:
        def rewritten(command: Command) -> LocalTransaction:
            transaction = action(command)
            return replace(transaction, writes=tuple(rewrite(write) for write in transaction.writes))

        return rewritten

    def step(before: Step) -> Step:
        undo = before.compensation
        return replace(before, action=of(before.action), compensation=undo and replace(undo, action=of(undo.action)))

    return replace(
        saga,
        steps=tuple(step(one) for one in saga.steps),
        after_compensation=tuple(step(one) for one in saga.after_compensation),
    )
