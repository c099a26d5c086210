"""SQS: delivery, redelivery and what is said of queues."""

from __future__ import annotations

import asyncio
import json
import time

import pytest

from tests.contract import pages
from tests.contract.cloud import NOT_BEFORE, Cloud
from tests.contract.pages import behaviour

pytestmark = pytest.mark.asyncio(loop_scope="session")

MIB = 1024 * 1024


@behaviour(pages.SQS_VISIBILITY)
async def test_received_message_is_hidden_until_its_visibility_timeout_is_over(cloud: Cloud) -> None:
    queue = await cloud.queue(VisibilityTimeout="2")
    await cloud.send(queue, "again")
    asked_s = time.monotonic()
    await cloud.receive_one(queue)
    assert await cloud.receive(queue, wait_s=0) == []
    assert (await cloud.receive_one(queue))["Body"] == "again"
    assert time.monotonic() - asked_s >= 2 * NOT_BEFORE


@behaviour(pages.SQS_METADATA)
async def test_receive_count_says_how_often_a_message_was_received(cloud: Cloud) -> None:
    queue = await cloud.queue()
    await cloud.send(queue, "often")
    received = [await cloud.receive_one(queue, VisibilityTimeout=0) for _ in range(3)]
    assert [message["Attributes"]["ApproximateReceiveCount"] for message in received] == ["1", "2", "3"]


@behaviour(pages.SQS_CHANGE_VISIBILITY)
async def test_visibility_changed_to_zero_makes_a_message_visible_at_once(cloud: Cloud) -> None:
    queue = await cloud.queue()
    await cloud.send(queue, "back")
    poll = await cloud.receive_one(queue)
    await cloud.change_visibility(queue, poll, 0)
    assert (await cloud.receive_one(queue, wait_s=2))["Body"] == "back"


@behaviour(pages.SQS_CHANGE_VISIBILITY)
async def test_visibility_made_longer_keeps_a_message_hidden(cloud: Cloud) -> None:
    queue = await cloud.queue(VisibilityTimeout="1")
    await cloud.send(queue, "later")
    message = await cloud.receive_one(queue)
    await cloud.change_visibility(queue, message, 60)
    assert await cloud.receive(queue, wait_s=2) == []


@behaviour(pages.SQS_DEAD_LETTERS)
async def test_message_received_too_often_goes_to_the_dead_letter_queue(cloud: Cloud) -> None:
    dead = await cloud.queue()
    redrive = {"deadLetterTargetArn": await cloud.queue_arn(dead), "maxReceiveCount": 2}
    queue = await cloud.queue(RedrivePolicy=json.dumps(redrive))
    await cloud.send(queue, "poison")
    for _ in range(2):
        await cloud.receive_one(queue, VisibilityTimeout=0)
    assert await cloud.receive(queue, wait_s=0) == []
    assert (await cloud.receive_one(dead))["Body"] == "poison"


@behaviour(pages.SQS_DEAD_LETTERS)
async def test_dead_letter_keeps_its_id_body_and_attributes(cloud: Cloud) -> None:
    dead = await cloud.queue()
    redrive = {"deadLetterTargetArn": await cloud.queue_arn(dead), "maxReceiveCount": 1}
    queue = await cloud.queue(RedrivePolicy=json.dumps(redrive))
    attributes = {"kind": {"DataType": "String", "StringValue": "order"}}
    sent = await cloud.send(queue, "poison", MessageAttributes=attributes)
    await cloud.receive_one(queue, VisibilityTimeout=0)
    assert await cloud.receive(queue, wait_s=0) == []
    letter = await cloud.receive_one(dead)
    assert (letter["MessageId"], letter["Body"]) == (sent["MessageId"], "poison")
    assert letter["MessageAttributes"] == attributes


@behaviour(pages.SQS_TIMERS)
async def test_delayed_message_is_delivered_when_its_delay_is_over(cloud: Cloud) -> None:
    queue = await cloud.queue()
    sent_s = time.monotonic()
    await cloud.send(queue, "later", DelaySeconds=2)
    assert (await cloud.receive_one(queue))["Body"] == "later"
    assert time.monotonic() - sent_s >= 2 * NOT_BEFORE


@behaviour(pages.SQS_POLLING)
async def test_long_poll_returns_as_soon_as_a_message_comes(cloud: Cloud) -> None:
    queue = await cloud.queue()
    poll = asyncio.create_task(cloud.receive(queue, wait_s=20))
    await asyncio.sleep(0.3)
    assert not poll.done()
    sent_s = time.monotonic()
    await cloud.send(queue, "hello")
    assert [message["Body"] for message in await poll] == ["hello"]
    assert time.monotonic() - sent_s < 10


