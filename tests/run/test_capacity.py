"""What the backend carries: ends in a window after the ramp, by the calls of a saga and nothing else."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from typing import Any

import pytest
from botocore.exceptions import ClientError

from harness.core.errors import EnvironmentFailure
from harness.run import bare
from harness.run.capacity import UNDER_WAY, read_capacity
from tests.fake_gateway import aws_error
from tests.virtual_time import in_virtual_time

STEPS = 3
HOLD_S = 0.05
"""What the fake backend takes to hand out an execution's command, one after another; an event takes it half as long."""


class FakeBackend:
    """All four clients at once, with queues, rules and executions that go on when their token comes back.

    All executions share one thread, and so do the steps of all choreographed sagas.
    """

    def __init__(self, *, answers: bool = True, failing: str | None = None, hold_s: float = HOLD_S) -> None:
        self.calls: Counter[str] = Counter()
        self.polls = self.most_under_way = 0
        self._answers = answers
        self._failing = failing
        self._hold_s = hold_s
        self._queues: dict[str, asyncio.Queue[dict[str, Any]]] = {}
        self._rules: dict[str, str] = {}
        self._machine = asyncio.Lock()
        self._tokens: dict[str, asyncio.Event] = {}
        self._definition: dict[str, Any] = {}
        self._executions: set[asyncio.Task[None]] = set()
        self.stopped: list[str] = []

    def __getitem__(self, service: str) -> FakeBackend:
        return self

    def __getattr__(self, operation: str) -> Any:
        async def call(**parameters: Any) -> dict[str, Any]:
            self.calls[operation] += 1
            if operation == self._failing:
                raise aws_error("ValidationException")
            handler = getattr(type(self), f"do_{operation}", None)
            return (await handler(self, **parameters)) or {} if handler else {}

        return call

    @property
    def running(self) -> list[asyncio.Task[None]]:
        return [task for task in self._executions if not task.done()]

    async def do_create_queue(self, QueueName: str) -> dict[str, str]:
        self._queues[QueueName] = asyncio.Queue()
        return {"QueueUrl": QueueName}

    async def do_get_queue_attributes(self, QueueUrl: str, **_: Any) -> dict[str, Any]:
        return {"Attributes": {"QueueArn": QueueUrl}}

    async def do_put_rule(self, Name: str, EventPattern: str, **_: Any) -> None:
        pattern = json.loads(EventPattern)
        assert pattern["source"] == [bare.SOURCE]
        self._rules[Name] = pattern["detail-type"][0]

    async def do_put_targets(self, Rule: str, Targets: list[dict[str, str]], **_: Any) -> None:
        self._rules[self._rules.pop(Rule)] = Targets[0]["Arn"]

    async def do_create_state_machine(self, definition: str, **_: Any) -> dict[str, str]:
        self._definition = json.loads(definition)
        return {"stateMachineArn": "machine"}

    async def do_put_events(self, Entries: list[dict[str, str]]) -> None:
        for entry in Entries:
            self._queues[self._rules[entry["DetailType"]]].put_nowait({"detail": json.loads(entry["Detail"])})

    async def do_start_execution(self, **_: Any) -> None:
        self._executions.add(asyncio.create_task(self._execute()))
        self.most_under_way = max(self.most_under_way, len(self.running))

    async def _execute(self) -> None:
        state: dict[str, Any] | None = self._definition["States"][self._definition["StartAt"]]
        while state:
            if state["Resource"].endswith("waitForTaskToken"):
                token = f"token-{len(self._tokens)}"
                self._tokens[token] = asyncio.Event()
                async with self._machine:
                    await asyncio.sleep(self._hold_s)
                self._queues[state["Parameters"]["QueueUrl"]].put_nowait({"token": token})
                await self._tokens[token].wait()
            else:
                [entry] = state["Parameters"]["Entries"]
                await self.do_put_events([{**entry, "Detail": "{}"}])
            state = self._definition["States"].get(state.get("Next"))

    async def do_send_task_success(self, taskToken: str, **_: Any) -> None:
        if self._answers:
            self._tokens[taskToken].set()

    async def do_receive_message(self, QueueUrl: str, WaitTimeSeconds: int, **_: Any) -> dict[str, Any]:
        self.polls += 1
        try:
            body = await asyncio.wait_for(self._queues[QueueUrl].get(), WaitTimeSeconds)
        except TimeoutError:
            return {}
        finally:
            self.polls -= 1
        # What a choreographed step takes: the fake's queues would be as fast as the test's machine.
        await asyncio.sleep(self._hold_s / 2 if "detail" in body else 0)
        return {"Messages": [{"Body": json.dumps(body), "ReceiptHandle": "r"}]}

    async def do_list_executions(self, statusFilter: str, **_: Any) -> dict[str, Any]:
        assert statusFilter == "RUNNING"
        return {"executions": [{"executionArn": task.get_name()} for task in self.running]}

    async def do_stop_execution(self, executionArn: str) -> None:
        self.stopped.append(executionArn)
        for task in self.running:
            if task.get_name() == executionArn:
                task.cancel()


