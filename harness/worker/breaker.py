"""A circuit breaker around each participant's database: when most of what it is asked fails, it is left alone for a while.

While it is open nothing is begun, and nothing is received either: a message that is taken only to be put back comes
nearer to the dead-letter queue, and outages are what a breaker is there to survive.

The breaker itself is interlock's. It opens by the *rate* of failures; purgatory, circuitbreaker and pybreaker open after
so many in a row, and with dozens of calls under way one success among them starts their count anew. It is handed its
clock, bounds what is let through while it is tried again (circuitbreaker and purgatory let everybody in), and drops the
answers to calls that began before it last changed its mind. pybreaker's asynchronous calls are Tornado's.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from math import ceil, inf

from interlock import CircuitBreaker, CircuitOpenError, Config, CoreEventListener, State

from harness.aws.gateway import TRANSIENT
from harness.core.errors import Indefinite
from harness.measure.metrics import Metrics
from harness.participants.dispatcher import Reply
from harness.participants.ports import ConditionFailed
from harness.topologies.base import Delivery
from harness.worker.ports import Work

FAILURE_RATE = 0.5
"""From which on it opens; resilience4j's and Hystrix's own."""
WINDOW_CALLS = 20
"""Last calls that the rate is of, and how many there must have been. Hystrix's 20, but of the last calls instead of the
last 10 s, so that evidence is as good at 4 a second as at 40: a storm of seconds is noticed within it (resilience4j's
100 calls would be 4 s of outage at the default rate), while of failures that strike every tenth call ten in twenty
are not to be had by chance (one window in a hundred thousand)."""
OPEN_S = 2.0
"""Hystrix leaves 5 s to services that fail for minutes. Shorter than an orchestrator waits for a step, and no longer
than a long poll, so that a worker which is to stop need not be woken."""
PROBES = 3
"""Calls that are let through before it closes or opens again, one at a time."""

log = logging.getLogger(__name__)


class CircuitOpen(Indefinite):
    """The step was not begun. Not that this is uncertain, but its message has to come again."""


class Breaker(CoreEventListener):
    """Of one participant in one worker process. ``now_s`` is any monotonic clock."""

    def __init__(self, participant: str, metrics: Metrics, now_s: Callable[[], float] = time.monotonic) -> None:
        self._participant = participant
        self._metrics = metrics
        self._now_s = now_s
        self._state = State.CLOSED
        self._open_until_s = 0.0
        self._under_way = 0
        self._at_once = inf
        self._tried_again = False
        self._ended = asyncio.Event()
        self._circuit = CircuitBreaker(
            name=participant,
            config=Config(
                failure_rate_threshold=FAILURE_RATE,
                window_size=WINDOW_CALLS,
                minimum_number_of_calls=WINDOW_CALLS,
                wait_duration_in_open=OPEN_S,
                permitted_calls_in_half_open=PROBES,
                max_concurrent_probes=1,
            ),
            clock=_Clock(now_s),
            classifier=_Classifier(),
            listener=self,
        )
        metrics.breaker(participant, State.CLOSED)

    async def take(self, work: Work, delivery: Delivery) -> Reply:
        """Have the step taken. Raises :class:`CircuitOpen` where it may not even be begun."""
        self._under_way += 1
        try:
            reply = await self._circuit.call_async(work, delivery)
        except CircuitOpenError:
            self._metrics.breaker_refused(self._participant)
            raise CircuitOpen(f"{self._participant}: the circuit breaker is open") from None
        finally:
            self._under_way -= 1
            self._ended.set()
        self._at_once += 1 / self._at_once
        return reply

    def open_for_s(self) -> float:
        """Seconds until it may be tried again; 0 where it may be now."""
        return max(0.0, self._open_until_s - self._now_s()) if self._state is State.OPEN else 0.0

    def room(self, free: int) -> int:
        """How many messages ``free`` hands may take: none while it is open, and one at a time while it is tried.

        Once it has closed these become one more with every round of replies, as in TCP's congestion avoidance
        (RFC 5681): were all that has piled up begun at once, it would bring down what has just come up.
        """
        if self.open_for_s():
            return 0
        at_once = self._at_once if self._state is State.CLOSED else 1
        return int(max(0, min(free, at_once - self._under_way)))

    def wait_s(self, turn_s: int, longest_s: int) -> int | None:
        """How long a message waits that has to come again, and whose turn is in ``turn_s``; ``None``: it may then.

        It has nothing to come back for before the breaker may be tried again; and where it was itself such a try, it
        lets others go first, or each try would be one delivery more of the same message.
        """
        if self._state is State.CLOSED:
            return None
        return longest_s if self._tried_again else max(turn_s, ceil(self.open_for_s()))

    async def change(self) -> None:
        """Return when there may be room again."""
        if open_for_s := self.open_for_s():
            await asyncio.sleep(open_for_s)
        elif self._under_way:
            self._ended.clear()
            await self._ended.wait()

    def on_state_change(self, *, name: str, old: State, new: State) -> None:
        """Called by the library."""
        log.info("%s: the circuit breaker is %s", name, new)
        self._state = new
        if new is State.OPEN:
            self._open_until_s = self._now_s() + OPEN_S
        else:
            self._at_once = 1
            self._tried_again = new is State.HALF_OPEN
        self._metrics.breaker(name, new, was=old)


def guarded(work: Work, breakers: Mapping[str, Breaker]) -> Work:
    """``work`` with each participant behind its breaker. To be put outside of faults, or it would not see them."""

    async def guarded_work(delivery: Delivery) -> Reply:
        return await breakers[delivery.participant].take(work, delivery)

    return guarded_work


class _Classifier:
    """A failure is a database that cannot do its work. A refusal is a reply; so is, in its way, a failed condition."""

    def is_failure(self, *, result: object, exception: Exception | None) -> bool:
        del result
        if isinstance(exception, Indefinite) and isinstance(exception.__context__, ConditionFailed):
            return False  # such as a lock that another saga holds: the database is well, and has said so
        return isinstance(exception, TRANSIENT)


class _Clock:
    def __init__(self, now_s: Callable[[], float]) -> None:
        self.monotonic = now_s
