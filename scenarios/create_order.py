"""Customers who order: ``locust -f scenarios/create_order.py --headless``, or without ``--headless`` from the web UI."""

from __future__ import annotations

from scenarios.open_arrivals import OpenArrivals


class CreateOrder(OpenArrivals):
    """The load of the create-order saga."""

    saga = "create-order"
