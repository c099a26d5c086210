"""Exact quantiles of what clients saw, and how many samples each of them takes."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

QUANTILES = {"p50": 0.50, "p95": 0.95, "p99": 0.99}


def samples_needed(q: float) -> int:
    """The least number of samples of which one can lie beyond the quantile: 2 for p50, 20 for p95, 100 for p99.

    With fewer, the quantile is the maximum under another name.
    """
    return math.ceil(round(1 / (1 - q), 6))


def quantile(values: Floats, q: float) -> float | None:
    """The smallest value with at least a share ``q`` of all at or below it: one that really occurred, no interpolation.

    ``None`` where there are fewer values than :func:`samples_needed`.
    """
    if len(values) < samples_needed(q):
        return None
    return nearest_rank(values, q)


def nearest_rank(values: Floats, q: float) -> float:
    """As :func:`quantile`, for one value or more."""
    return float(np.quantile(values, q, method="inverted_cdf"))
