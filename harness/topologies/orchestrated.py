"""Orchestration: a Standard state machine sends each step to its participant's queue and waits for the callback.

Refusals and unknown outcomes before the pivot are caught into the compensations, in reverse order; after the pivot,
and within compensations, there are only retries. Amazon States Language: https://states-language.net/spec.html;
callback tasks: AWS Step Functions Developer Guide, "Wait for a callback with the task token".
"""

from __future__ import annotations

from typing import Any

import msgspec
from botocore.exceptions import ClientError

from harness.aws.gateway import Gateway
from harness.core.envelope import Envelope
from harness.core.saga import Outcome, Saga, Step
from harness.participants.dispatcher import Reply
from harness.topologies.base import (
    FOREVER,
    OUTCOMES,
    Blueprint,
    Delivery,
    Deployed,
    ending_events,
    event_source,
    outcome_rule,
)
from harness.topologies.policy import RetryPolicy
from harness.topologies.resume import last_state, resumption

REFUSED = "Refused"
"""The error name of a business refusal: definite, so it is caught and never retried."""
SETTLED = frozenset({"TaskDoesNotExist", "TaskTimedOut", "InvalidToken"})
"""Answers to a callback that comes late or twice. Whichever it is, the state machine waits for it no longer."""
NOT_RUNNING = frozenset({"ExecutionDoesNotExist", "ValidationException"})
"""Answers to whoever would stop an execution that there is not, or one that has ended."""
_ENDS = ("PublishCompleted", "Completed", "PublishCompensated", "Compensated")


class Orchestrated:
    """See the module."""

    def blueprint(self, saga: Saga) -> Blueprint:
        """A queue of commands for each participant; the one rule is for the ingress."""
        return Blueprint((*saga.participants, OUTCOMES), (outcome_rule(saga),))

    def state_machine(self, saga: Saga, deployed: Deployed, policy: RetryPolicy) -> dict[str, Any]:
        """The states in the order in which a saga meets them: forward, back, and the two ends."""
        return {
            "Comment": f"The saga {saga.name}, compiled by sagastorm{_nearest(policy)}",
            "StartAt": _state(saga.steps[0].name),
            "States": _Compiler(saga, deployed, policy).states(),
        }

    def connect(self, gateway: Gateway, saga: Saga, deployed: Deployed) -> _Connection:
        """Start executions, read commands, answer with callbacks."""
        return _Connection(gateway, deployed)


TOPOLOGY = Orchestrated()