@behaviour(pages.SQS_POLLING)
async def test_long_poll_of_an_empty_queue_waits_its_time(cloud: Cloud) -> None:
    queue = await cloud.queue()
    asked_s = time.monotonic()
    assert await cloud.receive(queue, wait_s=2) == []
    assert time.monotonic() - asked_s >= 2 * NOT_BEFORE


@behaviour(pages.SQS_VISIBILITY)
async def test_one_message_reaches_one_of_two_parked_polls(cloud: Cloud) -> None:
    queue = await cloud.queue()
    polls = [asyncio.create_task(cloud.receive(queue, wait_s=2)) for _ in range(2)]
    await asyncio.sleep(0.3)
    await cloud.send(queue, "one")
    assert sorted([len(messages) for messages in await asyncio.gather(*polls)]) == [0, 1]


@behaviour(pages.SQS_RECEIVE)
async def test_receive_returns_up_to_ten_messages_and_refuses_to_return_more(cloud: Cloud) -> None:
    queue = await cloud.queue()
    for start in (0, 10):
        await cloud.send_batch(queue, [str(n) for n in range(start, start + 10)])
    assert 1 <= len(await cloud.receive(queue, MaxNumberOfMessages=10)) <= 10
    refusal = await cloud.refusal("sqs", "ReceiveMessage", QueueUrl=queue, MaxNumberOfMessages=11)
    assert refusal == "InvalidParameterValue"


@behaviour(pages.SQS_METADATA)
async def test_message_attributes_arrive_with_their_types(cloud: Cloud) -> None:
    queue = await cloud.queue()
    attributes = {
        "text": {"DataType": "String", "StringValue": "ü"},
        "number": {"DataType": "Number", "StringValue": "12.5"},
        "bytes": {"DataType": "Binary", "BinaryValue": b"\x00\xff"},
    }
    await cloud.send(queue, "body", MessageAttributes=attributes)
    assert (await cloud.receive_one(queue))["MessageAttributes"] == attributes


@pytest.mark.filterwarnings("ignore:Sending a large body:ResourceWarning")  # aiohttp, of more than 1 MiB
@behaviour(pages.SQS_MESSAGE_QUOTAS)
async def test_message_of_1_mib_is_delivered_and_a_longer_one_is_refused(cloud: Cloud) -> None:
    queue = await cloud.queue()
    assert await cloud.refusal("sqs", "SendMessage", QueueUrl=queue, MessageBody="x" * MIB) is None
    assert len((await cloud.receive_one(queue))["Body"]) == MIB
    longer = await cloud.refusal("sqs", "SendMessage", QueueUrl=queue, MessageBody="x" * (MIB + 1))
    assert longer == "InvalidParameterValue"


@behaviour(pages.SQS_SEND_BATCH)
async def test_batch_of_more_than_ten_entries_is_refused(cloud: Cloud) -> None:
    queue = await cloud.queue()
    entries = [{"Id": str(n), "MessageBody": "x"} for n in range(11)]
    refusal = await cloud.refusal("sqs", "SendMessageBatch", QueueUrl=queue, Entries=entries)
    assert refusal == "AWS.SimpleQueueService.TooManyEntriesInBatchRequest"