def read(backend: FakeBackend) -> dict[str, float]:
    return in_virtual_time(read_capacity(backend, "ns-capacity", STEPS))  # type: ignore[arg-type]


def test_capacity_is_what_ends_in_a_second_and_not_what_ends_in_the_ramp() -> None:
    capacity = read(FakeBackend())
    assert capacity["orchestrated"] == pytest.approx(1 / (HOLD_S * STEPS), rel=0.1)
    assert capacity["choreographed"] == pytest.approx(1 / (HOLD_S / 2 * STEPS), rel=0.1)


def test_backend_too_slow_for_a_window_is_measured_by_what_has_ended_in_the_time_there_is() -> None:
    backend = FakeBackend(hold_s=0.5)
    assert 0.3 < read(backend)["orchestrated"] <= 1 / (0.5 * STEPS)
    assert backend.calls["start_execution"] < 2 * UNDER_WAY + UNDER_WAY


def test_saga_has_a_transaction_for_each_step_and_as_many_callbacks_or_events() -> None:
    backend = FakeBackend()
    read(backend)
    executions = backend.calls["start_execution"]
    choreographed = backend.calls["put_events"] / (STEPS + 1)
    assert backend.calls["send_task_success"] == STEPS * executions
    assert backend.calls["transact_write_items"] == STEPS * (executions + choreographed)


def test_no_more_than_so_many_sagas_are_under_way_and_none_is_left() -> None:
    backend = FakeBackend()
    read(backend)
    # One that has told its end may still be in its last state.
    assert UNDER_WAY <= backend.most_under_way <= UNDER_WAY + 1
    assert (backend.running, backend.polls, backend.stopped) == ([], 0, [])


def test_everything_that_was_made_is_deleted() -> None:
    backend = FakeBackend()
    read(backend)
    made = {call.removeprefix("create_"): n for call, n in backend.calls.items() if call.startswith("create_")}
    gone = {call.removeprefix("delete_"): n for call, n in backend.calls.items() if call.startswith("delete_")}
    assert made | {"rule": 2} == {kind: gone[kind] for kind in (*made, "rule")}
    assert made["queue"] == backend.calls["remove_targets"] == 2


def test_backend_that_loses_the_answers_is_an_environment_failure_and_is_left_clean() -> None:
    backend = FakeBackend(answers=False)
    with pytest.raises(EnvironmentFailure, match="did not carry a single saga"):
        read(backend)
    assert len(backend.stopped) == UNDER_WAY
    assert backend.calls["delete_state_machine"] == backend.calls["delete_table"] == 1
    assert backend.polls == 0


@pytest.mark.parametrize("failing", ["transact_write_items", "receive_message", "create_table", "put_events"])
def test_what_the_backend_refuses_is_told_at_once_and_it_is_left_clean(failing: str) -> None:
    backend = FakeBackend(failing=failing)
    with pytest.raises(ClientError):
        read(backend)
    assert backend.calls["delete_queue"] == 2
