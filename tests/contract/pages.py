"""The pages of AWS's documentation on which the contract stands."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple, TypeVar

Test = TypeVar("Test", bound=Callable[..., object])
_ATTRIBUTE: Final = "aws_page"


class Page(NamedTuple):
    """One page; ``path`` is below https://docs.aws.amazon.com/."""

    title: str
    path: str


def behaviour(page: Page) -> Callable[[Test], Test]:
    """Marks a test of the contract. Its name, without ``test_``, is what a deviation calls it by."""

    def mark(test: Test) -> Test:
        setattr(test, _ATTRIBUTE, page)
        return test

    return mark


def page_of(test: object) -> Page | None:
    """The page that a test was marked with; ``None`` for one that is no part of the contract."""
    return getattr(test, _ATTRIBUTE, None)


_SQS: Final = "AWSSimpleQueueService/latest/"
SQS_VISIBILITY: Final = Page("Amazon SQS visibility timeout", _SQS + "SQSDeveloperGuide/sqs-visibility-timeout.html")
SQS_DEAD_LETTERS: Final = Page(
    "Using dead-letter queues in Amazon SQS", _SQS + "SQSDeveloperGuide/sqs-dead-letter-queues.html"
)
SQS_POLLING: Final = Page(
    "Amazon SQS short and long polling", _SQS + "SQSDeveloperGuide/sqs-short-and-long-polling.html"
)
SQS_TIMERS: Final = Page("Amazon SQS message timers", _SQS + "SQSDeveloperGuide/sqs-message-timers.html")
SQS_METADATA: Final = Page("Message metadata for Amazon SQS", _SQS + "SQSDeveloperGuide/sqs-message-metadata.html")
SQS_MESSAGE_QUOTAS: Final = Page("Amazon SQS message quotas", _SQS + "SQSDeveloperGuide/quotas-messages.html")
SQS_RECEIVE: Final = Page("ReceiveMessage", _SQS + "APIReference/API_ReceiveMessage.html")
SQS_DELETE: Final = Page("DeleteMessage", _SQS + "APIReference/API_DeleteMessage.html")
SQS_DELETE_BATCH: Final = Page("DeleteMessageBatch", _SQS + "APIReference/API_DeleteMessageBatch.html")
SQS_SEND_BATCH: Final = Page("SendMessageBatch", _SQS + "APIReference/API_SendMessageBatch.html")
SQS_CHANGE_VISIBILITY: Final = Page("ChangeMessageVisibility", _SQS + "APIReference/API_ChangeMessageVisibility.html")
SQS_ATTRIBUTES: Final = Page("GetQueueAttributes", _SQS + "APIReference/API_GetQueueAttributes.html")

_DYNAMODB: Final = "amazondynamodb/latest/"
DYNAMODB_PUT: Final = Page("PutItem", _DYNAMODB + "APIReference/API_PutItem.html")
DYNAMODB_UPDATE: Final = Page("UpdateItem", _DYNAMODB + "APIReference/API_UpdateItem.html")
DYNAMODB_TRANSACT: Final = Page("TransactWriteItems", _DYNAMODB + "APIReference/API_TransactWriteItems.html")
DYNAMODB_TRANSACTIONS: Final = Page(
    "Amazon DynamoDB Transactions: How it works", _DYNAMODB + "developerguide/transaction-apis.html"
)
DYNAMODB_CONSISTENCY: Final = Page(
    "DynamoDB read consistency", _DYNAMODB + "developerguide/HowItWorks.ReadConsistency.html"
)
DYNAMODB_SCAN: Final = Page("Scan", _DYNAMODB + "APIReference/API_Scan.html")
DYNAMODB_BATCH: Final = Page("BatchWriteItem", _DYNAMODB + "APIReference/API_BatchWriteItem.html")

_EVENTS: Final = "eventbridge/latest/"
EVENTS_PATTERNS: Final = Page(
    "Creating Amazon EventBridge event patterns", _EVENTS + "userguide/eb-event-patterns.html"
)
EVENTS_STRUCTURE: Final = Page("Event structure reference", _EVENTS + "userguide/eb-events-structure.html")
EVENTS_RULES: Final = Page("Rules in Amazon EventBridge", _EVENTS + "userguide/eb-rules.html")
EVENTS_PUT: Final = Page("PutEvents", _EVENTS + "APIReference/API_PutEvents.html")
EVENTS_PUT_RESULT: Final = Page("PutEventsResultEntry", _EVENTS + "APIReference/API_PutEventsResultEntry.html")
EVENTS_MONITORING: Final = Page("Monitoring Amazon EventBridge", _EVENTS + "userguide/eb-monitoring.html")

_STATES: Final = "step-functions/latest/"
STATES_CALLBACK: Final = Page("Discover service integration patterns", _STATES + "dg/connect-to-resource.html")
STATES_ERRORS: Final = Page("Handling errors in Step Functions workflows", _STATES + "dg/concepts-error-handling.html")
STATES_CONTEXT: Final = Page(
    "Accessing execution data from the Context object", _STATES + "dg/input-output-contextobject.html"
)
STATES_TASK: Final = Page("Task workflow state", _STATES + "dg/state-task.html")
STATES_CHOICE: Final = Page("Choice workflow state", _STATES + "dg/state-choice.html")
STATES_WAIT: Final = Page("Wait workflow state", _STATES + "dg/state-wait.html")
STATES_PASS: Final = Page("Pass workflow state", _STATES + "dg/state-pass.html")
STATES_FAIL: Final = Page("Fail workflow state", _STATES + "dg/state-fail.html")
STATES_PARALLEL: Final = Page("Parallel workflow state", _STATES + "dg/state-parallel.html")
STATES_MAP: Final = Page(
    "Using Map state in Inline mode in Step Functions workflows", _STATES + "dg/state-map-inline.html"
)
STATES_RESULT_PATH: Final = Page(
    "Specifying state output using ResultPath", _STATES + "dg/input-output-resultpath.html"
)
STATES_INTRINSICS: Final = Page("Intrinsic functions for JSONPath states", _STATES + "dg/intrinsic-functions.html")
STATES_STRUCTURE: Final = Page("State machine structure", _STATES + "dg/statemachine-structure.html")
STATES_QUOTAS: Final = Page("Step Functions service quotas", _STATES + "dg/service-quotas.html")
STATES_SQS: Final = Page("Send messages to an Amazon SQS queue", _STATES + "dg/connect-sqs.html")
STATES_EVENTS: Final = Page("Add EventBridge events", _STATES + "dg/connect-eventbridge.html")
STATES_STATUS_EVENTS: Final = Page(
    "Automating Step Functions event delivery with EventBridge", _STATES + "dg/eventbridge-integration.html"
)
STATES_CREATE: Final = Page("CreateStateMachine", _STATES + "apireference/API_CreateStateMachine.html")
STATES_START: Final = Page("StartExecution", _STATES + "apireference/API_StartExecution.html")
STATES_STOP: Final = Page("StopExecution", _STATES + "apireference/API_StopExecution.html")
STATES_LIST: Final = Page("ListExecutions", _STATES + "apireference/API_ListExecutions.html")
STATES_HISTORY: Final = Page("GetExecutionHistory", _STATES + "apireference/API_GetExecutionHistory.html")
STATES_SUCCESS: Final = Page("SendTaskSuccess", _STATES + "apireference/API_SendTaskSuccess.html")
STATES_HEARTBEAT: Final = Page("SendTaskHeartbeat", _STATES + "apireference/API_SendTaskHeartbeat.html")
