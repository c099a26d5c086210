"""``create-order``: an order is created, paid, reserved, approved and confirmed.

Steps, events and tables follow chapter 5 ("Distributed Transactions"), sections 5.2, 5.3.1 and 5.6.1, of the source
that this project implements. Refusals come from the data: some customers have no money, some SKUs run out.
"""

from __future__ import annotations

from bisect import bisect
from collections.abc import Iterable, Mapping
from itertools import accumulate
from typing import Annotated

import msgspec

from harness.core.saga import Compensation, Ending, Saga, Step, StepKind, WorkloadPlan
from harness.core.seeded import uniform
from harness.participants import inventory, notification, order, payment

Text = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
Count = Annotated[int, msgspec.Meta(ge=1, le=1_000)]
Cents = Annotated[int, msgspec.Meta(ge=1, le=100_000_00)]


class Line(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One SKU of the basket."""

    sku: Text
    quantity: Count
    unit_price_cents: Cents


class CreateOrder(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a customer asks for: one to five lines, each of another SKU."""

    customer: Text
    lines: Annotated[tuple[Line, ...], msgspec.Meta(min_length=1, max_length=5)]

    def __post_init__(self) -> None:
        # DynamoDB refuses a transaction that touches one item twice, so a SKU that came twice could never be reserved.
        if len({line.sku for line in self.lines}) != len(self.lines):
            raise ValueError("every line must name another sku")

    @property
    def total_cents(self) -> int:
        """What the order costs."""
        return sum(line.quantity * line.unit_price_cents for line in self.lines)


CUSTOMERS = 500
POOR_CUSTOMERS = 50
SKUS = 200
SCARCE_SKUS = 10
ZIPF_EXPONENT = 1.0
RICH_CENTS = 10**12
PLENTY = 10**9
CHEAPEST_CENTS = 500


class OrderWorkload:
    """Customers, baskets and the stock that some of them find gone.

    Of all arrivals, ``cannot_pay_share`` come from customers whose balance covers no order at all. Twice
    ``out_of_stock_share`` want one unit of a scarce SKU besides the rest, and half of those units are on the shelf.
    SKU popularity is Zipf with exponent 1.
    """

    def __init__(self, plan: WorkloadPlan) -> None:
        self._plan = plan
        self._popularity = list(accumulate(1 / rank**ZIPF_EXPONENT for rank in range(1, SKUS + 1)))

    def request(self, arrival: int) -> CreateOrder:
        """The basket of this arrival, and who wants it."""
        size = 1 + int(5 * self._draw("size", arrival))
        skus = dict.fromkeys(self._popular_sku(arrival, line) for line in range(size))
        if self._wants_scarce(arrival):
            skus = dict.fromkeys([self._scarce_sku(arrival), *list(skus)[: size - 1]])
        lines = tuple(
            Line(
                sku,
                quantity=1 if sku.startswith("scarce") else 1 + int(3 * self._draw("quantity", arrival, sku)),
                unit_price_cents=CHEAPEST_CENTS + int(10_000 * self._draw("price", sku)),
            )
            for sku in skus
        )
        return CreateOrder(customer=self.subject(arrival), lines=lines)

    def subject(self, arrival: int) -> str:
        """The customer of this arrival."""
        which = self._draw("customer", arrival)
        if self._cannot_pay(arrival):
            return f"poor-{int(POOR_CUSTOMERS * which)}"
        return f"customer-{int(CUSTOMERS * which)}"

    def initial_items(self) -> Iterable[tuple[str, str, Mapping[str, object]]]:
        """Balances and stock before the first arrival."""
        for number in range(CUSTOMERS):
            yield "payment", "balances", {"id": f"customer-{number}", "cents": RICH_CENTS}
        for number in range(POOR_CUSTOMERS):
            yield "payment", "balances", {"id": f"poor-{number}", "cents": CHEAPEST_CENTS - 1}
        for number in range(SKUS):
            yield "inventory", "stock", {"id": f"sku-{number}", "on_hand": PLENTY}
        demand = dict.fromkeys((f"scarce-{number}" for number in range(SCARCE_SKUS)), 0)
        for arrival in range(self._plan.arrivals):
            if self._wants_scarce(arrival):
                demand[self._scarce_sku(arrival)] += 1
        for sku, units in demand.items():
            yield "inventory", "stock", {"id": sku, "on_hand": units // 2}

    def _draw(self, *key: str | int) -> float:
        return uniform(self._plan.seed, "create-order", *key)

    def _cannot_pay(self, arrival: int) -> bool:
        cannot_pay, _ = self._plan.shares(arrival)
        return self._draw("class", arrival) < cannot_pay

    def _wants_scarce(self, arrival: int) -> bool:
        cannot_pay, out_of_stock = self._plan.shares(arrival)
        return cannot_pay <= self._draw("class", arrival) < cannot_pay + 2 * out_of_stock

    def _scarce_sku(self, arrival: int) -> str:
        return f"scarce-{int(SCARCE_SKUS * self._draw('scarce', arrival))}"

    def _popular_sku(self, arrival: int, line: int) -> str:
        return f"sku-{bisect(self._popularity, self._draw('sku', arrival, line) * self._popularity[-1])}"


SAGA = Saga(
    name="create-order",
    requested="OrderRequested",
    steps=(
        Step(
            "create",
            "order",
            StepKind.COMPENSATABLE,
            order.create,
            succeeded="OrderCreated",
            compensation=Compensation("reject", "OrderRejected", order.reject),
        ),
        Step(
            "charge",
            "payment",
            StepKind.COMPENSATABLE,
            payment.charge,
            succeeded="PaymentProcessed",
            refused="PaymentFailed",
            compensation=Compensation("refund", "PaymentRefunded", payment.refund),
        ),
        Step(
            "reserve",
            "inventory",
            StepKind.PIVOT,
            inventory.reserve,
            succeeded="InventoryReserved",
            refused="InventoryUnavailable",
            compensation=Compensation("release", "InventoryReleased", inventory.release),
        ),
        Step("approve", "order", StepKind.RETRIABLE, order.approve, succeeded="OrderApproved"),
        Step("confirm", "notification", StepKind.RETRIABLE, notification.confirm, succeeded="OrderConfirmed"),
    ),
    after_compensation=(
        Step("cancel", "notification", StepKind.RETRIABLE, notification.cancel, succeeded="OrderCancelled"),
    ),
    tables={
        "order": order.TABLES,
        "payment": payment.TABLES,
        "inventory": inventory.TABLES,
        "notification": notification.TABLES,
    },
    request=CreateOrder,
    workload=OrderWorkload,
    endings=(
        Ending("order", "orders", "status", completed="APPROVED", compensated="REJECTED"),
        Ending("payment", "journal", "status", completed="CHARGED", compensated="REFUNDED"),
    ),
    owner=lambda request: str(request.customer),
)
