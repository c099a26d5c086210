"""EventBridge: which events reach which queues, and what is said of those that do not."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from tests.contract import pages
from tests.contract.cloud import Cloud, Json
from tests.contract.pages import behaviour

pytestmark = pytest.mark.asyncio(loop_scope="session")

SOURCE = "sagastorm.contract"
KIB = 1024
TARGETS = 5
"""As many as a rule may have."""
PUTS = 60


def entry(bus: str, type_: str = "OrderCreated", **more: Any) -> Json:
    return {"EventBusName": bus, "Source": SOURCE, "DetailType": type_, "Detail": '{"n": 1}'} | more


def of_type(*types: str) -> Json:
    """The pattern that topologies use."""
    return {"source": [SOURCE], "detail-type": list(types)}


async def types_in(cloud: Cloud, queue: str, count: int) -> list[str]:
    """The types of the events that come, in alphabetical order: in which they come is not promised."""
    return sorted(json.loads(body)["detail-type"] for body in await cloud.take(queue, count))


@behaviour(pages.EVENTS_PATTERNS)
async def test_rule_passes_events_of_its_source_and_types(cloud: Cloud) -> None:
    bus, queue = await cloud.bus(), await cloud.queue()
    await cloud.rule(bus, of_type("OrderCreated", "OrderPaid"), queue)
    await cloud.put_events(entry(bus, "OrderCreated"), entry(bus, "OrderPaid"))
    assert await types_in(cloud, queue, 2) == ["OrderCreated", "OrderPaid"]


@behaviour(pages.EVENTS_PATTERNS)
async def test_rule_lets_no_other_type_and_no_other_source_pass(cloud: Cloud) -> None:
    bus, queue = await cloud.bus(), await cloud.queue()
    await cloud.rule(bus, of_type("OrderCreated"), queue)
    others = [entry(bus, "OrderPaid"), entry(bus, "ordercreated"), entry(bus, Source="sagastorm.other")]
    await cloud.put_events(*others, entry(bus))
    assert await types_in(cloud, queue, 1) == ["OrderCreated"]
    assert await cloud.receive(queue, wait_s=1) == []


@behaviour(pages.EVENTS_RULES)
async def test_event_reaches_the_queue_of_every_rule_that_it_matches(cloud: Cloud) -> None:
    bus = await cloud.bus()
    queues = [await cloud.queue() for _ in range(3)]
    for queue, types in zip(queues, (("A",), ("A", "B"), ("B",)), strict=True):
        await cloud.rule(bus, of_type(*types), queue)
    await cloud.put_events(entry(bus, "A"), entry(bus, "B"))
    counts = (1, 2, 1)
    received = await asyncio.gather(*(types_in(cloud, *each) for each in zip(queues, counts, strict=True)))
    assert received == [["A"], ["A", "B"], ["B"]]


@behaviour(pages.EVENTS_RULES)
async def test_event_stays_on_the_bus_that_it_was_put_on(cloud: Cloud) -> None:
    bus, other, queue = await cloud.bus(), await cloud.bus(), await cloud.queue()
    await cloud.rule(bus, of_type("OrderCreated"), queue)
    await cloud.put_events(entry(other))
    assert await cloud.receive(queue, wait_s=1) == []


@behaviour(pages.EVENTS_STRUCTURE)
async def test_delivered_event_holds_what_was_put_and_the_id_that_was_answered(cloud: Cloud) -> None:
    bus, queue = await cloud.bus(), await cloud.queue()
    await cloud.rule(bus, of_type("OrderCreated"), queue)
    answer = await cloud.put_events(entry(bus, Detail='{"order": {"amount": 5, "name": "ü"}}'))
    event = json.loads((await cloud.receive_one(queue))["Body"])
    assert event["detail"] == {"order": {"amount": 5, "name": "ü"}}
    assert (event["source"], event["detail-type"], event["version"]) == (SOURCE, "OrderCreated", "0")
    assert event["id"] == answer["Entries"][0]["EventId"]
    assert {"account", "time", "region", "resources"} <= event.keys()


@behaviour(pages.EVENTS_PUT)
async def test_put_of_more_than_ten_events_is_refused(cloud: Cloud) -> None:
    bus = await cloud.bus()
    assert await cloud.refusal("events", "PutEvents", Entries=[entry(bus)] * 11) == "ValidationException"
    assert (await cloud.put_events(*[entry(bus)] * 10))["FailedEntryCount"] == 0


@pytest.mark.filterwarnings("ignore:Sending a large body:ResourceWarning")  # aiohttp, of more than 1 MiB
@behaviour(pages.EVENTS_PUT)
async def test_put_of_more_than_1_mib_is_refused(cloud: Cloud) -> None:
    bus = await cloud.bus()
    entries = [entry(bus, Detail=json.dumps({"filler": "x" * 300 * KIB}))] * 4
    assert await cloud.refusal("events", "PutEvents", Entries=entries) is not None


@behaviour(pages.EVENTS_PUT_RESULT)
async def test_detail_that_is_not_json_fails_as_malformed(cloud: Cloud) -> None:
    bus = await cloud.bus()
    answer = await cloud.put_events(entry(bus, Detail="not JSON"))
    assert answer["FailedEntryCount"] == 1
    assert answer["Entries"][0]["ErrorCode"] == "MalformedDetail"


@behaviour(pages.EVENTS_PUT)
async def test_bad_event_of_a_put_fails_alone_and_in_its_place(cloud: Cloud) -> None:
    bus, queue = await cloud.bus(), await cloud.queue()
    await cloud.rule(bus, {"source": [SOURCE]}, queue)
    without_type = {key: value for key, value in entry(bus).items() if key != "DetailType"}
    answer = await cloud.put_events(entry(bus, "A"), without_type, entry(bus, "B"))
    assert answer["FailedEntryCount"] == 1
    assert ["ErrorCode" in result for result in answer["Entries"]] == [False, True, False]
    assert answer["Entries"][1]["ErrorCode"] == "InvalidArgument"
    assert await types_in(cloud, queue, 2) == ["A", "B"]


@behaviour(pages.EVENTS_RULES)
async def test_event_waits_in_a_queue_that_nobody_reads(cloud: Cloud) -> None:
    bus, queue = await cloud.bus(), await cloud.queue()
    await cloud.rule(bus, of_type("OrderCreated"), queue)
    await cloud.put_events(entry(bus))
    assert await cloud.settled(queue, visible=1)


@behaviour(pages.EVENTS_RULES)
async def test_event_that_no_target_hears_is_accepted_and_spares_the_others(cloud: Cloud) -> None:
    bus, queue = await cloud.bus(), await cloud.queue()
    await cloud.rule(bus, of_type("Unheard"))
    await cloud.rule(bus, of_type("Heard"), queue)
    answer = await cloud.put_events(entry(bus, "Unmatched"), entry(bus, "Unheard"), entry(bus, "Heard"))
    assert answer["FailedEntryCount"] == 0
    assert await types_in(cloud, queue, 1) == ["Heard"]


@behaviour(pages.EVENTS_MONITORING)
async def test_put_is_answered_before_its_events_are_delivered(cloud: Cloud) -> None:
    """That it need not wait for delivery; one put of many that did not is the proof.

    Each event has five queues to go to, so a backend that delivers afterwards has much to do when it is asked.
    """
    bus = await cloud.bus()
    queues = [await cloud.queue() for _ in range(TARGETS)]
    await cloud.rule(bus, of_type("OrderCreated"), *queues)
    was_early = False
    for put in range(1, PUTS + 1):
        await cloud.put_events(*[entry(bus)] * 10)
        depths = await asyncio.gather(*(cloud.depths(queue) for queue in queues))
        was_early = sum(sum(depth.values()) for depth in depths) < put * 10 * TARGETS
        if was_early:
            break
    assert was_early


@behaviour(pages.EVENTS_RULES)
async def test_every_event_of_many_arrives_in_whatever_order(cloud: Cloud) -> None:
    bus, queue = await cloud.bus(), await cloud.queue()
    await cloud.rule(bus, of_type(*(f"T{n:02}" for n in range(50))), queue)
    types = [f"T{n:02}" for n in range(50)]
    await asyncio.gather(
        *(cloud.put_events(*(entry(bus, type_) for type_ in types[start : start + 10])) for start in range(0, 50, 10))
    )
    assert await types_in(cloud, queue, 50) == types
