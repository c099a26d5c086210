"""The long-poll patch: it fits the source it was written for and no other, and no long poll misses its message."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest

from harness.backends import ministack_launcher as launcher
from tests.backends.conftest import Importer

SQS = """
import asyncio
import threading
import time

esm_wake = threading.Event()
queues = {}

def _get_q(url, action):
    return queues[url]

def _act_send_message(data, qurl):
    q = _get_q(qurl, "sqs:SendMessage")
    q["messages"].append(data)
    esm_wake.set()

async def _act_receive_message(data, qurl):
    url = data.get("QueueUrl", qurl)
    q = _get_q(url, "sqs:ReceiveMessage")
    deadline = time.time() + data["WaitTimeSeconds"]
    while True:
        visible = [m for m in q["messages"] if m["visible_at"] <= time.time()][:data["Max"]]
        for m in visible:
            m["visible_at"] = time.time() + 30
        if visible or time.time() >= deadline:
            return visible
        await asyncio.sleep(min(0.1, max(0.01, deadline - time.time())))

def _act_change_visibility(data, qurl):
    esm_wake.set()

def _dlq_sweep(q):
    esm_wake.set()
"""

EVENTBRIDGE = """
def _dispatch_to_sqs(queue, message):
    queue["messages"].append(message)
    esm_wake.set()
"""


@pytest.fixture
def emulator(imported: Importer) -> tuple[Any, Any]:
    """The sqs and eventbridge modules, sharing one event as MiniStack's do."""
    sqs, eventbridge = imported("sqs", SQS), imported("eventbridge", EVENTBRIDGE)
    eventbridge.esm_wake = sqs.esm_wake
    return sqs, eventbridge


# --- what it is patched into ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "after", "why"),
    [
        ("min(0.1, ", "min(0.5, ", "no longer looks every 100 ms"),
        ("def _dlq_sweep", "async def _other():\n    await asyncio.sleep(1)\ndef _dlq_sweep", "no longer looks"),
        ("q = _get_q(url, ", "queue = q = _get_q(url=url, action=", "holds its queue under another name"),
        ("import asyncio", "import types as asyncio", "not the asyncio module"),
        ("threading.Event()", "threading.Semaphore()", "not a threading.Event"),
        ("esm_wake = ", "wake = ", "there is no esm_wake"),
        ("append(data)\n    esm_wake.set()", "append(data)", "_act_send_message does not announce"),
        ("def _dlq_sweep(q):\n    esm_wake.set()", "def _dlq_sweep(q):\n    pass", "_dlq_sweep does not announce"),
        ("_act_change_visibility", "_act_change", "there is no _act_change_visibility"),
    ],
)
def test_other_long_polls_are_left_as_they_are(imported: Importer, before: str, after: str, why: str) -> None:
    assert before in SQS
    sqs, eventbridge = imported("sqs", SQS.replace(before, after)), imported("eventbridge", EVENTBRIDGE)
    wake = eventbridge.esm_wake = getattr(sqs, "esm_wake", threading.Event())
    names = dict(vars(sqs))
    with pytest.raises(launcher.UnexpectedSource, match=why):
        launcher.remove_long_poll_latency(sqs, eventbridge)
    assert vars(sqs) == names
    assert "set" not in vars(wake)


def test_an_eventbridge_with_an_event_of_its_own_is_left_as_it_is(emulator: tuple[Any, Any]) -> None:
    sqs, eventbridge = emulator
    eventbridge.esm_wake = threading.Event()
    with pytest.raises(launcher.UnexpectedSource, match="EventBridge announces messages in another way"):
        launcher.remove_long_poll_latency(sqs, eventbridge)
    assert sqs.asyncio is asyncio


# --- waking ---------------------------------------------------------------------------------------------------------

FOR_EVER_S = 3600.0
"""As the fallback's delay: a poll that returns was woken."""


