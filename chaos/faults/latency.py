"""Answers come later than they would: each by the same time, or with the long tail that services show.

A lognormal or a Pareto distribution is given by its median and its 99th percentile, so the two can be had with the
same body: beyond the p99 the Pareto's tail is the heavier one. Quantiles: sigma = ln(p99 / p50) / 2.3263, and
alpha = ln 50 / ln(p99 / p50).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from math import log
from statistics import NormalDist
from typing import Annotated, Any, ClassVar, Literal

import msgspec
from botocore.exceptions import ReadTimeoutError

from chaos.injector import Port, Strike

Milliseconds = Annotated[float, msgspec.Meta(gt=0, le=60_000)]
_LEAST_DRAW = 2.0**-53


class Latency:
    """Stands below the SDK. By arrival: the same requests of the same sagas are late by the same time."""

    port: ClassVar = Port.TRANSPORT
    by_arrival: ClassVar = True

    class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
        """What is added. ``fixed``: ``p50_ms`` to each answer. No answer is held up for longer than ``cap_ms``."""

        distribution: Literal["fixed", "lognormal", "pareto"]
        p50_ms: Milliseconds
        p99_ms: Milliseconds | None = None
        cap_ms: Milliseconds = 10_000

        def __post_init__(self) -> None:
            if (self.p99_ms is None) != (self.distribution == "fixed"):
                raise ValueError("p99_ms belongs to lognormal and to pareto, and to nothing else")
            if self.p99_ms is not None and self.p99_ms <= self.p50_ms:
                raise ValueError("p99_ms must be above p50_ms")
            if self.cap_ms < (self.p99_ms or self.p50_ms):
                raise ValueError("cap_ms must not be below what it is to cap")

    def __init__(self, options: Options, workers: int) -> None:
        del workers  # each process waits for its own answers
        self._options = options

    def added_s(self, draw: float) -> float:
        """The quantile ``draw`` of the distribution, capped."""
        options = self._options
        added_ms = options.p50_ms
        if options.p99_ms is not None:
            draw, spread = max(draw, _LEAST_DRAW), options.p99_ms / options.p50_ms
            if options.distribution == "lognormal":
                normal = NormalDist()
                added_ms *= spread ** (normal.inv_cdf(draw) / normal.inv_cdf(0.99))
            else:
                added_ms *= (2 * (1 - draw)) ** (-log(spread) / log(50))
        return min(added_ms, options.cap_ms) / 1000

    async def strike(self, strike: Strike, proceed: Callable[[], Awaitable[Any]]) -> Any:
        """The request takes effect in time; an answer that is later than the SDK will wait is one that it never gets."""
        assert strike.read_timeout_s is not None
        answer = await proceed()
        added_s = self.added_s(strike.draw)
        await asyncio.sleep(min(added_s, strike.read_timeout_s))
        if added_s >= strike.read_timeout_s:
            raise ReadTimeoutError(endpoint_url=f"injected: the response is {added_s:.3f} s late")
        return answer


FAULT = Latency