@pytest.mark.filterwarnings("ignore:Sending a large body:ResourceWarning")  # aiohttp, of more than 1 MiB
@behaviour(pages.SQS_SEND_BATCH)
async def test_batch_of_more_than_1_mib_is_refused(cloud: Cloud) -> None:
    queue = await cloud.queue()
    entries = [{"Id": str(n), "MessageBody": "x" * (MIB // 8 + 1)} for n in range(8)]
    refusal = await cloud.refusal("sqs", "SendMessageBatch", QueueUrl=queue, Entries=entries)
    assert refusal == "AWS.SimpleQueueService.BatchRequestTooLong"


@behaviour(pages.SQS_SEND_BATCH)
async def test_batch_with_an_id_twice_is_refused(cloud: Cloud) -> None:
    queue = await cloud.queue()
    entries = [{"Id": "same", "MessageBody": "x"} for _ in range(2)]
    refusal = await cloud.refusal("sqs", "SendMessageBatch", QueueUrl=queue, Entries=entries)
    assert refusal == "AWS.SimpleQueueService.BatchEntryIdsNotDistinct"


@behaviour(pages.SQS_SEND_BATCH)
async def test_bad_entry_of_a_batch_of_messages_fails_alone(cloud: Cloud) -> None:
    queue = await cloud.queue()
    entries = [{"Id": "good", "MessageBody": "sent"}, {"Id": "bad", "MessageBody": "x", "DelaySeconds": 901}]
    error = await cloud.error("sqs", "SendMessageBatch", QueueUrl=queue, Entries=entries)
    assert error is None
    assert await cloud.take(queue, 1) == ["sent"]


@behaviour(pages.SQS_DELETE)
async def test_deleted_message_is_not_delivered_again(cloud: Cloud) -> None:
    queue = await cloud.queue(VisibilityTimeout="1")
    await cloud.send(queue, "once")
    await cloud.delete(queue, await cloud.receive_one(queue))
    assert await cloud.receive(queue, wait_s=2) == []


@behaviour(pages.SQS_DELETE)
async def test_second_delete_of_a_message_is_no_error(cloud: Cloud) -> None:
    queue = await cloud.queue()
    await cloud.send(queue, "gone")
    message = await cloud.receive_one(queue)
    await cloud.delete(queue, message)
    again = {"QueueUrl": queue, "ReceiptHandle": message["ReceiptHandle"]}
    assert await cloud.refusal("sqs", "DeleteMessage", **again) is None


@behaviour(pages.SQS_DELETE)
async def test_delete_with_the_receipt_of_an_earlier_delivery_is_no_error(cloud: Cloud) -> None:
    queue = await cloud.queue()
    await cloud.send(queue, "twice")
    first = await cloud.receive_one(queue, VisibilityTimeout=0)
    second = await cloud.receive_one(queue)
    assert first["ReceiptHandle"] != second["ReceiptHandle"]
    old = {"QueueUrl": queue, "ReceiptHandle": first["ReceiptHandle"]}
    assert await cloud.refusal("sqs", "DeleteMessage", **old) is None


@behaviour(pages.SQS_DELETE_BATCH)
async def test_bad_entry_of_a_batch_of_deletes_fails_alone(cloud: Cloud) -> None:
    queue = await cloud.queue(VisibilityTimeout="1")
    await cloud.send(queue, "gone")
    receipt = (await cloud.receive_one(queue))["ReceiptHandle"]
    entries = [{"Id": "good", "ReceiptHandle": receipt}, {"Id": "bad", "ReceiptHandle": "no receipt"}]
    answer = await cloud.call("sqs", "DeleteMessageBatch", QueueUrl=queue, Entries=entries)
    assert [entry["Id"] for entry in answer["Successful"]] == ["good"]
    [failed] = answer["Failed"]
    assert (failed["Id"], failed["Code"], failed["SenderFault"]) == ("bad", "ReceiptHandleIsInvalid", True)
    assert await cloud.receive(queue, wait_s=2) == []


@behaviour(pages.SQS_DELETE_BATCH)
async def test_second_delete_in_a_batch_is_no_failure(cloud: Cloud) -> None:
    queue = await cloud.queue()
    await cloud.send(queue, "gone")
    entries = [{"Id": "0", "ReceiptHandle": (await cloud.receive_one(queue))["ReceiptHandle"]}]
    for _ in range(2):
        answer = await cloud.call("sqs", "DeleteMessageBatch", QueueUrl=queue, Entries=entries)
        assert answer.get("Failed", []) == []


@behaviour(pages.SQS_ATTRIBUTES)
async def test_queue_tells_visible_from_in_flight_from_delayed_messages(cloud: Cloud) -> None:
    queue = await cloud.queue()
    await cloud.send_batch(queue, ["0", "1", "2"])
    await cloud.send(queue, "later", DelaySeconds=60)
    await cloud.receive_one(queue)
    assert await cloud.settled(queue, visible=2, in_flight=1, delayed=1)


@behaviour(pages.SQS_ATTRIBUTES)
async def test_queue_is_empty_by_its_own_word_when_all_was_deleted(cloud: Cloud) -> None:
    queue = await cloud.queue()
    await cloud.send_batch(queue, ["0", "1"])
    assert len(await cloud.take(queue, 2)) == 2
    assert await cloud.settled(queue)


@behaviour(pages.SQS_ATTRIBUTES)
async def test_message_whose_visibility_ran_out_counts_as_visible_before_it_is_received(cloud: Cloud) -> None:
    queue = await cloud.queue(VisibilityTimeout="1")
    await cloud.send(queue, "again")
    await cloud.receive_one(queue)
    assert await cloud.settled(queue, visible=1)
