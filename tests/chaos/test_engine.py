"""When a fault strikes, whom it strikes, and what is remembered of it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from chaos.engine import COLLATERAL, decides
from chaos.injector import Port, Strike
from harness.core.errors import Indefinite
from harness.core.subject import SUBJECTS, Subject
from harness.participants.dispatcher import Reply
from harness.topologies.base import Delivery
from harness.worker.ports import Received
from tests.chaos.scripted import DONE, Rig, ScriptedFault, ScriptedInjector, subject, work_on
from tests.samples import delivery, envelope

CALL = "dynamodb:TransactWriteItems"


def http_request(
    operation: str = "TransactWriteItems", attempt: str = "attempt=1; max=3", *, coded: bool = False
) -> Any:
    """What the SDK gives to its transport; headers are text or bytes."""
    headers = {"X-Amz-Target": f"DynamoDB_20120810.{operation}", "amz-sdk-request": attempt}
    return SimpleNamespace(headers={name: text.encode() if coded else text for name, text in headers.items()})


async def nowhere(body: str, delay_s: int) -> None:
    raise AssertionError("nobody asked for a message")


async def process(rig: Rig, delivered: Delivery, connection: Any = None) -> int:
    """How often the message was processed."""
    processed: list[Received] = []

    async def remember(received: Received) -> None:
        processed.append(received)

    await rig.engine.wrap_process(remember, connection)(Received(delivered, "body", nowhere))
    return len(processed)


async def send(rig: Rig, request: Any, *subjects: Subject, service: str = "dynamodb") -> Any:
    async def real_send(given: Any) -> str:
        assert given is request
        return "answer"

    SUBJECTS.set(subjects)
    return await rig.engine.wrap_transport(service, 1.0, real_send)(request)


async def test_strike_at_work_is_recorded_and_counted_and_the_injector_decides_what_happens(tmp_path: Path) -> None:
    injector = ScriptedInjector(Port.WORK)
    with Rig(tmp_path, ScriptedFault(injector)) as rig:
        rig.now_s = 2.5
        assert await work_on(rig, delivery("charge", receives=2)) is DONE
    [row] = rig.struck()
    assert (row.fault, row.saga_id, row.arrival, row.participant) == ("scripted", "saga-7", 7, "payment")
    assert (row.step, row.attempt, row.t_s, row.worker) == ("charge", "0.2", 2.5, "w")
    assert len(injector.strikes) == rig.counted() == 1


async def test_strike_at_a_message_is_told_the_message(tmp_path: Path) -> None:
    injector = ScriptedInjector(Port.PROCESS)
    with Rig(tmp_path, ScriptedFault(injector)) as rig:
        assert await process(rig, delivery("charge")) == 1
    [strike] = injector.strikes
    assert strike.received is not None
    assert strike.received.delivery == delivery("charge", envelope=strike.received.delivery.envelope)


async def reply_to(rig: Rig, delivered: Delivery) -> list[Reply]:
    """The replies that were given."""
    given: list[Reply] = []

    async def answer(delivered: Delivery, reply: Reply) -> None:
        given.append(reply)

    await rig.engine.wrap_reply(answer)(delivered, DONE)
    return given


async def test_strike_at_a_reply_is_recorded_and_the_injector_decides_whether_it_is_given(tmp_path: Path) -> None:
    spares, loses = (ScriptedInjector(Port.REPLY, loses=loses) for loses in (False, True))
    faults = [ScriptedFault(spares, "spares", step="charge"), ScriptedFault(loses, "loses", step="refund")]
    with Rig(tmp_path, *faults) as rig:
        assert await reply_to(rig, delivery("charge")) == [DONE]
        assert await reply_to(rig, delivery("refund")) == []
        assert await reply_to(rig, delivery("reserve")) == [DONE]
    assert [(row.fault, row.step) for row in rig.struck()] == [("spares", "charge"), ("loses", "refund")]


@pytest.mark.parametrize("port", [Port.PROCESS, Port.WORK, Port.REPLY])
async def test_injector_is_told_the_step_and_a_number_of_its_own_for_this_attempt(port: Port, tmp_path: Path) -> None:
    injector = ScriptedInjector(port)
    connection = object()
    attempts = [delivery("charge", receives=receives) for receives in (1, 2, 1)]
    with Rig(tmp_path, ScriptedFault(injector)) as rig:
        for attempt in attempts:
            await process(rig, attempt, connection)
            await work_on(rig, attempt)
            await reply_to(rig, attempt)
    assert [strike.delivery for strike in injector.strikes] == attempts
    first, second, again = (strike.draw for strike in injector.strikes)
    assert first == again != second
    assert all(0 <= draw < 1 for draw in (first, second))
    if port is Port.PROCESS:
        assert [strike.connection for strike in injector.strikes] == [connection] * 3


async def test_share_of_sagas_is_struck_on_all_attempts_or_on_none(tmp_path: Path) -> None:
    with Rig(tmp_path, ScriptedFault(ScriptedInjector(Port.WORK), sagas=0.2)) as rig:
        for arrival in range(200):
            for step in ("charge", "refund"):
                for receives in (1, 2):
                    await work_on(rig, delivery(step, receives=receives, envelope=envelope(arrival=arrival)))
    times = Counter(row.arrival for row in rig.struck())
    assert set(times.values()) == {4}
    assert 25 < len(times) < 55


async def test_of_a_share_of_sagas_each_attempt_is_struck_with_the_probability(tmp_path: Path) -> None:
    fault = ScriptedFault(ScriptedInjector(Port.WORK), sagas=0.5, probability=0.5)
    with Rig(tmp_path, fault) as rig:
        for arrival in range(400):
            for receives in (1, 2):
                await work_on(rig, delivery("charge", receives=receives, envelope=envelope(arrival=arrival)))
    times = Counter(Counter(row.arrival for row in rig.struck()).values())
    assert 60 < times[1] < 140, "a quarter of the sagas are struck once"
    assert 25 < times[2] < 75, "and an eighth twice"


async def test_injector_that_watches_is_told_of_all_that_was_handled_to_its_end(tmp_path: Path) -> None:
    class Watching(ScriptedInjector):
        def handled(self, delivery: Delivery) -> None:
            told.append(delivery.step)

    told: list[str] = []
    with Rig(tmp_path, ScriptedFault(Watching(Port.PROCESS), step="charge")) as rig:
        for step in ("charge", "refund"):
            await process(rig, delivery(step))
        await process(rig, delivery("reserve", is_copy=True))

        async def fail(received: Received) -> None:
            raise Indefinite("not handled")

        with pytest.raises(Indefinite):
            await rig.engine.wrap_process(fail, None)(Received(delivery("approve"), "body", nowhere))
    assert told == ["charge", "refund", "reserve"]


@pytest.mark.parametrize("applies", [True, False])
async def test_fault_strikes_only_in_a_topology_to_which_it_applies(applies: bool, tmp_path: Path) -> None:
    class Picky(ScriptedInjector):
        def applies_to(self, connection: object) -> bool:
            return connection == "this one"

    with Rig(tmp_path, ScriptedFault(Picky(Port.PROCESS))) as rig:
        assert await process(rig, delivery("charge"), "this one" if applies else "another") == 1
    assert len(rig.struck()) == applies


async def test_copy_that_a_fault_has_made_is_never_struck_again(tmp_path: Path) -> None:
    injector = ScriptedInjector(Port.PROCESS)
    with Rig(tmp_path, ScriptedFault(injector)) as rig:
        assert await process(rig, delivery("charge", is_copy=True)) == 1
    assert injector.strikes == []
    assert rig.struck() == []


@pytest.mark.parametrize(
    ("fault", "hit"),
    [
        ({}, True),
        ({"participant": "payment"}, True),
        ({"participant": "order"}, False),
        ({"step": "charge"}, True),
        ({"step": "refund"}, False),
        ({"participant": "payment", "step": "refund"}, False),
        ({"probability": 0.0}, False),
    ],
)
async def test_only_the_target_is_struck(fault: dict[str, Any], hit: bool, tmp_path: Path) -> None:
    injector = ScriptedInjector(Port.WORK)
    with Rig(tmp_path, ScriptedFault(injector, **fault)) as rig:
        assert await work_on(rig, delivery("charge")) is DONE
    assert len(injector.strikes) == len(rig.struck()) == int(hit)


@pytest.mark.parametrize(("scheduled_s", "hit"), [(0.9, False), (1.0, True), (1.9, True), (2.0, False)])
async def test_window_of_a_fault_on_sagas_is_about_when_they_were_due(
    scheduled_s: float, hit: bool, tmp_path: Path
) -> None:
    with Rig(tmp_path, ScriptedFault(ScriptedInjector(Port.WORK), start_s=1, end_s=2)) as rig:
        for rig.now_s in (0.0, 1.5, 99.0):
            await work_on(rig, delivery("charge", envelope=envelope(scheduled_s=scheduled_s)))
    assert len(rig.struck()) == 3 * hit


@pytest.mark.parametrize(("now_s", "hit"), [(0.9, False), (1.0, True), (1.9, True), (2.0, False), (-1.0, False)])
async def test_window_of_a_fault_on_a_resource_is_about_the_clock(now_s: float, hit: bool, tmp_path: Path) -> None:
    with Rig(tmp_path, ScriptedFault(ScriptedInjector(Port.WORK, by_arrival=False), start_s=1, end_s=2)) as rig:
        rig.now_s = now_s
        for scheduled_s in (0.0, 1.5, 99.0):
            await work_on(rig, delivery("charge", envelope=envelope(scheduled_s=scheduled_s)))
    assert len(rig.struck()) == 3 * hit


@pytest.mark.parametrize("by_arrival", [True, False])
async def test_nothing_strikes_once_the_faults_are_lifted(by_arrival: bool, tmp_path: Path) -> None:
    faults = [ScriptedFault(ScriptedInjector(port, by_arrival=by_arrival), call=CALL) for port in Port]
    with Rig(tmp_path, *faults) as rig:
        rig.storm_on = False
        assert await work_on(rig, delivery("charge")) is DONE
        assert await process(rig, delivery("charge")) == 1
        assert await send(rig, http_request(), subject()) == "answer"
    assert rig.struck() == []


async def test_fault_that_strikes_some_sagas_spares_none_of_them_for_being_slow(tmp_path: Path) -> None:
    fault = ScriptedFault(ScriptedInjector(Port.PROCESS, by_arrival=True), probability=0.5)
    arrivals = range(40)
    with Rig(tmp_path, fault) as rig:
        rig.storm_on = False
        for arrival in arrivals:
            await process(rig, delivery("charge", envelope=envelope(arrival=arrival)))
    assert [row.arrival for row in rig.struck()] == [n for n in arrivals if decides(1, fault, n, "charge", "0.1")] != []


async def test_fault_on_every_attempt_that_lets_sagas_end_is_not_lifted(tmp_path: Path) -> None:
    class Mild(ScriptedInjector):
        passes = True

    harsh, mild = ScriptedInjector(Port.WORK), Mild(Port.WORK)
    with Rig(tmp_path, ScriptedFault(harsh, "harsh"), ScriptedFault(mild, "mild")) as rig:
        rig.storm_on = False
        await work_on(rig, delivery("charge"))
    assert [row.fault for row in rig.struck()] == ["mild"]


async def test_request_is_struck_where_its_call_is_the_target(tmp_path: Path) -> None:
    injector = ScriptedInjector(Port.TRANSPORT, loses=True)
    with Rig(tmp_path, ScriptedFault(injector, call=CALL)) as rig:
        assert await send(rig, http_request(), subject()) == "lost"
        assert await send(rig, http_request("GetItem"), subject()) == "answer"
        assert await send(rig, http_request(), subject(), service="events") == "answer"
        assert await send(rig, http_request()) == "answer", "on nobody's behalf there is nobody to strike"
    [row] = rig.struck()
    assert (row.detail, row.attempt) == (CALL, "0.1.1")
    assert [(strike.read_timeout_s, strike.call) for strike in injector.strikes] == [(1.0, CALL)]


@pytest.mark.parametrize("coded", [False, True], ids=["text", "bytes"])
async def test_every_try_of_the_sdk_is_an_attempt_of_its_own(coded: bool, tmp_path: Path) -> None:
    with Rig(tmp_path, ScriptedFault(ScriptedInjector(Port.TRANSPORT), call=CALL)) as rig:
        for attempt in ("attempt=1", "ttl=20260101T000000Z; attempt=2; max=3", "attempt=3; max=3"):
            await send(rig, http_request(attempt=attempt, coded=coded), subject())
    assert [row.attempt for row in rig.struck()] == ["0.1.1", "0.1.2", "0.1.3"]


async def test_batched_request_is_struck_if_any_entry_is_and_the_others_are_recorded_as_bystanders(
    tmp_path: Path,
) -> None:
    injector = ScriptedInjector(Port.TRANSPORT, loses=True)
    with Rig(tmp_path, ScriptedFault(injector, call=CALL, step="reserve")) as rig:
        spared, hit = subject(1, step="charge"), subject(2, step="reserve")
        assert await send(rig, http_request(), spared, hit, subject(3, step="approve")) == "lost"
        assert await send(rig, http_request(), spared, spared) == "answer"
    assert [(row.arrival, str(row.detail).startswith(COLLATERAL)) for row in rig.struck()] == [
        (1, True), (2, False), (3, True),
    ]  # fmt: skip
    assert len(injector.strikes) == 1


async def test_batch_is_struck_exactly_where_one_of_its_entries_would_be_alone(tmp_path: Path) -> None:
    fault = ScriptedFault(ScriptedInjector(Port.TRANSPORT, loses=True), call=CALL, probability=0.1)
    batches = [[subject(10 * batch + entry) for entry in range(10)] for batch in range(30)]
    with Rig(tmp_path, fault) as rig:
        answers = [await send(rig, http_request(), *batch) for batch in batches]
    unlucky = [[one.arrival for one in batch if decides(1, fault, one.arrival, "charge", "0.1.1")] for batch in batches]
    assert [answer == "lost" for answer in answers] == [bool(arrivals) for arrivals in unlucky]
    chosen = [row.arrival for row in rig.struck() if not str(row.detail).startswith(COLLATERAL)]
    assert chosen == [arrival for arrivals in unlucky for arrival in arrivals]
    assert set(answers) == {"lost", "answer"}, "with such a probability some batches are struck and some are not"


async def test_of_two_faults_on_one_request_the_one_that_strikes_does(tmp_path: Path) -> None:
    spares = ScriptedFault(ScriptedInjector(Port.TRANSPORT), "spares", call=CALL, probability=0)
    loses = ScriptedFault(ScriptedInjector(Port.TRANSPORT, loses=True), "loses", call=CALL)
    with Rig(tmp_path, spares, loses) as rig:
        assert await send(rig, http_request(), subject()) == "lost"
    assert [row.fault for row in rig.struck()] == ["loses"]


async def test_fault_that_would_change_nothing_is_no_strike(tmp_path: Path) -> None:
    class Toothless(ScriptedInjector):
        def bites(self, strike: Strike) -> bool:
            return False

    injector = Toothless(Port.WORK)
    with Rig(tmp_path, ScriptedFault(injector)) as rig:
        assert await work_on(rig, delivery("charge")) is DONE
    assert injector.strikes == []
    assert rig.struck() == []
