"""A retry budget: retries may be a share of first tries, so that they cannot become most of the load.

With every layer's retries at their limit, an outage multiplies the load of whatever is to recover from it; a budget of a
tenth of the requests holds it to 1.1 times (*Site Reliability Engineering*, chapter 21). Ours lets no retry fall, which
would lose its saga: one beyond the budget waits, for as long as the policy lets anything wait.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from harness.measure.metrics import Metrics
from harness.topologies.base import Delivery

SHARE = 0.2
"""Of a retry that each first try allows; Finagle's and Envoy's."""
MIN_PER_S = 1.0
"""Retries a second whatever the load is, so that a queue with little to do need not save up. Finagle's 10 are for
clients with thousands of requests a second; at our tens they would be the whole load over again."""
MOST_SAVED = 10.0
"""Retries that may run in one burst after a quiet time; gRPC's ``maxTokens``."""


class RetryBudget:
    """Of one participant in one worker process. ``now_s`` is any monotonic clock."""

    def __init__(self, participant: str, metrics: Metrics, now_s: Callable[[], float] = time.monotonic) -> None:
        self._participant = participant
        self._metrics = metrics
        self._now_s = now_s
        self._saved = MOST_SAVED
        self._at_s = now_s()

    def delivered(self, delivery: Delivery) -> None:
        """A message is about to be handled. Only a first try earns: neither a redelivery does, nor a command sent again."""
        if delivery.receives == 1 and not delivery.retry and not delivery.is_copy:
            self._saved = min(MOST_SAVED, self._saved + SHARE)

    def wait_s(self, turn_s: int, longest_s: int) -> int:
        """How long a message waits whose turn is in ``turn_s``: until then if the budget allows, else ``longest_s``."""
        if turn_s >= longest_s:
            return turn_s
        now_s = self._now_s()
        self._saved = min(MOST_SAVED, self._saved + MIN_PER_S * (now_s - self._at_s))
        self._at_s = now_s
        if self._saved >= 1:
            self._saved -= 1
            return turn_s
        self._metrics.retry_held_back(self._participant)
        return longest_s