class _Compiler:
    def __init__(self, saga: Saga, deployed: Deployed, policy: RetryPolicy) -> None:
        self._saga = saga
        self._deployed = deployed
        self._policy = policy

    def states(self) -> dict[str, Any]:
        saga = self._saga
        _refuse_collisions(saga)
        undoable = [step for step in saga.steps if step.compensation]
        states: dict[str, Any] = {}
        for index, step in enumerate(saga.steps):
            following = saga.steps[index + 1].name if index + 1 < len(saga.steps) else None
            states[_state(step.name)] = self._forward(
                index, step, _state(following) if following else "PublishCompleted"
            )
        for index in reversed(range(len(undoable))):
            undo = undoable[index].compensation
            assert undo is not None
            states[_state(undo.name)] = self._certain(
                undoable[index].participant, undo.name, f"Undoes {undoable[index].name}", self._undo_from(index - 1)
            )
        for index, step in enumerate(saga.after_compensation):
            following = saga.after_compensation[index + 1].name if index + 1 < len(saga.after_compensation) else None
            states[_state(step.name)] = self._certain(
                step.participant,
                step.name,
                "Ends a compensated saga",
                _state(following) if following else "PublishCompensated",
            )
        return states | self._ends(can_be_compensated=bool(undoable))

    def _forward(self, index: int, step: Step, following: str) -> dict[str, Any]:
        if step.compensation is None:
            return self._certain(step.participant, step.name, f"{step.kind}: only forward from here", following)
        return self._task(step.participant, step.name, f"{step.kind}") | {
            "Retry": [
                {"ErrorEquals": [REFUSED], "MaxAttempts": 0},
                self._retrier(self._policy.max_tries - 1 if self._policy.max_tries else FOREVER),
            ],
            "Catch": [
                {"ErrorEquals": [REFUSED], "ResultPath": "$.failure", "Next": self._undo_from(index - 1)},
                {"ErrorEquals": ["States.ALL"], "ResultPath": "$.failure", "Next": self._undo_from(index)},
            ],
            "Next": following,
        }

    def _certain(self, participant: str, work: str, comment: str, following: str) -> dict[str, Any]:
        """A task that never gives up."""
        return self._task(participant, work, comment) | {"Retry": [self._retrier(FOREVER)], "Next": following}

    def _task(self, participant: str, work: str, comment: str) -> dict[str, Any]:
        return {
            "Type": "Task",
            "Comment": comment,
            "Resource": "arn:aws:states:::sqs:sendMessage.waitForTaskToken",
            "Parameters": {
                "QueueUrl": self._deployed.queue_urls[participant],
                "MessageBody": {
                    "step": work,
                    "retry.$": "$$.State.RetryCount",
                    "token.$": "$$.Task.Token",
                    "envelope.$": "$.envelope",
                },
            },
            **self._limit(),
            "ResultPath": None,
        }

    def _limit(self) -> dict[str, Any]:
        """How long a task may take; without it, AWS waits for 99,999,999 s."""
        return {"TimeoutSeconds": self._policy.step_timeout_s} if self._policy.step_timeout_s else {}

    def _retrier(self, retries: int) -> dict[str, Any]:
        policy = self._policy
        return {
            "ErrorEquals": ["States.ALL"],
            "IntervalSeconds": policy.interval_s,
            "BackoffRate": policy.backoff_rate if policy.backoff == "exponential" else 1.0,
            "MaxDelaySeconds": policy.max_delay_s,
            # No backoff is an interval of 0, which must be at least 1 here: with full jitter it comes nearest.
            "JitterStrategy": "NONE" if policy.jitter == "none" and policy.backoff != "none" else "FULL",
            "MaxAttempts": retries,
        }

    def _undo_from(self, index: int) -> str:
        """The state that compensates step ``index`` and, after it, those before; past the first, the closing steps."""
        if index >= 0 and (undo := self._saga.steps[index].compensation):
            return _state(undo.name)
        return _state(self._saga.after_compensation[0].name) if self._saga.after_compensation else "PublishCompensated"

    def _ends(self, *, can_be_compensated: bool) -> dict[str, Any]:
        events = {outcome: event for event, outcome in reversed(ending_events(self._saga).items())}
        states = {
            "PublishCompleted": self._publish(events[Outcome.COMPLETED], {}, "Completed"),
            "Completed": {"Type": "Succeed"},
        }
        if can_be_compensated:
            states["PublishCompensated"] = self._publish(
                events[Outcome.COMPENSATED], {"failure.$": "$.failure"}, "Compensated"
            )
            states["Compensated"] = {
                "Type": "Fail",
                "Error": "SagaCompensated",
                "Cause": "The saga was undone; its failure is in the input of this state.",
            }
        return states

    def _publish(self, event: str, more: dict[str, Any], following: str) -> dict[str, Any]:
        return {
            "Type": "Task",
            "Comment": "Tells the ingress, the way every topology does",
            "Resource": "arn:aws:states:::events:putEvents",
            "Parameters": {
                "Entries": [
                    {
                        "EventBusName": self._deployed.bus,
                        "Source": event_source(self._saga),
                        "DetailType": event,
                        "Detail": {"envelope.$": "$.envelope"} | more,
                    }
                ]
            },
            **self._limit(),
            "ResultPath": None,
            "Retry": [self._retrier(FOREVER)],
            "Next": following,
        }


def _nearest(policy: RetryPolicy) -> str:
    """What a ``Retry`` cannot say of the policy."""
    if policy.backoff == "none":
        return "; Retry waits for at least a second, with full jitter at most so long"
    if policy.jitter in ("equal", "decorrelated"):
        return f"; Retry has no {policy.jitter} jitter, full jitter comes nearest"
    return ""


def _state(work: str) -> str:
    """``charge`` is the state ``Charge``."""
    return "".join(part.capitalize() for part in work.replace("_", "-").split("-"))


