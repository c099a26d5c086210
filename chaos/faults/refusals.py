"""More customers cannot pay, and more of what they want is gone. Stands around nothing; it is in what they ask for.

A refusal that were not in the data could be answered otherwise when the step is delivered again.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, ClassVar, NoReturn

import msgspec

from chaos.injector import Port, Strike
from harness.load.plan import LoadPlan


class Refusals:
    """Changes what arrivals ask for, before the load. By arrival: those that are due in its window."""

    port: ClassVar = Port.ARRIVALS
    by_arrival: ClassVar = True

    class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
        """Shares of the arrivals in the window; one that is below the run's own changes nothing."""

        cannot_pay_share: Annotated[float, msgspec.Meta(ge=0, le=0.5)] = 0.0
        out_of_stock_share: Annotated[float, msgspec.Meta(ge=0, le=0.25)] = 0.0

        def __post_init__(self) -> None:
            if not self.cannot_pay_share and not self.out_of_stock_share:
                raise ValueError("cannot_pay_share, out_of_stock_share or both must be above 0")

    def __init__(self, options: Options, workers: int) -> None:
        del workers
        self._shares = (options.cannot_pay_share, options.out_of_stock_share)

    def plan(self, plan: LoadPlan, start_s: float, end_s: float) -> LoadPlan:
        """With one more time of many refusals."""
        return msgspec.structs.replace(plan, refusals=(*plan.refusals, (start_s, end_s, *self._shares)))

    async def strike(self, strike: Strike, proceed: Callable[[], Awaitable[Any]]) -> NoReturn:
        """Never called: nothing in a worker changes."""
        raise AssertionError("arrivals are not struck in a worker")


FAULT = Refusals
