"""Where each emulator is known to differ from what AWS documents, and what that means for a result.

``tests/contract/`` holds every line of this against the emulator itself: a behaviour that deviates here must fail there,
and one that fails there must stand here. ``docs/backends.md`` is made from both.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

import msgspec

from harness.history.run_file import Deviation
from harness.topologies.base import CallbackRetry

RETRY_OF_CALLBACKS: Final = frozenset(
    {
        "retried_callback_task_gets_a_new_token",
        "late_success_of_the_first_try_does_not_end_the_second",
        "retried_callback_task_ends_by_its_own_callback",
        "retries_that_are_used_up_lead_to_catch_with_the_last_error",
        "context_counts_the_retries_of_a_state",
    }
)
"""Behaviours without which ``Retry`` cannot be trusted with a callback task: a failed try, or one that timed out, would
decide how a later one ends, or a command would not say which try it is of."""

CHECKED_VERSIONS: Final[Mapping[str, str]] = {"ministack": "1.5.33", "localstack": "4.14.0"}
"""By product, the one version that the contract suite is run on, as its lock pins it. Of others nothing is known."""


def _of(behaviour: str, what: str, consequence: str, *falsifies: str) -> Deviation:
    """One that touches no result."""
    return Deviation(behaviour=behaviour, what=what, consequence=consequence, weakens=False, falsifies=falsifies)


def _weakening(behaviour: str, what: str, consequence: str, *falsifies: str) -> Deviation:
    """One that a report must tell beside its results."""
    return Deviation(behaviour=behaviour, what=what, consequence=consequence, weakens=True, falsifies=falsifies)


_REENTERED: Final = (
    "Orchestrated sagas take longer than on AWS, as a callback task that failed is not retried but entered again: that "
    "is one more state transition a saga, two where it is compensated, and four or five a retry"
)
_REENTERED_MINISTACK: Final = f"{_REENTERED}."
# Both times were measured on LocalStack 4.14.0.
_REENTERED_LOCALSTACK: Final = (
    f"{_REENTERED}; and LocalStack parses the definition anew for every execution, which takes about 50 ms of CPU time "
    "in this form, and 35 ms in that with Retry."
)
_TREATED_ALIKE: Final = "None for a run: workers treat every refusal of a callback alike."
_SMALL: Final = "None for a run of the shipped sagas, whose payloads are about 1 KiB; a saga that outgrows the limit fails on AWS only."
_CHECKED_IN_TESTS: Final = "None for a run: the compiled state machines are validated in the tests."
_NO_HISTORY: Final = "None for a run: of a history only the sweeper reads, and only which state was entered last."

_MINISTACK: Final = (
    _of(
        "second_delete_of_a_message_is_no_error",
        "A message that is gone cannot be deleted again: ReceiptHandleIsInvalid.",
        "None for a run: whoever deletes does not look at how it ended.",
    ),
    _of(
        "second_delete_in_a_batch_is_no_failure",
        "A message that is gone fails its entry of the batch: ReceiptHandleIsInvalid.",
        "None for a run: whoever deletes does not look at how it ended.",
    ),
    _of(
        "delete_with_the_receipt_of_an_earlier_delivery_is_no_error",
        "Only the receipt of the latest delivery is taken, any other is ReceiptHandleIsInvalid.",
        "None for a run: whoever deletes does not look at how it ended, and AWS need not delete such a message either.",
    ),
    _of(
        "put_of_more_than_1_mib_is_refused",
        "Events of any size are accepted.",
        _SMALL,
    ),
    _of(
        "detail_that_is_not_json_fails_as_malformed",
        "An event is accepted and delivered whatever its detail is.",
        "None for a run: every detail is written by a JSON encoder.",
    ),
    _of(
        "bad_event_of_a_put_fails_alone_and_in_its_place",
        "An event without a type is accepted.",
        "None for a run: every event has its type; refusals of the bus do not occur unless a fault makes them.",
    ),
    _weakening(
        "put_is_answered_before_its_events_are_delivered",
        "PutEvents is answered when every event is in every queue.",
        "The way over the bus is a part of the publisher's call and far shorter than on AWS, which flatters the "
        "choreographed topology: read its completion times beside the instrument's own hops.",
    ),
    _of(
        "refusal_of_a_late_callback_is_called_task_timed_out",
        "It is called TaskDoesNotExist.",
        _TREATED_ALIKE,
    ),
    _of("token_that_never_was_is_invalid", "The refusal is called TaskDoesNotExist.", _TREATED_ALIKE),
    _of(
        "of_many_callbacks_at_once_one_is_accepted_and_counts",
        "All that come before the execution has woken up are accepted, and not the first of them counts.",
        "None for a run: a participant repeats the answer of its record, so callbacks for one command say the same.",
    ),
    _of(
        "output_that_is_not_json_is_refused_and_the_task_goes_on",
        "It is accepted, and the task ends with the text.",
        "None for a run: every output is written by a JSON encoder.",
    ),
    _of(
        "callback_to_an_aborted_execution_is_refused",
        "It is accepted, and changes nothing.",
        "None for a run: workers take a refused callback for settled, as they take an accepted one.",
    ),
    _of(
        "missed_heartbeat_fails_the_task",
        "HeartbeatSeconds is ignored.",
        "None for a run: no state machine asks for heartbeats.",
    ),
    _weakening("retried_callback_task_gets_a_new_token", "All tries of a task share one token.", _REENTERED_MINISTACK),
    _weakening(
        "late_success_of_the_first_try_does_not_end_the_second",
        "A late success of the first try is accepted and ends the second: the token is the same.",
        _REENTERED_MINISTACK,
    ),
    _weakening(
        "interval_between_retries_grows_no_longer_than_the_longest_delay",
        "MaxDelaySeconds is ignored.",
        "Only the state that publishes how a saga ended is retried so: one that fails five times in a row waits "
        "longer than on AWS.",
    ),
    _weakening(
        "full_jitter_spreads_the_delays_between_nothing_and_the_interval",
        "JitterStrategy is ignored, each delay is the whole interval.",
        "Only the state that publishes how a saga ended is retried so: where the bus fails, its retries come later on "
        "average than on AWS, and together.",
    ),
    _of(
        "start_of_a_running_execution_with_the_same_input_finds_it",
        "It is refused: ExecutionAlreadyExists.",
        "None for a run: the ingress takes that for a success.",
    ),
    _of(
        "input_that_is_not_json_is_refused",
        "The execution is started.",
        "None for a run: every input is written by a JSON encoder.",
    ),
    _of("input_of_more_than_256_kib_is_refused", "Inputs of any size are accepted.", _SMALL),
    _of("state_whose_output_is_more_than_256_kib_fails", "Outputs of any size are passed on.", _SMALL),
    _of("callback_output_of_more_than_256_kib_is_refused", "Outputs of any size are accepted.", _SMALL),
    _of(
        "definition_that_leads_nowhere_is_refused",
        "A state machine is created whatever its definition says.",
        _CHECKED_IN_TESTS,
    ),
    _of(
        "execution_that_outlives_its_machines_timeout_is_timed_out",
        "TimeoutSeconds of a state machine is ignored.",
        "None for a run: no state machine has one.",
    ),
    _of(
        "history_tells_the_life_of_a_callback_task",
        "There are no TaskStarted and TaskSubmitted events.",
        _NO_HISTORY,
    ),
    _of(
        "history_tells_every_try_of_a_task",
        "There are no TaskStarted and TaskSubmitted events, and retries are not told.",
        _NO_HISTORY,
    ),
    _of(
        "event_of_a_task_names_its_execution_among_the_resources",
        "The resources are empty.",
        "None for a run: nobody reads them.",
    ),
    _of(
        "task_fails_when_its_event_is_refused",
        "An event without a source is accepted, and the task succeeds.",
        "None for a run: the events that state machines publish are complete.",
    ),
    _of(
        "wait_of_part_of_a_second_fails_the_execution",
        "It waits for the part of a second.",
        "None for a run: waits are computed in whole seconds.",
    ),
    _of(
        "parallel_fails_as_soon_as_one_branch_fails",
        "It fails when all branches have ended.",
        "None for a run: compiled sagas have no Parallel state.",
    ),
)

_LOCALSTACK: Final = (
    _of(
        "bad_entry_of_a_batch_of_deletes_fails_alone",
        "The entry fails alone, but its SenderFault is false.",
        "None for a run: nobody reads it.",
    ),
    _of(
        "late_callback_is_refused",
        "It is accepted while the execution runs, and changes nothing.",
        "None for a run: workers take a refused callback for settled, as they take an accepted one.",
    ),
    _of(
        "refusal_of_a_late_callback_is_called_task_timed_out",
        "A late callback is accepted while the execution runs.",
        _TREATED_ALIKE,
    ),
    _of(
        "second_callback_is_refused_while_the_execution_runs",
        "It is accepted, and changes nothing.",
        "None for a run: workers take a refused callback for settled, as they take an accepted one.",
    ),
    _of(
        "second_callback_is_refused_when_the_execution_has_ended",
        "SendTaskFailure is accepted and changes nothing; SendTaskSuccess is refused.",
        "None for a run: workers take a refused callback for settled, as they take an accepted one.",
    ),
    _of(
        "of_many_callbacks_at_once_one_is_accepted_and_counts",
        "All that come while the execution runs are accepted, and not the first of them counts.",
        "None for a run: a participant repeats the answer of its record, so callbacks for one command say the same.",
    ),
    _of(
        "output_that_is_not_json_is_refused_and_the_task_goes_on",
        "It is accepted, and fails the execution.",
        "None for a run: every output is written by a JSON encoder.",
    ),
    _of(
        "callback_to_an_aborted_execution_is_refused",
        "It is accepted and changes nothing, until the execution is aborted in earnest about a second later.",
        "None for a run: workers take a refused callback for settled, as they take an accepted one.",
    ),
    _of(
        "missed_heartbeat_fails_the_task",
        "It fails it with States.Timeout.",
        "None for a run: no state machine asks for heartbeats.",
    ),
    _weakening("retried_callback_task_gets_a_new_token", "All tries of a task share one token.", _REENTERED_LOCALSTACK),
    _weakening(
        "retried_callback_task_ends_by_its_own_callback",
        "A try after a failed one sends its command, and fails at once with the failure of the one before.",
        _REENTERED_LOCALSTACK,
    ),
    _weakening(
        "late_success_of_the_first_try_does_not_end_the_second",
        "A late success of the first try is accepted and ends the second: the token is the same.",
        _REENTERED_LOCALSTACK,
    ),
    _weakening(
        "retries_that_are_used_up_lead_to_catch_with_the_last_error",
        "The error is that of the first try, which all others repeat.",
        _REENTERED_LOCALSTACK,
    ),
    _of(
        "catch_may_lead_back_to_its_own_state",
        "The execution ends there, and has succeeded.",
        "None for a run: a state is entered again by way of others.",
    ),
    _of("input_of_more_than_256_kib_is_refused", "Inputs of any size are accepted.", _SMALL),
    _of("callback_output_of_more_than_256_kib_is_refused", "Outputs of any size are accepted.", _SMALL),
    _of(
        "definition_that_leads_nowhere_is_refused",
        "A state machine is created though a state leads nowhere.",
        _CHECKED_IN_TESTS,
    ),
    _of(
        "aborted_execution_holds_the_error_and_cause_that_it_was_stopped_with",
        "They are not in its description.",
        "None for a run: nobody reads them.",
    ),
    _of(
        "choice_without_a_match_and_a_default_fails",
        "It fails with States.Runtime.",
        "None for a run: every Choice that is compiled has a default.",
    ),
)

DEVIATIONS: Final[Mapping[str, tuple[Deviation, ...]]] = {
    product: tuple(msgspec.structs.replace(each, known_of=CHECKED_VERSIONS[product]) for each in known)
    for product, known in {"ministack": _MINISTACK, "localstack": _LOCALSTACK}.items()
}
"""By product."""


def deviations(product: str) -> tuple[Deviation, ...]:
    """What is known of a product's checked version; nothing of one that the contract suite was never run on."""
    return DEVIATIONS.get(product, ())


def is_checked(product: str, version: str) -> bool:
    """Whether the contract suite is run on this product in this version, as :class:`Endpoints` tells it.

    Where several of the product stand side by side, all must be of that version.
    """
    numbers = set(_numbers(product, version))
    return product in CHECKED_VERSIONS and numbers == {CHECKED_VERSIONS[product]}


def _numbers(product: str, version: str) -> list[str]:
    """``4.14.0`` of ``localstack 4.14.0 (host); dynamodb: DynamoDB Local``, ``1.5.33`` of ``1.5.33 (uvicorn)``."""
    if bare := re.match(r"\d\S*", version):
        return [bare[0]]
    return re.findall(rf"(?:^|; )(?:[\w,]+: )?{re.escape(product)} ([^\s;]+)", version)


def callback_retry(product: str) -> CallbackRetry:
    """The form that is right on this product.

    Of an unknown one nothing is assumed: entering the state again is right everywhere. The version does not count, so one
    in which ``Retry`` was mended since is taken for the one that was checked, and pays for some state transitions.
    """
    known = {deviation.behaviour for deviation in deviations(product)}
    if product in CHECKED_VERSIONS and not known & RETRY_OF_CALLBACKS:
        return CallbackRetry.RETRY
    return CallbackRetry.REENTER
