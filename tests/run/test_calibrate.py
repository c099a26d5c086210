"""What nobody chose follows from what the backend carries; what somebody chose stays."""

from __future__ import annotations

import pytest

from harness.core.errors import EnvironmentFailure
from harness.history.run_file import Instrument
from harness.run.calibrate import LADDER_PER_S, LONGEST_S, calibrated
from harness.settings import RunSettings

BOTH = ("rate_per_s", "duration_s")


def carrying(orchestrated: float, choreographed: float = 1000.0) -> Instrument:
    """A backend with this capacity."""
    shapes = {"orchestrated": orchestrated, "choreographed": choreographed}
    return Instrument(hops={}, call_cpu_ms=0.5, capacity_sagas_per_s=shapes)


def load(settings: RunSettings, instrument: Instrument) -> tuple[float, float]:
    made = calibrated(settings, instrument)
    assert made.scaled == ()
    return made.rate_per_s, made.duration_s


@pytest.mark.parametrize(
    ("capacity", "rate_per_s"),
    [(2.0, 1), (2.99, 1), (3.0, 1.5), (5.9, 2), (7.8, 3), (49.9, 20), (50, 25), (500, 25)],
)
def test_rate_is_half_of_the_capacity_or_the_next_step_below(capacity: float, rate_per_s: float) -> None:
    assert load(RunSettings(scaled=BOTH), carrying(capacity))[0] == rate_per_s


def test_slower_topology_decides_whichever_it_is_and_only_if_it_is_run() -> None:
    assert load(RunSettings(scaled=BOTH), carrying(20, 8))[0] == 4
    alone = RunSettings(scaled=BOTH, topologies=("orchestrated",))
    assert load(alone, carrying(20, 8))[0] == 10


def test_topology_whose_shape_is_not_known_is_given_no_more_than_any() -> None:
    settings = RunSettings(scaled=BOTH, topologies=("somebody-elses",))
    assert load(settings, carrying(20, 8))[0] == 4


@pytest.mark.parametrize(("rate_per_s", "duration_s"), [(1, 120), (2, 120), (3, 100), (8, 38), (12, 25), (25, 25)])
def test_load_lasts_until_there_are_arrivals_enough_within_limits(rate_per_s: float, duration_s: float) -> None:
    assert load(RunSettings(scaled=BOTH), carrying(2 * rate_per_s)) == (rate_per_s, duration_s)
    assert load(RunSettings(scaled=("duration_s",), rate_per_s=rate_per_s), carrying(2)) == (rate_per_s, duration_s)


def test_duration_that_was_chosen_stays_beside_a_rate_that_was_not() -> None:
    assert load(RunSettings(scaled=("rate_per_s",), duration_s=7), carrying(8)) == (4, 7)


def test_backend_that_carries_next_to_nothing_is_an_environment_failure_that_names_the_figure() -> None:
    with pytest.raises(EnvironmentFailure, match=r"carries 1\.9 sagas/s, half of which is less than 1/s"):
        calibrated(RunSettings(scaled=BOTH), carrying(1.9))


def test_backend_that_carries_next_to_nothing_is_used_at_a_rate_that_somebody_chose() -> None:
    assert load(RunSettings(scaled=("duration_s",), rate_per_s=0.5), carrying(0.1)) == (0.5, LONGEST_S)


def test_ladder_rises_to_the_rate_of_the_embedded_backend() -> None:
    assert list(LADDER_PER_S) == sorted(set(LADDER_PER_S))
    assert LADDER_PER_S[-1] == RunSettings().rate_per_s
