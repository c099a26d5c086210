"""What two builds differ by at equal speed of the machine.

On a shared host the processor is slower in one minute than in the next, times go with it, and pairs of blocks scatter for
that alone. How fast the machine was is measured in every block (:mod:`harness.run.machine_speed`), independently of what is
judged; a regression over the pairs says how times went with it, and what is left of the difference where it was the same.

This is the analysis of covariance (Cochran 1957, Biometrics 13:261), known from online experiments as CUPED (Deng et al. 2013,
WSDM): it assumes nothing of how strongly times depend on the machine. Where they do not, it takes one degree of freedom.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean, linear_regression
from typing import Final

from harness.ablation.change import T_975
from harness.report.compare import Interval

MIN_PAIRS: Final = 4
"""Of three, one degree of freedom is left, and Student's interval is twelve standard errors wide."""


def at_equal_speed(amounts: Sequence[float], slower: Sequence[float]) -> tuple[float, Interval] | None:
    """The difference with its 95 % interval; ``None`` for too few pairs, or where one side had the slower machine in all of them:
    equal speed would be a guess beyond the data then.

    ``amounts``: what the builds of each pair differ by; ``slower``: how much slower the machine was for the second one, as the
    logarithm of the ratio of what the same work took. With the line ``amount = a + b * slower`` the interval is that of ``a``::

        a -+ t(n - 2) * s * sqrt(1 / n + mean(slower)^2 / sum((slower - mean(slower))^2))
    """
    n = len(amounts)
    if n < MIN_PAIRS or not min(slower) < 0 < max(slower):
        return None
    line = linear_regression(slower, amounts)
    left = sum((amount - line.intercept - line.slope * by) ** 2 for by, amount in zip(slower, amounts, strict=True))
    center = fmean(slower)
    reach = 1 / n + center**2 / sum((by - center) ** 2 for by in slower)
    half = T_975[min(n - 2, len(T_975)) - 1] * math.sqrt(left / (n - 2) * reach)
    return line.intercept, Interval(line.intercept - half, line.intercept + half)
