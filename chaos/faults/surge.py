"""More sagas arrive: the rate is multiplied for a while. Stands around nothing; the schedule of arrivals is made so."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, ClassVar, NoReturn

import msgspec

from chaos.injector import Port, Strike
from harness.load.plan import LoadPlan


class Surge:
    """Changes the schedule of arrivals, before the load."""

    port: ClassVar = Port.ARRIVALS
    by_arrival: ClassVar = True

    class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
        """``factor``: what the arrival rate is multiplied by."""

        factor: Annotated[float, msgspec.Meta(gt=0, le=100)]

    def __init__(self, options: Options, workers: int) -> None:
        del workers
        self._factor = options.factor

    def plan(self, plan: LoadPlan, start_s: float, end_s: float) -> LoadPlan:
        """With one more surge."""
        return msgspec.structs.replace(plan, surges=(*plan.surges, (start_s, end_s, self._factor)))

    async def strike(self, strike: Strike, proceed: Callable[[], Awaitable[Any]]) -> NoReturn:
        """Never called: nothing in a worker changes."""
        raise AssertionError("arrivals are not struck in a worker")


FAULT = Surge
