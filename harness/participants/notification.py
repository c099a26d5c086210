"""The notification service: an outbox of e-mails. An e-mail cannot be unsent; a cancelled order gets a second one."""

from __future__ import annotations

from harness.core.local_transaction import Insert, LocalTransaction
from harness.core.saga import Command

TABLES = ("outbox",)


def confirm(command: Command) -> LocalTransaction:
    """The e-mail that the order is confirmed."""
    return _mail(command, "confirmed")


def cancel(command: Command) -> LocalTransaction:
    """The e-mail that the order is cancelled."""
    return _mail(command, "cancelled")


def _mail(command: Command, subject: str) -> LocalTransaction:
    mail = {"to": command.request.customer, "subject": subject, "saga_id": command.saga_id}
    return LocalTransaction((Insert("outbox", f"{command.saga_id}#{subject}", mail),))
