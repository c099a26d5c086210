"""The payment service: customers' balances, and a journal of what was taken from them and given back."""

from __future__ import annotations

from harness.core.local_transaction import Add, Change, Insert, LocalTransaction
from harness.core.saga import Command

TABLES = ("balances", "journal")


def charge(command: Command) -> LocalTransaction:
    """Take the order's total; refused where the balance is lower."""
    order = command.request
    return LocalTransaction(
        (
            Add(
                "balances",
                order.customer,
                "cents",
                -order.total_cents,
                at_least=order.total_cents,
                refusal="insufficient-funds",
            ),
            Insert(
                "journal",
                command.saga_id,
                {"customer": order.customer, "charged_cents": order.total_cents, "status": "CHARGED"},
            ),
        ),
        reply={"charged_cents": order.total_cents},
    )


def refund(command: Command) -> LocalTransaction:
    """Undo of :func:`charge`."""
    order = command.request
    return LocalTransaction(
        (
            Add("balances", order.customer, "cents", order.total_cents),
            Change("journal", command.saga_id, set={"status": "REFUNDED"}, expect={"status": "CHARGED"}),
        )
    )
