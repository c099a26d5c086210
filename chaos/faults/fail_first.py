"""A step fails a number of times and then passes: what is retried often enough succeeds, and what is not does not."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, ClassVar, NoReturn

import msgspec

from chaos.injector import Port, Strike
from harness.core.errors import Indefinite


class FailFirst:
    """Stands around the participant's work. By arrival: it is one saga's step.

    What counts is how often this message was delivered, and how many commands an orchestrator had sent before, each of
    which was delivered at least once: so it needs no memory, and however a step is asked for again, it passes in the end.
    For a saga that is to be struck each time, give a share of sagas, not a probability.
    """

    port: ClassVar = Port.WORK
    by_arrival: ClassVar = True
    passes: ClassVar = True

    class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
        """``times``: how many tries of the step fail."""

        times: Annotated[int, msgspec.Meta(ge=1, le=100)]

    def __init__(self, options: Options, workers: int) -> None:
        del workers  # the message carries the count
        self._times = options.times

    def bites(self, strike: Strike) -> bool:
        """Not once it has failed often enough."""
        return _tries(strike) <= self._times

    async def strike(self, strike: Strike, proceed: Callable[[], Awaitable[Any]]) -> NoReturn:
        """Nothing is done, and the message comes again."""
        del proceed
        raise Indefinite(f"injected: failure {_tries(strike)} of {self._times}")


def _tries(strike: Strike) -> int:
    """With this one, and no more than there were."""
    assert strike.delivery is not None
    return (strike.delivery.retry or 0) + strike.delivery.receives


FAULT = FailFirst
