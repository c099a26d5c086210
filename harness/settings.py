"""What a run is asked to do, checked and complete. Where the values come from is :mod:`harness.cli.options`'s matter."""

from __future__ import annotations

import msgspec

from harness.core.mitigations import Mitigations


class RunSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that decides a run besides the machine and the code; ``run.json`` keeps it and ``replay`` takes it."""

    saga: str = "create-order"
    topologies: tuple[str, ...] = ("orchestrated", "choreographed")
    interleave: str = "ABBA"
    """One letter a block: A is the first topology, B the second, and so on. The n-th A and the n-th B are a round."""
    storm: str = "default"
    """Name of a shipped storm, or path of a TOML file."""
    scenario: str = "create_order"
    """Name of a file in ``scenarios/``, or path of a locustfile."""
    rate_per_s: float = 25.0
    arrivals: str = "poisson"
    """``poisson`` or ``even``."""
    duration_s: float = 25.0
    """Of the load, of each block."""
    seed: int = 1
    workers: int = 1
    load_processes: int = 1
    max_in_flight: int = 2000
    """Sagas under way in each load process; an arrival beyond it is dropped, and counted."""
    drain_limit_s: float = 60.0
    cannot_pay_share: float = 0.05
    out_of_stock_share: float = 0.05
    mitigations: Mitigations = Mitigations()
    backend: str = "embedded"
    endpoints: dict[str, str] | None = None
    """Service to URL of an emulator that is already running; none: one that is started for each block."""
    scaled: tuple[str, ...] = ()
    """Fields that nobody chose, and that the run sets by the backend's capacity before the first load."""
