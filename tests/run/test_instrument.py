"""The backend's own hop times: from sending to having, with a receiver that was waiting, and nothing else in them."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from harness.core.errors import EnvironmentFailure
from harness.run import instrument
from harness.run.instrument import read_instrument


class Clock:
    """Stands in for the module's ``time``: it moves only when a fake says that something took a while."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def perf_counter(self) -> float:
        return self.now_s

    process_time = perf_counter


class FakeBackend:
    """All four clients at once: a queue that hands a message to whoever waits, 2 ms after it was sent."""

    def __init__(self, clock: Clock, *, delivers: bool = True) -> None:
        self.calls: list[str] = []
        self._clock = clock
        self._delivers = delivers
        self._messages: asyncio.Queue[dict[str, str]] = asyncio.Queue()

    def __getitem__(self, service: str) -> FakeBackend:
        return self

    def __getattr__(self, operation: str) -> Any:
        async def call(**parameters: Any) -> dict[str, Any]:
            self.calls.append(operation)
            return {"QueueUrl": "q", "Attributes": {"QueueArn": "arn"}, "stateMachineArn": "machine"}

        return call

    async def get_queue_attributes(self, AttributeNames: list[str], **parameters: Any) -> dict[str, Any]:
        if AttributeNames != ["QueueArn"]:
            self._clock.now_s += 0.005
        return {"Attributes": {"QueueArn": "arn"}}

    async def send_message(self, **parameters: Any) -> None:
        self.calls.append("send")
        self._clock.now_s += 0.002
        if self._delivers:
            self._messages.put_nowait({"ReceiptHandle": "r"})

    async def put_events(self, **parameters: Any) -> None:
        await self.send_message()

    async def start_execution(self, **parameters: Any) -> None:
        await self.send_message()

    async def receive_message(self, **parameters: Any) -> dict[str, Any]:
        self.calls.append("receive")
        return {"Messages": [await self._messages.get()]} if self._delivers else {}

    async def delete_message_batch(self, **parameters: Any) -> None:
        self.calls.append("delete")
        self._clock.now_s += 1.0


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(instrument, "time", clock)
    monkeypatch.setattr(instrument, "PARKED_S", 0)
    return clock


async def test_hop_ends_when_the_waiting_receiver_has_the_message_and_not_when_it_is_deleted(clock: Clock) -> None:
    backend = FakeBackend(clock)
    read = await read_instrument(backend, "ns")  # type: ignore[arg-type]
    assert read.hops["queue"].p50_ms == read.hops["bus_to_queue"].p95_ms == 2.0
    first = backend.calls.index("receive")
    assert backend.calls[first : first + 3] == ["receive", "send", "delete"]


async def test_idle_call_is_timed_as_it_is_later_under_load(clock: Clock) -> None:
    backend = FakeBackend(clock)
    read = await read_instrument(backend, "ns")  # type: ignore[arg-type]
    assert read.idle_call is not None
    assert (read.idle_call.p50_ms, read.idle_call.samples) == (5.0, instrument.SAMPLES)


async def test_what_was_made_for_the_probe_is_deleted_again(clock: Clock) -> None:
    backend = FakeBackend(clock)
    await read_instrument(backend, "ns")  # type: ignore[arg-type]
    made = [call.removeprefix("create_") for call in backend.calls if call.startswith("create_")]
    deleted = [call.removeprefix("delete_") for call in backend.calls if call.startswith("delete_")]
    assert sorted([*made, "rule"]) == sorted(deleted)


async def test_backend_that_delivers_nothing_is_an_environment_failure(clock: Clock) -> None:
    with pytest.raises(EnvironmentFailure, match="did not deliver"):
        await read_instrument(FakeBackend(clock, delivers=False), "ns")  # type: ignore[arg-type]
