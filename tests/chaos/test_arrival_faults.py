"""Faults that are in the load itself: when sagas arrive, and what they ask for."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from chaos.faults.refusals import Refusals
from chaos.injector import Strike
from chaos.storm import Fault, Storm
from harness.core.saga import Spell, WorkloadPlan
from harness.load.arrivals import arrivals, digest, workload_plan
from harness.load.plan import LoadPlan
from harness.sagas.create_order import SAGA
from tests.chaos.acting import Act
from tests.virtual_time import in_virtual_time

PLAN = LoadPlan(
    saga="create-order",
    topology="orchestrated",
    ingress_url="http://127.0.0.1:1",
    audience="a",
    seed=1,
    rate_per_s=50.0,
    duration_s=40.0,
    spool_dir="spool",
    targets_dir="targets",
)


def storm(kind: str, **options: float) -> Storm:
    """One fault, from 10 s to 20 s of the load."""
    fault = Fault(name="f", kind=kind, probability=1.0, start_s=10.0, end_s=20.0, options=options)
    return Storm(name="s", description="", faults=(fault,))


def refusing(**shares: float) -> LoadPlan:
    return storm("refusals", **shares).planned(PLAN)


def of_customers(plan: LoadPlan) -> tuple[list[float], list[str], list[bool]]:
    """When each arrival is due, who makes it, and whether it wants what is scarce."""
    due_s = arrivals(plan)
    workload = SAGA.workload(workload_plan(plan, due_s))
    requests = [workload.request(number) for number in range(len(due_s))]
    scarce = [any(line.sku.startswith("scarce") for line in request.lines) for request in requests]
    return due_s, [request.customer for request in requests], scarce


def share(chosen: list[bool], due_s: list[float], start_s: float, end_s: float) -> float:
    inside = [one for one, due in zip(chosen, due_s, strict=True) if start_s <= due < end_s]
    return sum(inside) / len(inside)


def test_surge_is_in_the_plan_of_the_load() -> None:
    assert storm("surge", factor=3).planned(PLAN).surges == ((10.0, 20.0, 3.0),)


def test_more_customers_cannot_pay_in_the_window_and_as_many_as_ever_outside() -> None:
    due_s, customers, _ = of_customers(refusing(cannot_pay_share=0.4))
    poor = [customer.startswith("poor") for customer in customers]
    assert share(poor, due_s, 10, 20) == pytest.approx(0.4, abs=0.06)
    assert share(poor, due_s, 0, 10) < 0.1
    assert share(poor, due_s, 20, 40) < 0.1


def test_more_find_no_stock_in_the_window() -> None:
    due_s, _, scarce = of_customers(refusing(out_of_stock_share=0.25))
    assert share(scarce, due_s, 10, 20) == pytest.approx(0.5, abs=0.07), "half of those find one"
    assert share(scarce, due_s, 20, 40) < 0.15


def test_refusals_change_nothing_outside_their_window_and_no_time_of_arrival() -> None:
    due_s, customers, scarce = of_customers(PLAN)
    changed_s, changed_customers, changed_scarce = of_customers(refusing(cannot_pay_share=0.5, out_of_stock_share=0.2))
    assert changed_s == due_s
    outside = [number for number, due in enumerate(due_s) if not 10 <= due < 20]
    assert [changed_customers[n] for n in outside] == [customers[n] for n in outside]
    assert [changed_scarce[n] for n in outside] == [scarce[n] for n in outside]


def test_who_is_refused_anyway_is_refused_in_the_window_too() -> None:
    _, usual, _ = of_customers(PLAN)
    _, changed, _ = of_customers(refusing(cannot_pay_share=0.5))
    poor, poorer = ({n for n, name in enumerate(names) if name.startswith("poor")} for names in (usual, changed))
    assert poor < poorer


def test_share_below_the_run_s_own_changes_nothing() -> None:
    assert of_customers(refusing(cannot_pay_share=0.01)) == of_customers(PLAN)


def test_load_with_more_refusals_has_another_digest_and_the_same_one_each_time() -> None:
    def of(plan: LoadPlan) -> str:
        due_s = arrivals(plan)
        return digest(due_s, SAGA.workload(workload_plan(plan, due_s)))

    assert of(refusing(cannot_pay_share=0.4)) == of(refusing(cannot_pay_share=0.4)) != of(PLAN)


def test_of_several_spells_the_worst_counts() -> None:
    plan = WorkloadPlan(1, 100, 0.05, 0.1, (Spell(range(10, 30), 0.2, 0.0), Spell(range(20, 40), 0.1, 0.3)))
    assert [plan.shares(arrival) for arrival in (9, 10, 29, 30, 40)] == [
        (0.05, 0.1), (0.2, 0.1), (0.2, 0.3), (0.1, 0.3), (0.05, 0.1),
    ]  # fmt: skip


@pytest.mark.parametrize("options", [{}, {"cannot_pay_share": 0.0}, {"cannot_pay_share": 0.6}])
def test_refusals_that_are_none_or_too_many_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(options, Refusals.Options)


def test_refusals_have_no_business_in_a_worker() -> None:
    with pytest.raises(AssertionError, match="not struck in a worker"):
        in_virtual_time(Refusals(Refusals.Options(cannot_pay_share=0.1), workers=1).strike(Strike(), Act()))
