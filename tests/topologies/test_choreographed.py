"""Who listens to what when a saga is choreographed, derived from its definition."""

from __future__ import annotations

import pytest

from harness.core.saga import Saga
from harness.sagas.create_order import SAGA
from harness.topologies.base import OUTCOMES, Deployed
from harness.topologies.choreographed import TOPOLOGY, subscriptions
from harness.topologies.policy import RetryPolicy
from tests.samples import pivot, retriable, saga, undoable


def heard(of: Saga) -> dict[str, set[str]]:
    """Work to the events that bring it about."""
    found: dict[str, set[str]] = {}
    for subscription in subscriptions(of):
        found.setdefault(subscription.work, set()).add(subscription.event)
    return found


def rules(of: Saga) -> dict[str, set[str]]:
    return {rule.subscriber: set(rule.event_types) for rule in TOPOLOGY.blueprint(of).rules}


def test_steps_follow_each_other_and_compensations_go_back() -> None:
    assert heard(SAGA) == {
        "create": {"OrderRequested"},
        "charge": {"OrderCreated"},
        "reserve": {"PaymentProcessed"},
        "approve": {"InventoryReserved"},
        "confirm": {"OrderApproved"},
        "refund": {"InventoryUnavailable"},
        "reject": {"PaymentFailed", "PaymentRefunded"},
        "cancel": {"OrderRejected"},
    }


def test_compensation_of_the_pivot_is_nobodys_subscription() -> None:
    assert SAGA.works()["release"].undoes == "reserve"
    assert "release" not in heard(SAGA)


def test_subscriber_is_the_participant_that_does_the_work_and_publishes_what_may_come_of_it() -> None:
    charge = next(item for item in subscriptions(SAGA) if item.work == "charge")
    assert (charge.participant, charge.publishes) == ("payment", ("PaymentProcessed", "PaymentFailed"))
    reject = next(item for item in subscriptions(SAGA) if item.work == "reject")
    assert (reject.participant, reject.publishes) == ("order", ("OrderRejected",))


def test_longer_saga_is_undone_step_by_step_in_reverse_order() -> None:
    longer = heard(
        saga(undoable("a"), undoable("b"), undoable("c"), pivot("d"), retriable("e"), after=(retriable("f"),))
    )
    assert longer["un-c"] == {"d-refused"}
    assert longer["un-b"] == {"c-refused", "c-undone"}
    assert longer["un-a"] == {"b-refused", "b-undone"}
    assert longer["f"] == {"a-refused", "a-undone"}
    assert "un-d" not in longer


def test_nothing_listens_for_what_cannot_happen() -> None:
    silent = saga(undoable("a", refused=None), undoable("b", refused=None), retriable("c"), after=(retriable("f"),))
    assert heard(silent) == {"a": {"sample-requested"}, "b": {"a-done"}, "c": {"b-done"}}


def test_closing_steps_follow_each_other() -> None:
    made = heard(saga(undoable("a"), after=(retriable("f"), retriable("g"))))
    assert made["f"] == {"a-refused"}
    assert made["g"] == {"f-done"}


def test_every_participant_and_the_ingress_has_a_queue_and_a_rule() -> None:
    blueprint = TOPOLOGY.blueprint(SAGA)
    assert blueprint.queues == (*SAGA.participants, OUTCOMES)
    assert rules(SAGA) == {
        "order": {"OrderRequested", "InventoryReserved", "PaymentFailed", "PaymentRefunded"},
        "payment": {"OrderCreated", "InventoryUnavailable"},
        "inventory": {"PaymentProcessed"},
        "notification": {"OrderApproved", "OrderRejected"},
        OUTCOMES: {"OrderConfirmed", "OrderCancelled"},
    }


def test_participant_that_will_never_be_needed_has_no_rule() -> None:
    never_sorry = saga(undoable("a", refused=None), retriable("b"), after=(retriable("f", participant="apologies"),))
    assert "apologies" not in rules(never_sorry)


def test_event_is_listed_once_however_many_works_it_starts() -> None:
    for of in (SAGA, saga(undoable("a"), undoable("b"), pivot("c"))):
        for rule in TOPOLOGY.blueprint(of).rules:
            assert len(rule.event_types) == len(set(rule.event_types)) > 0


@pytest.mark.parametrize("of", [SAGA, saga(undoable("a"), undoable("b"))], ids=lambda of: of.name)
def test_there_is_no_state_machine(of: Saga) -> None:
    assert TOPOLOGY.state_machine(of, Deployed(queue_urls={}, bus="bus"), RetryPolicy()) is None
