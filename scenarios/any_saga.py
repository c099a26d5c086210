"""The load of any saga that is installed, ours or another package's: of the plan's, or of ``--saga NAME``."""

from __future__ import annotations

from typing import Any

from locust import events

from harness import registry
from scenarios.open_arrivals import OpenArrivals


class AnySaga(OpenArrivals):
    """Takes its customers and their orders from the saga's own workload."""


def _add_saga_option(parser: Any) -> None:
    parser.add_argument(
        "--saga",
        env_var="SAGASTORM_SAGA",
        choices=registry.names("saga") or None,
        default=None,
        help="Saga to load, where there is no plan",
    )


events.init_command_line_parser.add_listener(_add_saga_option)
