"""Choreography: participants publish events on one bus; rules bring each event to the queues of those who listen.

No component knows the whole: a participant knows which events it listens to, what it does on each, and what it
publishes then. :func:`subscriptions` derives that from the saga definition, which only the compiler sees whole.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from harness.aws.batching import Batcher
from harness.aws.gateway import Gateway
from harness.core.envelope import Envelope
from harness.core.errors import Indefinite
from harness.core.saga import Saga, Work
from harness.participants.dispatcher import Reply
from harness.topologies.base import OUTCOMES, Blueprint, Delivery, Deployed, Rule, event_source, outcome_rule
from harness.topologies.policy import RetryPolicy

PUBLISH_LINGER_S = 0.004
"""How long an event waits for others to share its PutEvents call."""


@dataclass(frozen=True)
class Subscription:
    """On ``event``, ``participant`` does ``work``, and then publishes one of ``publishes``."""

    participant: str
    event: str
    work: str
    publishes: tuple[str, ...]


def subscriptions(saga: Saga) -> tuple[Subscription, ...]:
    """Who listens to what: forward along the steps, back along the compensations, then the closing steps."""
    works = saga.works()
    pairs: list[tuple[str, str]] = [(saga.requested, saga.steps[0].name)]
    for before, step in zip(saga.steps, saga.steps[1:], strict=False):
        pairs.append((before.succeeded, step.name))
    for index, step in enumerate(saga.steps):
        undo_before = _undo_before(saga, index)
        for event in filter(None, (step.refused, step.compensation.succeeded if step.compensation else None)):
            if undo_before:
                pairs.append((event, undo_before))
    for before, step in zip(saga.after_compensation, saga.after_compensation[1:], strict=False):
        pairs.append((before.succeeded, step.name))
    reachable = {event for work in works.values() if work.undoes is None for event in _publishes(work)} | {
        saga.requested
    }
    return tuple(
        Subscription(works[work].participant, event, work, _publishes(works[work]))
        for event, work in _live(pairs, works, reachable)
    )


def _undo_before(saga: Saga, index: int) -> str | None:
    """What undoes the step before ``index``; before the first step, what closes a compensated saga."""
    if index > 0 and (undo := saga.steps[index - 1].compensation):
        return undo.name
    return saga.after_compensation[0].name if saga.after_compensation else None


def _live(pairs: list[tuple[str, str]], works: Mapping[str, Work], published: set[str]) -> list[tuple[str, str]]:
    """Only what can happen: the pivot's own compensation answers an unknown outcome, which no event announces."""
    live: list[tuple[str, str]] = []
    happening = set(published)
    while True:
        found = [pair for pair in pairs if pair[0] in happening]
        if len(found) == len(live):
            return found
        live = found
        happening |= {works[work].succeeded for _, work in live}


def _publishes(work: Work) -> tuple[str, ...]:
    return tuple(filter(None, (work.succeeded, work.refused)))


class Choreographed:
    """See the module."""

    def blueprint(self, saga: Saga) -> Blueprint:
        """A queue for each participant, and a rule for each that listens."""
        heard: dict[str, list[str]] = {participant: [] for participant in saga.participants}
        for subscription in subscriptions(saga):
            heard[subscription.participant].append(subscription.event)
        # EventBridge refuses a pattern with an empty list, so whoever hears nothing has no rule.
        rules = [Rule(participant, tuple(dict.fromkeys(events))) for participant, events in heard.items() if events]
        return Blueprint((*saga.participants, OUTCOMES), (*rules, outcome_rule(saga)))

    def state_machine(self, saga: Saga, deployed: Deployed, policy: RetryPolicy) -> None:
        """There is none."""
        return

    def connect(self, gateway: Gateway, saga: Saga, deployed: Deployed) -> _Connection:
        """Publish events and read them."""
        return _Connection(gateway, saga, deployed)


TOPOLOGY = Choreographed()


class _Detail(msgspec.Struct, frozen=True, omit_defaults=True):
    envelope: Envelope
    failure: dict[str, Any] | None = None
    """Why the saga is being undone, from the refusal on."""


class _Event(msgspec.Struct, frozen=True, rename={"type": "detail-type"}):
    type: str
    detail: _Detail


class _Connection:
    reply_calls = frozenset({"events:PutEvents"})

    def __init__(self, gateway: Gateway, saga: Saga, deployed: Deployed) -> None:
        self._gateway = gateway
        self._saga = saga
        self._bus = deployed.bus
        self._source = event_source(saga)
        self._works = saga.works()
        self._work_on = {(item.participant, item.event): item.work for item in subscriptions(saga)}
        self._decoder = msgspec.json.Decoder(_Event)
        self._publisher: Batcher[dict[str, str]] = Batcher(self._put, PUBLISH_LINGER_S)

    async def start(self, envelope: Envelope) -> None:
        """Ask for the first step. A second start asks again, and the step's idempotency record answers."""
        await self._publish(self._saga.requested, _Detail(envelope))

    def read(self, participant: str, body: str, receives: int) -> Delivery:
        """An event, as EventBridge delivers it."""
        event = self._decoder.decode(body)
        step = self._work_on[participant, event.type]
        return Delivery(
            event.detail.envelope, participant, step, None, receives, extra={"failure": event.detail.failure}
        )

    async def reply(self, delivery: Delivery, reply: Reply) -> None:
        """Publish what happened. A step refused by its tombstone has nothing to say: its undoing has said it."""
        work = self._works[delivery.step]
        failure = delivery.extra["failure"]
        if reply.result == "tombstoned":
            return
        if reply.result == "refused":
            assert work.refused is not None
            await self._publish(
                work.refused, _Detail(delivery.envelope, {"Error": "Refused", "Cause": reply.reason or ""})
            )
        else:
            await self._publish(work.succeeded, _Detail(delivery.envelope, failure))

    async def _publish(self, event: str, detail: _Detail) -> None:
        await self._publisher.add(
            {
                "EventBusName": self._bus,
                "Source": self._source,
                "DetailType": event,
                "Detail": msgspec.json.encode(detail).decode(),
            }
        )

    async def _put(self, entries: list[dict[str, str]]) -> list[BaseException | None]:
        response = await self._gateway.call("events", "PutEvents", Entries=entries)
        if not response.get("FailedEntryCount"):
            return [None] * len(entries)
        return [
            Indefinite(f"events:PutEvents: {result['ErrorCode']}") if result.get("ErrorCode") else None
            for result in response["Entries"]
        ]
