"""The storms that come with sagastorm: each fits any load, leaves room to see a before and an after, and strikes."""

from __future__ import annotations

import tomllib
from importlib.resources import files

import pytest

from chaos.engine import decides
from chaos.injector import Port
from chaos.storm import Fault, Storm, load, shipped
from harness import registry
from harness.load.arrivals import arrivals, round_seed
from harness.load.plan import LoadPlan
from harness.sagas.create_order import SAGA

NAMES = {
    "calm", "default", "timeouts", "duplicates", "overload", "blackout", "brownout", "poison", "crashes", "split-brain",
    "retry-storm", "everything",
}  # fmt: skip
DURATIONS_S = (10.0, 25.0, 120.0)
every_storm = pytest.mark.parametrize("name", sorted(NAMES))


def raging(storm: Storm, duration_s: float) -> list[Fault]:
    """Its faults but for those that last for the whole load, which recovery is not counted from."""
    return [fault for fault in storm.faults if (fault.start_s, fault.end_s) != (0, duration_s)]


def test_all_are_shipped_and_no_others() -> None:
    assert set(shipped()) == NAMES


@every_storm
@pytest.mark.parametrize("duration_s", DURATIONS_S)
def test_storm_leaves_time_before_it_and_after_it(name: str, duration_s: float) -> None:
    storm = load(name, SAGA, duration_s, 10)
    faults = raging(storm, duration_s)
    assert bool(faults) == (name != "calm")
    assert all(0.2 * duration_s <= fault.start_s < fault.end_s <= 0.8 * duration_s for fault in faults)


@every_storm
def test_description_is_one_line(name: str) -> None:
    description = load(name, SAGA, 25, 10).description
    assert 20 < len(description) < 110
    assert "\n" not in description
    assert description.endswith(".")


@every_storm
def test_storm_that_names_participants_or_steps_says_for_which_saga_it_is(name: str) -> None:
    text = files("chaos").joinpath("storms", f"{name}.toml").read_text(encoding="utf-8")
    named = any({"participant", "step"} & fault.keys() for fault in tomllib.loads(text).get("fault", []))
    assert ("create-order" in text) == named


def test_every_kind_of_fault_is_in_everything() -> None:
    kinds = {fault.kind for fault in load("everything", SAGA, 25, 10).faults}
    assert kinds == set(registry.names("fault"))


@every_storm
@pytest.mark.parametrize(("rate_per_s", "duration_s"), [(10.0, 30.0), (25.0, 25.0)])
def test_default_seed_has_every_fault_strike_some_saga_of_a_short_load(
    name: str, rate_per_s: float, duration_s: float
) -> None:
    storm = load(name, SAGA, duration_s, rate_per_s)
    plan = LoadPlan(
        saga="create-order",
        topology="choreographed",
        ingress_url="http://127.0.0.1:1",
        audience="a",
        seed=1,
        rate_per_s=rate_per_s,
        duration_s=duration_s,
        spool_dir="spool",
        targets_dir="targets",
    )
    due_s = arrivals(storm.planned(plan))
    for fault in storm.faults:
        steps = [step.name for step in SAGA.steps if fault.step in (None, step.name)]
        first_tries = "0.1.1" if fault.injector(1).port is Port.TRANSPORT else "0.1"
        struck = [
            (arrival, step)
            for arrival, at_s in enumerate(due_s)
            for step in steps
            if fault.start_s <= at_s < fault.end_s and decides(round_seed(1, 0), fault, arrival, step, first_tries)
        ]
        assert struck, fault.name
