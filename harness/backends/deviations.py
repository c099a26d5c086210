"""Where each emulator is known to differ from what AWS documents, and what that means for a result.

``tests/contract/`` holds every line of this against the emulator itself: a behaviour that deviates here must fail there,
and one that fails there must stand here. ``docs/backends.md`` is made from both.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from harness.history.run_file import Deviation
from harness.topologies.base import CallbackRetry

RETRY_OF_CALLBACKS: Final = frozenset({"retried_callback_task_gets_a_new_token"})
"""Behaviours without which ``Retry`` cannot be trusted with a callback task."""

DEVIATIONS: Final[Mapping[str, tuple[Deviation, ...]]] = {
    "ministack": (),
    "localstack": (),
}
"""By product."""


def deviations(product: str) -> tuple[Deviation, ...]:
    """What is known of a product; nothing of one that the contract suite was never run on."""
    return DEVIATIONS.get(product, ())


def is_checked(product: str) -> bool:
    """Whether the contract suite is run on this product."""
    return product in DEVIATIONS


def callback_retry(product: str) -> CallbackRetry:
    """The form that is right on this product; of an unknown one nothing is assumed."""
    known = {deviation.behaviour for deviation in deviations(product)}
    if is_checked(product) and not known & RETRY_OF_CALLBACKS:
        return CallbackRetry.RETRY
    return CallbackRetry.REENTER
