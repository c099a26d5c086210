"""Where one more value may be expected."""

from __future__ import annotations

import math
import random

import pytest

from harness.baseline.spread import expected, t_quantile

TABLE = [(0.975, 1, 12.706), (0.95, 2, 2.920), (0.975, 4, 2.776), (0.995, 9, 3.250), (0.975, 30, 2.042)]
"""As printed in any textbook."""


@pytest.mark.parametrize(("p", "degrees", "value"), TABLE)
def test_the_t_quantile_is_the_one_of_the_tables(p: float, degrees: int, value: float) -> None:
    assert t_quantile(p, degrees) == pytest.approx(value, abs=5e-4)


def test_half_of_all_values_lie_below_nothing() -> None:
    assert t_quantile(0.5, 3) == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize("alpha", [0.05, 0.2])
def test_of_unchanged_values_as_many_lie_beyond_as_are_said_to(alpha: float) -> None:
    chance = random.Random(1)
    beyond = 0
    for _ in range(10_000):
        *values, one_more = [chance.lognormvariate(4.0, 0.1) for _ in range(7)]
        interval = expected(values, alpha, 0.0, ratio=True)
        beyond += not interval.holds(one_more)
    assert beyond / 10_000 == pytest.approx(alpha, abs=0.008)


def test_times_are_expected_by_factors_and_shares_by_differences() -> None:
    times = expected([80.0, 100.0, 125.0], 0.05, 0.0, ratio=True)
    assert math.sqrt(times.low * times.high) == pytest.approx(100.0)
    shares = expected([0.08, 0.10, 0.12], 0.05, 0.0, ratio=False)
    assert (shares.low + shares.high) / 2 == pytest.approx(0.10)


def test_equal_values_leave_room_for_what_does_not_matter() -> None:
    ratio = expected([100.0] * 5, 0.05, 0.03, ratio=True)
    assert (ratio.low, ratio.high) == (pytest.approx(100 / 1.03), pytest.approx(103))
    share = expected([0.1] * 5, 0.05, 0.01, ratio=False)
    assert (share.low, share.high) == (pytest.approx(0.09), pytest.approx(0.11))
