"""From what a few runs of one build measured to what one more of it may be expected to measure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean, stdev

from harness.report.compare import Interval

MIN_RUNS = 5
"""Of 18 figures that scatter by 3 %, one must be 1.9 times as large as usual to be told by three runs, 1.36 times by four,
1.24 by five, 1.14 by ten: with fewer than five a baseline sees nothing."""
_BISECTIONS = 60


def expected(values: Sequence[float], alpha: float, least: float, *, ratio: bool) -> Interval:
    """The interval in which one more value of the same kind lies, but for a share ``alpha`` of times.

    The prediction interval of normal values: mean +- t * s * sqrt(1 + 1/n). Times, rates and costs scatter by factors,
    so of those (``ratio``) it is taken of the logarithms. It reaches ``least`` from the mean at least (a factor, where
    it is a ratio): what is smaller does not matter, and a few equal values prove no exactness.
    """
    scaled = [math.log(value) for value in values] if ratio else list(values)
    n = len(scaled)
    reach = t_quantile(1 - alpha / 2, n - 1) * stdev(scaled) * math.sqrt(1 + 1 / n)
    reach = max(reach, math.log1p(least) if ratio else least)
    low, high = fmean(scaled) - reach, fmean(scaled) + reach
    return Interval(math.exp(low), math.exp(high)) if ratio else Interval(low, high)


def t_quantile(p: float, degrees: int) -> float:
    """Student's t for whole degrees of freedom, ``0.5 <= p < 1``."""
    low, high = 0.0, 1.0
    while _within(high, degrees) < 2 * p - 1:
        high *= 2
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        low, high = (middle, high) if _within(middle, degrees) < 2 * p - 1 else (low, middle)
    return high


def _within(t: float, degrees: int) -> float:
    """P(|T| <= t), as a finite sum (Abramowitz and Stegun, 26.7.3 and 26.7.4)."""
    angle = math.atan(t / math.sqrt(degrees))
    sine, cosine = math.sin(angle), math.cos(angle)
    odd = degrees % 2
    term = cosine if odd else 1.0
    total = term if degrees > 1 else 0.0
    for k in range(2 + odd, degrees - 1, 2):
        term *= (k - 1) / k * cosine * cosine
        total += term
    return 2 / math.pi * (angle + sine * total) if odd else sine * total
