"""The inventory service: stock on hand for each SKU."""

from __future__ import annotations

from harness.core.local_transaction import Add, LocalTransaction
from harness.core.saga import Command

TABLES = ("stock",)


def reserve(command: Command) -> LocalTransaction:
    """Take every line of the basket from the shelf, all or none; refused where one SKU has too few left."""
    return LocalTransaction(
        tuple(
            Add("stock", line.sku, "on_hand", -line.quantity, at_least=line.quantity, refusal="out-of-stock")
            for line in command.request.lines
        )
    )


def release(command: Command) -> LocalTransaction:
    """Undo of :func:`reserve`."""
    return LocalTransaction(tuple(Add("stock", line.sku, "on_hand", line.quantity) for line in command.request.lines))
