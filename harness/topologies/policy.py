"""How long to wait and how often to try again, the same intent for both topologies."""

from __future__ import annotations

from typing import Literal

import msgspec

from harness.core.mitigations import Mitigations
from harness.core.seeded import uniform

WAITS_AHEAD = 8
"""How many waits are drawn for an execution when it starts. By then they grow no more, and the later half of them can
come round again."""
_GROWTHS = 32
"""Failures after which a wait has long come to its limit, and the arithmetic has not."""


class RetryPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """Backoff with jitter, in whole seconds: what SQS and Step Functions can both express.

    ``max_tries`` is the number of commands that a task state sends before a step's outcome is given up as unknown
    (before the pivot only), ``max_receives`` the number of deliveries before a message goes to its dead-letter queue.
    ``None`` is no limit.
    """

    backoff: Literal["exponential", "fixed", "none"] = "exponential"
    jitter: Literal["full", "equal", "decorrelated", "none"] = "full"
    step_timeout_s: int | None = 5
    """How long a task state waits for the callback of one command."""
    interval_s: int = 1
    backoff_rate: float = 2.0
    max_delay_s: int = 8
    max_tries: int | None = 4
    visibility_timeout_s: int = 10
    """Longer than a handler takes when one AWS call of it times out and is tried again (1 s for DynamoDB, 2 s for the
    others). A handler that takes longer still has its message delivered again, which its record then answers."""
    max_receives: int | None = 10
    """AWS advises 3 to 5, for deliveries that last a whole visibility timeout each. Ours come after a short wait: where
    a participant is gone for 12 s and no circuit breaker holds its messages back, five deliveries are used up by 38
    messages in 100, ten by 3 in 10,000; and in a choreography the saga of a dead letter stands still until its redrive."""

    @classmethod
    def of(cls, mitigations: Mitigations) -> RetryPolicy:
        """What is left of the default policy with these mitigations."""
        default, gives_up = cls(), mitigations.attempt_limit == "on"
        return cls(
            backoff=mitigations.backoff,
            jitter=mitigations.jitter,
            step_timeout_s=default.step_timeout_s if mitigations.step_timeout == "on" else None,
            max_tries=default.max_tries if gives_up else None,
            max_receives=default.max_receives if gives_up and mitigations.dead_letter_queue == "on" else None,
        )

    def delay_s(self, failures: int, seed: int, *key: str | int) -> int:
        """Seconds to wait after so many failures in a row of what ``key`` names: a pure function of all that is given.

        The formulas are those of the AWS Architecture Blog, "Exponential Backoff And Jitter" (Marc Brooker, 2015).
        """
        if self.backoff == "none":
            return 0
        if self.jitter == "decorrelated":
            return self._decorrelated_s(failures, seed, *key)
        longest_s = float(self.interval_s)
        if self.backoff == "exponential":
            longest_s = min(self.max_delay_s, longest_s * self.backoff_rate ** (min(failures, _GROWTHS) - 1))
        if self.jitter == "none":
            return round(longest_s)
        drawn = uniform(seed, "backoff", *key, failures)
        return round(longest_s * (1 + drawn) / 2 if self.jitter == "equal" else longest_s * drawn)

    def waits_s(self, seed: int, *key: str | int) -> list[int]:
        """The waits after the first :data:`WAITS_AHEAD` failures."""
        return [self.delay_s(failures, seed, *key) for failures in range(1, WAITS_AHEAD + 1)]

    def _decorrelated_s(self, failures: int, seed: int, *key: str | int) -> int:
        """From the interval to three times the wait before; of a fixed backoff, to three times the interval."""
        first = failures if self.backoff == "fixed" else 1
        wait_s = float(self.interval_s)
        for failure in range(first, failures + 1):
            spread_s = 3 * wait_s - self.interval_s
            wait_s = min(self.max_delay_s, self.interval_s + spread_s * uniform(seed, "backoff", *key, failure))
        return round(wait_s)


class DrawnWaits(msgspec.Struct, frozen=True):
    """The waits of executions whose state machine takes them from its input."""

    policy: RetryPolicy
    seed: int

    def of(self, arrival: int) -> list[int]:
        """Of one saga, for each of its tasks the same: it is the sagas that must not all come again at once."""
        return self.policy.waits_s(self.seed, "execution", arrival)
