"""A step fails a number of times and then passes: what is retried often enough succeeds, and what is not does not."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, ClassVar, NoReturn

import msgspec

from chaos.injector import Port, Strike
from harness.core.errors import Indefinite


class FailFirst:
    """Stands around the participant's work. By arrival: it is one saga's step.

    What counts is how often this message was delivered, so it needs no memory; an orchestrator's new command is a new
    message, and fails as often. For a saga that is to be struck each time, give a share of sagas, not a probability.
    """

    port: ClassVar = Port.WORK
    by_arrival: ClassVar = True
    passes: ClassVar = True

    class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
        """``times``: how many deliveries of each message fail."""

        times: Annotated[int, msgspec.Meta(ge=1, le=100)]

    def __init__(self, options: Options, workers: int) -> None:
        del workers  # the message carries the count
        self._times = options.times

    def bites(self, strike: Strike) -> bool:
        """Not once it has failed often enough."""
        assert strike.delivery is not None
        return strike.delivery.receives <= self._times

    async def strike(self, strike: Strike, proceed: Callable[[], Awaitable[Any]]) -> NoReturn:
        """Nothing is done, and the message comes again."""
        del proceed
        assert strike.delivery is not None
        raise Indefinite(f"injected: failure {strike.delivery.receives} of {self._times}")


FAULT = FailFirst