def _refuse_collisions(saga: Saga) -> None:
    """States stand in one table: of two with one name, the first would vanish without a word."""
    states = [*_ENDS, *map(_state, saga.works())]
    if twice := sorted({state for state in states if states.count(state) > 1}):
        raise ValueError(f"saga {saga.name}: several names become one state: {', '.join(twice)}")


class _Message(msgspec.Struct, frozen=True):
    step: str
    retry: int
    token: str
    envelope: Envelope


class _Input(msgspec.Struct, frozen=True, omit_defaults=True):
    envelope: Envelope
    waits_s: list[int] = []


class _Connection:
    reply_calls = frozenset({"stepfunctions:SendTaskFailure", "stepfunctions:SendTaskSuccess"})

    def __init__(self, gateway: Gateway, deployed: Deployed) -> None:
        self._gateway = gateway
        self._deployed = deployed
        self._decoder = msgspec.json.Decoder(_Message)

    async def start(self, envelope: Envelope) -> None:
        """The execution's name is the saga id, so a second start finds the first."""
        waits_s = self._deployed.waits.of(envelope.arrival) if self._deployed.waits else []
        await self._execute(self._deployed.state_machine_arn, envelope.saga_id, _Input(envelope, waits_s))

    def read(self, participant: str, body: str, receives: int) -> Delivery:
        """A command carries the step, the number of retries before it, and the token to answer with."""
        message = self._decoder.decode(body)
        return Delivery(
            message.envelope, participant, message.step, message.retry, receives, extra={"token": message.token}
        )

    async def reply(self, delivery: Delivery, reply: Reply) -> None:
        """SendTaskFailure for a refusal, else SendTaskSuccess."""
        token = delivery.extra["token"]
        try:
            if reply.result in ("refused", "tombstoned"):
                await self._gateway.call(
                    "stepfunctions", "SendTaskFailure", taskToken=token, error=REFUSED, cause=reply.reason or ""
                )
            else:
                output = msgspec.json.encode({"result": reply.result, **reply.data}).decode()
                await self._gateway.call("stepfunctions", "SendTaskSuccess", taskToken=token, output=output)
        except ClientError as error:
            if error.response["Error"]["Code"] not in SETTLED:
                raise

    async def abort(self, saga_id: str, repairs: int = 0) -> None:
        """StopExecution, of all that the saga has had: only the last of them can be running."""
        for number in range(repairs + 1):
            try:
                await self._gateway.call(
                    "stepfunctions", "StopExecution", executionArn=self._execution(saga_id, number), error="Aborted"
                )
            except ClientError as error:
                if error.response["Error"]["Code"] not in NOT_RUNNING:
                    raise

    async def repair(self, envelope: Envelope) -> bool:
        """Go on where the saga's latest execution broke off; one that runs is only slow, and is left alone."""
        for number in reversed(range(envelope.repairs)):
            latest = self._execution(envelope.saga_id, number)
            status = await self._status(latest)
            if status == "RUNNING":
                return False
            if status is not None:
                state, data = await last_state(self._gateway, latest)
                name = f"{envelope.saga_id}-r{envelope.repairs}"
                await self._execute(self._deployed.resuming_arn, name, resumption(state, data, envelope.repairs))
                return True
        # Whoever accepted it did not come to start it. Should he still do so, he finds that it was.
        await self.start(envelope)
        return True

    def _execution(self, saga_id: str, repairs: int) -> str:
        """The ARN of the execution that a repair has started, of the saga's first one before any repair."""
        machine = (self._deployed.resuming_arn if repairs else self._deployed.state_machine_arn) or ""
        name = f"{saga_id}-r{repairs}" if repairs else saga_id
        return f"{machine.replace(':stateMachine:', ':execution:', 1)}:{name}"

    async def _execute(self, machine: str | None, name: str, data: object) -> None:
        try:
            await self._gateway.call(
                "stepfunctions",
                "StartExecution",
                stateMachineArn=machine,
                name=name,
                input=msgspec.json.encode(data).decode(),
            )
        except ClientError as error:
            if error.response["Error"]["Code"] != "ExecutionAlreadyExists":
                raise

    async def _status(self, execution: str) -> str | None:
        try:
            described = await self._gateway.call("stepfunctions", "DescribeExecution", executionArn=execution)
        except ClientError as error:
            if error.response["Error"]["Code"] != "ExecutionDoesNotExist":
                raise
            return None
        return str(described["status"])
