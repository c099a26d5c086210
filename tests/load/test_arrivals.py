from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.core.saga import WorkloadPlan
from harness.load.arrivals import digest, round_seed, schedule
from harness.load.plan import Surge
from harness.sagas.create_order import SAGA

RATES = st.floats(0.5, 200.0)
DURATIONS = st.floats(0.5, 10.0)
SEEDS = st.integers(0, 2**53)
SURGES = st.lists(
    st.tuples(st.floats(0.0, 10.0), st.floats(0.1, 5.0), st.floats(0.0, 5.0)).map(
        lambda drawn: (drawn[0], drawn[0] + drawn[1], drawn[2])
    ),
    max_size=3,
)


@given(SEEDS, RATES, DURATIONS, st.sampled_from(["poisson", "even"]), SURGES)
def test_every_schedule_is_ascending_within_the_load_and_the_same_when_asked_again(
    seed: int, rate_per_s: float, duration_s: float, shape: str, surges: list[Surge]
) -> None:
    due_s = schedule(seed, rate_per_s, duration_s, shape, surges)
    assert all(earlier <= later for earlier, later in pairwise(due_s))
    assert all(0.0 <= due < duration_s for due in due_s)
    assert schedule(seed, rate_per_s, duration_s, shape, surges) == due_s


@given(SEEDS, RATES, DURATIONS)
def test_a_surge_of_factor_one_changes_nothing(seed: int, rate_per_s: float, duration_s: float) -> None:
    plain = schedule(seed, rate_per_s, duration_s, "poisson")
    surged = schedule(seed, rate_per_s, duration_s, "poisson", [(duration_s / 4, duration_s / 2, 1.0)])
    assert surged == pytest.approx(plain, abs=2e-6)


@given(SEEDS, RATES, DURATIONS, st.floats(1.0, 5.0))
def test_a_surge_leaves_the_arrivals_before_it_where_they_are(
    seed: int, rate_per_s: float, duration_s: float, factor: float
) -> None:
    start_s = duration_s / 2
    plain = schedule(seed, rate_per_s, duration_s, "poisson")
    surged = schedule(seed, rate_per_s, duration_s, "poisson", [(start_s, duration_s, factor)])
    before = [due for due in plain if due < start_s]
    assert [due for due in surged if due < start_s] == before
    assert len(surged) >= len(plain)


def test_another_seed_makes_another_schedule() -> None:
    assert schedule(1, 25.0, 25.0, "poisson") != schedule(2, 25.0, 25.0, "poisson")


def test_the_mean_rate_of_poisson_arrivals_is_the_rate_asked_for() -> None:
    due_s = schedule(1, 100.0, 1000.0, "poisson")
    assert len(due_s) == pytest.approx(100_000, rel=0.01)  # three standard deviations


def test_poisson_gaps_are_as_variable_as_they_are_long() -> None:
    gaps = [later - earlier for earlier, later in pairwise(schedule(1, 100.0, 1000.0, "poisson"))]
    mean = sum(gaps) / len(gaps)
    deviation = (sum((gap - mean) ** 2 for gap in gaps) / len(gaps)) ** 0.5
    assert deviation == pytest.approx(mean, rel=0.02)


def test_even_arrivals_are_equally_far_apart_and_begin_at_once() -> None:
    assert schedule(1, 4.0, 2.0, "even") == [0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 1.75]


@pytest.mark.parametrize(("rate_per_s", "duration_s"), [(25.0, 25.0), (0.1, 30.0), (3.0, 0.1), (7.0, 10.0)])
def test_rounding_makes_no_even_arrival_too_many(rate_per_s: float, duration_s: float) -> None:
    assert len(schedule(1, rate_per_s, duration_s, "even")) == max(1, round(rate_per_s * duration_s))


def test_a_surge_multiplies_the_arrivals_in_its_window_and_only_there() -> None:
    due_s = schedule(1, 200.0, 300.0, "poisson", [(100.0, 200.0, 3.0)])
    counts = [sum(start <= due < start + 100.0 for due in due_s) for start in (0.0, 100.0, 200.0)]
    assert counts == pytest.approx([20_000, 60_000, 20_000], rel=0.03)


def test_overlapping_surges_multiply_each_other() -> None:
    due_s = schedule(1, 10.0, 4.0, "even", [(1.0, 3.0, 2.0), (2.0, 4.0, 3.0)])
    assert [sum(start <= due < start + 1.0 for due in due_s) for start in range(4)] == [10, 20, 60, 30]


def test_a_surge_of_factor_zero_is_a_pause() -> None:
    due_s = schedule(1, 10.0, 3.0, "even", [(1.0, 2.0, 0.0)])
    assert len(due_s) == 20
    assert not [due for due in due_s if 1.0 <= due < 2.0]


def test_rounds_differ_from_each_other_and_from_the_seed_itself() -> None:
    seeds = {1, *(round_seed(1, number) for number in range(10)), *(round_seed(2, number) for number in range(10))}
    assert len(seeds) == 21


def test_the_digest_tells_apart_times_customers_and_orders() -> None:
    def of(seed: int, due_s: list[float]) -> str:
        return digest(due_s, SAGA.workload(WorkloadPlan(seed=seed, arrivals=len(due_s))))

    due_s = schedule(1, 25.0, 2.0, "poisson")
    assert of(1, due_s) == of(1, list(due_s))
    assert of(1, due_s) != of(2, due_s)
    assert of(1, due_s) != of(1, [*due_s[:-1], due_s[-1] + 1e-6])
    assert of(1, due_s) != of(1, due_s[:-1])
