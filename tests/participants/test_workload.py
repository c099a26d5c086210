"""The seeded workload of ``create-order``: who orders what, and what some of them find gone."""

from __future__ import annotations

from collections import Counter
from hashlib import blake2b

import msgspec
import pytest

from harness.core.saga import WorkloadPlan
from harness.sagas.create_order import CHEAPEST_CENTS, PLENTY, RICH_CENTS, SAGA, CreateOrder, OrderWorkload

ARRIVALS = 4000


def workload(seed: int = 1, **changes: float) -> OrderWorkload:
    """The workload of a run of :data:`ARRIVALS`."""
    return OrderWorkload(WorkloadPlan(seed=seed, arrivals=ARRIVALS, **changes))


def requests(made: OrderWorkload) -> list[CreateOrder]:
    """All requests."""
    return [made.request(arrival) for arrival in range(ARRIVALS)]


def digest(made: OrderWorkload) -> str:
    """Over all requests and all that is there before them."""
    whole = msgspec.json.encode((requests(made), list(made.initial_items())))
    return blake2b(whole, digest_size=16).hexdigest()


def test_same_seed_makes_the_same_requests_and_another_seed_others() -> None:
    assert digest(workload(seed=1)) == digest(workload(seed=1))
    assert digest(workload(seed=1)) != digest(workload(seed=2))


def test_request_does_not_depend_on_which_were_asked_for_before() -> None:
    forward, alone = workload(), workload()
    for arrival in range(100):
        forward.request(arrival)

    assert forward.request(100) == alone.request(100)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_about_one_in_twenty_cannot_pay_and_one_in_ten_wants_what_is_scarce(seed: int) -> None:
    made = requests(workload(seed))
    poor = sum(request.customer.startswith("poor") for request in made)
    scarce = [request for request in made if any(line.sku.startswith("scarce") for line in request.lines)]

    assert poor == pytest.approx(0.05 * ARRIVALS, rel=0.2)
    assert len(scarce) == pytest.approx(0.10 * ARRIVALS, rel=0.2)
    assert not any(request.customer.startswith("poor") for request in scarce)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_scarce_stock_is_half_of_what_is_wanted_so_one_in_twenty_finds_it_gone(seed: int) -> None:
    made = workload(seed)
    wanted = Counter(line.sku for request in requests(made) for line in request.lines if line.sku.startswith("scarce"))
    shelf = {
        item["id"]: item["on_hand"]
        for _, table, item in made.initial_items()
        if table == "stock" and str(item["id"]).startswith("scarce")
    }

    assert shelf == {sku: wanted[str(sku)] // 2 for sku in shelf}
    assert wanted.keys() <= shelf.keys()
    gone = sum(wanted.values()) - sum(units for units in shelf.values() if isinstance(units, int))
    assert gone == pytest.approx(0.05 * ARRIVALS, rel=0.2)


def test_shares_of_zero_leave_nobody_poor_and_nothing_scarce() -> None:
    made = requests(workload(cannot_pay_share=0.0, out_of_stock_share=0.0))

    assert not any(request.customer.startswith("poor") for request in made)
    assert not any(line.sku.startswith("scarce") for request in made for line in request.lines)


def test_nobody_poor_can_pay_for_anything_and_everybody_else_for_everything() -> None:
    made = workload()
    balances = {item["id"]: item["cents"] for _, table, item in made.initial_items() if table == "balances"}
    spent: Counter[str] = Counter()
    for request in requests(made):
        if request.customer.startswith("poor"):
            assert request.total_cents > CHEAPEST_CENTS - 1 == balances[request.customer]
        else:
            spent[request.customer] += request.total_cents

    assert all(balances[customer] == RICH_CENTS > cents for customer, cents in spent.items())


def test_what_is_not_scarce_never_runs_out() -> None:
    made = workload()
    wanted = Counter[str]()
    for request in requests(made):
        for line in request.lines:
            wanted[line.sku] += line.quantity
    shelf = {item["id"]: item["on_hand"] for _, table, item in made.initial_items() if table == "stock"}

    assert all(shelf[sku] == PLENTY > units for sku, units in wanted.items() if sku.startswith("sku"))


def test_requests_are_what_the_ingress_accepts_and_belong_to_their_subject() -> None:
    made = workload()
    for arrival in range(500):
        request = made.request(arrival)
        assert msgspec.json.decode(msgspec.json.encode(request), type=CreateOrder) == request
        assert SAGA.owner is not None
        assert SAGA.owner(request) == made.subject(arrival)


def test_popular_skus_are_wanted_far_more_often_than_others() -> None:
    wanted = Counter(line.sku for request in requests(workload()) for line in request.lines)

    assert wanted["sku-0"] > 5 * wanted["sku-20"] > 0


def test_basket_that_names_a_sku_twice_is_refused() -> None:
    body = {"customer": "ann", "lines": 2 * [{"sku": "sku-1", "quantity": 1, "unit_price_cents": 100}]}

    with pytest.raises(msgspec.ValidationError, match="another sku"):
        msgspec.convert(body, CreateOrder)