class Polls:
    """Long polls on queues, as the emulator's receive makes them, and the messages that wake them."""

    def __init__(self) -> None:
        self.announced = 0
        self.polls = launcher.LongPolls(announce=self._announce)
        self.woken: list[str] = []

    def _announce(self) -> None:
        self.announced += 1

    def park(self, q: dict[str, Any], name: str = "poll", delay_s: float = FOR_EVER_S) -> asyncio.Task[None]:
        async def receive() -> None:
            await self._sleep_beside(q, delay_s)
            self.woken.append(name)

        return asyncio.create_task(receive())

    def _sleep_beside(self, q: dict[str, Any], delay_s: float) -> Awaitable[None]:
        return self.polls.sleep(delay_s)  # which finds `q` in this frame, as it does in the emulator's receive

    def send(self, q: dict[str, Any], visible_in_s: float = 0.0) -> None:
        q["messages"].append({"visible_at": time.time() + visible_in_s})
        self.polls.notify()


def queue() -> dict[str, Any]:
    return {"messages": []}


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def end(*tasks: asyncio.Task[None]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_a_message_wakes_the_poll_on_its_queue_and_no_other() -> None:
    polls, busy, quiet = Polls(), queue(), queue()
    tasks = polls.park(quiet, "quiet"), polls.park(busy, "busy")
    await settle()
    assert polls.woken == []
    polls.send(busy)
    await settle()
    assert polls.woken == ["busy"]
    assert polls.announced == 1
    await end(*tasks)


async def test_as_many_polls_wake_as_there_are_messages_longest_waiting_first() -> None:
    polls, q = Polls(), queue()
    tasks = [polls.park(q, name) for name in ("first", "second", "third")]
    await settle()
    polls.send(q)
    polls.send(q)
    await settle()
    assert polls.woken == ["first", "second"]
    await end(*tasks)


async def test_a_message_from_another_thread_wakes_its_poll() -> None:
    asyncio.get_running_loop().set_debug(True)  # in which a call into the loop from the wrong thread fails
    polls, q = Polls(), queue()
    task = polls.park(q)
    await settle()
    thread = threading.Thread(target=polls.send, args=(q,))
    thread.start()
    await asyncio.wait_for(task, 10)
    thread.join(10)
    assert polls.woken == ["poll"]


async def test_a_message_that_comes_between_look_and_sleep_is_seen_at_once() -> None:
    polls, q = Polls(), queue()
    polls.send(q)  # nobody is parked yet, so this wakes nobody
    await asyncio.wait_for(polls.park(q), 10)


class Messages(list[dict[str, float]]):
    """A queue's messages, with a moment just after they were looked at, in which another thread may do something."""

    afterwards: Callable[[], None] | None = None

    def __iter__(self) -> Iterator[dict[str, float]]:
        yield from super().__iter__()
        afterwards, self.afterwards = self.afterwards, None
        if afterwards is not None:
            afterwards()


async def test_a_message_that_comes_just_after_the_last_look_before_sleep_wakes_the_poll() -> None:
    polls, q = Polls(), {"messages": Messages()}
    q["messages"].afterwards = lambda: polls.send(q)
    await asyncio.wait_for(polls.park(q), 10)


async def test_a_message_that_comes_while_the_loop_looks_elsewhere_wakes_its_poll() -> None:
    polls, first, second = Polls(), queue(), {"messages": Messages()}
    tasks = polls.park(first, "first"), polls.park(second, "second")
    await settle()
    second["messages"].afterwards = lambda: polls.send(first)  # the first queue has been looked at by then
    polls.polls.notify()
    await settle()
    assert polls.woken == ["first"]
    await end(*tasks)


@pytest.mark.parametrize("visible_in_s", [0.02, 0.0])
async def test_a_delay_or_visibility_that_runs_out_wakes_the_poll(visible_in_s: float) -> None:
    polls, q = Polls(), queue()
    q["messages"].append({"visible_at": time.time() + visible_in_s})
    await asyncio.wait_for(polls.park(q), 10)


async def test_without_any_word_the_poll_looks_by_itself_as_before() -> None:
    polls = Polls()
    await asyncio.wait_for(polls.park(queue(), delay_s=0.01), 10)


async def test_messages_that_nobody_may_see_yet_wake_nobody() -> None:
    polls, q = Polls(), queue()
    task = polls.park(q)
    await settle()
    polls.send(q, visible_in_s=100)
    await settle()
    assert polls.woken == []
    await end(task)


async def test_a_poll_that_is_gone_takes_no_other_polls_turn() -> None:
    polls, q = Polls(), queue()
    gone, waiting = polls.park(q, "gone"), polls.park(q, "waiting")
    await settle()
    await end(gone)
    polls.send(q)
    await settle()
    assert polls.woken == ["waiting"]
    await end(waiting)


async def test_nothing_is_kept_of_polls_that_ended() -> None:
    polls, q = Polls(), queue()
    tasks = [polls.park(q) for _ in range(3)]
    await settle()
    await end(*tasks)
    assert polls.polls._lines == {}


async def test_a_caller_without_a_queue_gets_the_plain_sleep() -> None:
    polls = launcher.LongPolls(announce=lambda: None)
    await asyncio.wait_for(asyncio.ensure_future(polls.sleep(0)), 10)
    assert polls._lines == {}


async def test_a_burst_of_messages_is_announced_in_full_and_looked_at_once() -> None:
    class Counting(launcher.LongPolls):
        looks = 0

        def _wake(self) -> None:
            self.looks += 1
            super()._wake()

    polls, q = Polls(), queue()
    polls.polls = counting = Counting(announce=polls._announce)
    task = polls.park(q)
    await settle()
    for _ in range(100):
        polls.send(q)
    await settle()
    assert (counting.looks, polls.announced) == (1, 100)
    await end(task)


async def test_no_message_from_other_threads_is_missed() -> None:
    """The fallback is out of reach, so a single wake-up that is lost would leave its message there for ever."""
    polls, queues, per_queue, pollers_per_queue = Polls(), [queue() for _ in range(3)], 300, 2
    taken: list[object] = []
    all_taken = asyncio.Event()

    async def consume(q: dict[str, Any]) -> None:
        while True:
            while q["messages"]:
                taken.append(q["messages"].pop())
            if len(taken) == per_queue * len(queues):
                all_taken.set()
            await polls.polls.sleep(FOR_EVER_S)

    def produce(q: dict[str, Any]) -> None:
        for _ in range(per_queue):
            polls.send(q)

    tasks = [asyncio.create_task(consume(q)) for q in queues for _ in range(pollers_per_queue)]
    threads = [threading.Thread(target=produce, args=(q,)) for q in queues]
    switch_interval_s = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        for thread in threads:
            thread.start()
        await asyncio.wait_for(all_taken.wait(), 60)
    finally:
        sys.setswitchinterval(switch_interval_s)
        for thread in threads:
            thread.join(10)
        await end(*tasks)
    assert len(taken) == per_queue * len(queues)


async def test_the_patched_modules_deliver_from_either_producer(emulator: tuple[Any, Any]) -> None:
    sqs, eventbridge = emulator
    launcher.remove_long_poll_latency(sqs, eventbridge)
    q = sqs.queues["q"] = queue()
    producers: list[Callable[[dict[str, float]], None]] = [
        lambda message: sqs._act_send_message(message, "q"),
        lambda message: eventbridge._dispatch_to_sqs(q, message),
    ]
    for send in producers:
        message = {"visible_at": time.time()}
        poll = asyncio.create_task(sqs._act_receive_message({"WaitTimeSeconds": 20, "Max": 10}, "q"))
        await settle()
        send(message)
        await settle()
        assert poll.done()  # woken: nothing here has waited for the fallback's 100 ms
        assert poll.result() == [message]
