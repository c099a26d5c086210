"""How long to wait and how often to try again, the same intent for both topologies."""

from __future__ import annotations

import msgspec


class RetryPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """Exponential backoff with full jitter, in whole seconds: what SQS and Step Functions can both express.

    ``max_tries`` is the number of commands that a task state sends before a step's outcome is given up as unknown
    (before the pivot only), ``max_receives`` the number of deliveries before a message goes to its dead-letter queue.
    """

    step_timeout_s: int = 5
    """How long a task state waits for the callback of one command."""
    interval_s: int = 1
    backoff_rate: float = 2.0
    max_delay_s: int = 8
    max_tries: int = 4
    visibility_timeout_s: int = 10
    """Longer than a handler takes when one AWS call of it times out and is tried again (1 s for DynamoDB, 2 s for the
    others). A handler that takes longer still has its message delivered again, which its record then answers."""
    max_receives: int = 10
    """Generous: choreography has no one to notice a message in a dead-letter queue, so its saga stays unresolved."""

    def delay_s(self, failures: int, jitter: float) -> int:
        """Seconds to wait after so many failures in a row; ``jitter`` is a uniform number in [0, 1)."""
        ceiling_s = min(self.max_delay_s, self.interval_s * self.backoff_rate ** (failures - 1))
        return round(ceiling_s * jitter)
