"""The order service: writes the order as PENDING, which is its semantic lock, and later approves or rejects it."""

from __future__ import annotations

from harness.core.local_transaction import Add, Change, Insert, LocalTransaction
from harness.core.saga import Command

TABLES = ("orders", "customers")


def create(command: Command) -> LocalTransaction:
    """A pending order, counted for its customer."""
    order = command.request
    return LocalTransaction(
        (
            Insert(
                "orders",
                command.saga_id,
                {"customer": order.customer, "total_cents": order.total_cents, "status": "PENDING"},
            ),
            Add("customers", order.customer, "orders", 1),
        )
    )


def reject(command: Command) -> LocalTransaction:
    """Undo of :func:`create`: the order stays, as REJECTED, and is no longer counted."""
    return LocalTransaction(
        (
            Change("orders", command.saga_id, set={"status": "REJECTED"}, expect={"status": "PENDING"}),
            Add("customers", command.request.customer, "orders", -1),
        )
    )


def approve(command: Command) -> LocalTransaction:
    """The order is PENDING no longer: the lock is released."""
    return LocalTransaction(
        (Change("orders", command.saga_id, set={"status": "APPROVED"}, expect={"status": "PENDING"}),)
    )
