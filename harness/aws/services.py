"""The AWS services that sagas use, and one cheap call to each that takes no SDK."""

from __future__ import annotations

from typing import Final

SERVICES: Final = ("sqs", "dynamodb", "stepfunctions", "events")
"""By their boto3 client names, which are localstack-client's as well."""

LISTINGS: Final = {
    "sqs": "AmazonSQS.ListQueues",
    "dynamodb": "DynamoDB_20120810.ListTables",
    "stepfunctions": "AWSStepFunctions.ListStateMachines",
    "events": "AWSEvents.ListEventBuses",
}
"""An operation of each service that every backend answers, asked with an empty object."""

UNCHECKED_SIGNATURE: Final = (
    "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/aws/aws4_request, SignedHeaders=host, Signature=none"
)
"""For DynamoDB Local, which insists on a signature and does not look at it. It names no service: LocalStack goes by that."""


def listing_headers(service: str) -> dict[str, str]:
    """Of the request that asks for the service's listing, to any emulator."""
    return {
        "X-Amz-Target": LISTINGS[service],
        "Content-Type": "application/x-amz-json-1.0",
        "Authorization": UNCHECKED_SIGNATURE,
    }
