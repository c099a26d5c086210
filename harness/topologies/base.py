"""What a topology is: a compiler from the saga definition to AWS resources, and the way messages then travel."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from math import inf
from typing import Any, Protocol, runtime_checkable

import msgspec

from harness.aws.gateway import Gateway
from harness.core.envelope import Envelope
from harness.core.saga import Outcome, Saga
from harness.core.subject import Subject
from harness.participants.dispatcher import Reply
from harness.topologies.policy import DrawnWaits, RetryPolicy


class CallbackRetry(StrEnum):
    """How the state machine tries a callback task again that has failed.

    ``RETRY``: by the task's own ``Retry``, as on AWS, where each try gets a token of its own. ``REENTER``: the failure
    is caught, and after a computed wait the same state is entered anew; for backends on which ``Retry`` of such a
    task does not do what AWS documents.
    """

    RETRY = "retry"
    REENTER = "reenter"


FOREVER = 99_999_999
"""The most that ``MaxAttempts`` may be."""
OUTCOMES = "outcomes"
"""The subscriber that hears how sagas end: the ingress."""


@dataclass(frozen=True)
class Rule:
    """An EventBridge rule with one target, the queue of ``subscriber``."""

    subscriber: str
    event_types: tuple[str, ...]


@dataclass(frozen=True)
class Blueprint:
    """The AWS resources of one saga in one topology, before any of them exists.

    ``queues`` names the subscribers that have a queue with a dead-letter queue: every participant, and
    :data:`OUTCOMES`. A state machine, where there is one, is compiled once there are queues to name in it.
    """

    queues: tuple[str, ...]
    rules: tuple[Rule, ...]


class Deployed(msgspec.Struct, frozen=True, kw_only=True):
    """The same resources, made: where each of them is."""

    queue_urls: dict[str, str]
    bus: str
    state_machine_arn: str | None = None
    waits: DrawnWaits | None = None
    """What executions are told to wait between tries; none where the state machine has a ``Retry`` for that."""
    resuming_arn: str | None = None
    """The same machine, which can be entered in any state (:mod:`.resume`); where there is a sweeper to ask for it."""


@dataclass(frozen=True)
class Delivery:
    """One message that asks a participant for a step.

    ``retry`` is the number of commands that an orchestrator had sent for the step before this one, ``None`` where
    there is no orchestrator; ``receives`` how often the queue has handed this message out, ``is_copy`` whether the
    message was put there again by a fault. ``expires_s`` is when it becomes somebody else's, by the event loop's clock.
    ``extra`` is the topology's own.
    """

    envelope: Envelope
    participant: str
    step: str
    retry: int | None = None
    receives: int = 1
    is_copy: bool = False
    expires_s: float = inf
    extra: Mapping[str, Any] = field(default_factory=dict)

    @property
    def attempt(self) -> str:
        """``<retry>.<receives>``, as records and fault decisions name it; with a ``c`` for a copy, and ``r<n>`` for
        what the sweeper's n-th repair has led to: it is no longer the attempt that came to nothing."""
        repaired = f"r{self.envelope.repairs}" if self.envelope.repairs else ""
        return f"{self.retry or 0}.{self.receives}{'c' if self.is_copy else ''}{repaired}"

    @property
    def subject(self) -> Subject:
        """On whose behalf the step is taken."""
        envelope = self.envelope
        return Subject(
            envelope.saga_id, envelope.arrival, envelope.scheduled_s, self.participant, self.step, self.attempt
        )


class Connection(Protocol):
    """A topology in use by one process. It may be :class:`Abortable`, :class:`Repairable` and :class:`Replying` as well."""

    async def start(self, envelope: Envelope) -> None:
        """Start a saga. Starting one that was started before is a success and starts nothing."""
        ...

    def read(self, participant: str, body: str, receives: int) -> Delivery:
        """The step that a message asks for. Raises ``msgspec.DecodeError`` or ``KeyError`` for a message that is none."""
        ...

    async def reply(self, delivery: Delivery, reply: Reply) -> None:
        """Tell whoever must know how the step ended. Returns when it is certain that they will."""
        ...


@runtime_checkable
class Abortable(Protocol):
    """Optional: a connection to somebody who carries a saga, and can be told to stop."""

    async def abort(self, saga_id: str, repairs: int = 0) -> None:
        """Stop it where it is, after so many repairs. Nothing is undone; where nothing runs, nothing happens."""
        ...


@runtime_checkable
class Repairable(Protocol):
    """Optional: a connection for which it takes more than another :meth:`Connection.start` to bring a saga on."""

    async def repair(self, envelope: Envelope) -> bool:
        """Go on with a saga that somebody has dropped; ``envelope.repairs`` is which repair this is, the first is 1.

        False: somebody carries it, so it is only slow, and nothing was done.
        """
        ...


@runtime_checkable
class Replying(Protocol):
    """Optional: a connection that says which AWS calls :meth:`Connection.reply` makes, as ``service:Operation``."""

    reply_calls: frozenset[str]


class Topology(Protocol):
    """One file, one topology; its name on the command line is its entry point's."""

    def blueprint(self, saga: Saga) -> Blueprint:
        """The resources that the saga needs."""
        ...

    def state_machine(self, saga: Saga, deployed: Deployed, policy: RetryPolicy) -> dict[str, Any] | None:
        """The state machine in Amazon States Language, if there is one."""
        ...

    def connect(self, gateway: Gateway, saga: Saga, deployed: Deployed) -> Connection:
        """Start using it."""
        ...


def ending_events(saga: Saga) -> dict[str, Outcome]:
    """The events that end a saga, and how it has then ended.

    Where nothing closes a compensated saga, it has ended with the undoing of its first step, or with that step's
    refusal, after which there is nothing to undo.
    """
    endings = {saga.steps[-1].succeeded: Outcome.COMPLETED}
    first = saga.steps[0]
    if saga.after_compensation:
        compensated = [saga.after_compensation[-1].succeeded]
    else:
        compensated = [first.compensation.succeeded] if first.compensation else []
        compensated += [first.refused] if first.refused else []
    return endings | dict.fromkeys(compensated, Outcome.COMPENSATED)


def outcome_rule(saga: Saga) -> Rule:
    """How the ingress hears of endings: the same in every topology."""
    return Rule(OUTCOMES, tuple(ending_events(saga)))


def event_source(saga: Saga) -> str:
    """The ``source`` of a saga's events."""
    return f"sagastorm.{saga.name}"
