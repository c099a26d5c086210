"""What is still under way on the backend: messages in queues, executions that run."""

from __future__ import annotations

from harness.aws.gateway import Gateway

DEAD = "-dead"
"""Ending of a dead-letter queue's name and URL."""
REDRIVEN = "sagastorm-redriven"
"""Attribute of a message that came back from its dead-letter queue: how often it has."""


async def queue_depths(gateway: Gateway, queue_url: str) -> dict[str, int]:
    """Messages that are ``visible``, ``in_flight`` and ``delayed``; by SQS's own word approximate."""
    names = {
        "visible": "ApproximateNumberOfMessages",
        "in_flight": "ApproximateNumberOfMessagesNotVisible",
        "delayed": "ApproximateNumberOfMessagesDelayed",
    }
    response = await gateway.call("sqs", "GetQueueAttributes", QueueUrl=queue_url, AttributeNames=list(names.values()))
    return {state: int(response["Attributes"].get(attribute, 0)) for state, attribute in names.items()}


async def running_executions(gateway: Gateway, state_machine_arn: str) -> int:
    """How many executions are still running, counting at most one page of 1,000."""
    page = await gateway.call(
        "stepfunctions",
        "ListExecutions",
        stateMachineArn=state_machine_arn,
        statusFilter="RUNNING",
        maxResults=1000,
    )
    return len(page["executions"])
