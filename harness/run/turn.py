"""Which block it is, of which run: all that a block is made from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from chaos.storm import Storm
from harness.history.spool import spool_folder
from harness.load.plan import LoadPlan
from harness.settings import RunSettings
from harness.topologies.policy import RetryPolicy


@dataclass(frozen=True)
class Turn:
    """Which block this is, of which run."""

    number: int
    topology: str
    round: int
    run_id: str
    folder: Path
    settings: RunSettings
    storm: Storm
    policy: RetryPolicy
    key: str

    @property
    def namespace(self) -> str:
        """Names this block's resources and nobody else's."""
        return f"ss-{self.run_id}-{self.number}"

    @property
    def spool_dir(self) -> Path:
        """Where this block's processes write their records, until the history has them."""
        return spool_folder(self.folder, self.number)

    @property
    def work_dir(self) -> Path:
        """What this block's processes are told and announce, while they live."""
        return self.folder / "work" / str(self.number)

    @property
    def targets_dir(self) -> Path:
        """Where this block's processes announce their metrics."""
        return self.work_dir / "targets"

    @property
    def plan_path(self) -> Path:
        """The load generator's orders."""
        return self.work_dir / "plan.json"

    @property
    def logs(self) -> Path:
        """What this block's processes print."""
        return self.folder / "logs" / str(self.number)

    def plan(self, ingress_url: str, epoch_ns: int | None) -> LoadPlan:
        """The load, once it is known where to."""
        settings = self.settings
        plan = LoadPlan(
            saga=settings.saga,
            topology=self.topology,
            ingress_url=ingress_url,
            audience=self.namespace,
            seed=settings.seed,
            round=self.round,
            rate_per_s=settings.rate_per_s,
            shape=settings.arrivals,
            duration_s=settings.duration_s,
            cannot_pay_share=settings.cannot_pay_share,
            out_of_stock_share=settings.out_of_stock_share,
            epoch_ns=epoch_ns,
            spool_dir=str(self.spool_dir),
            targets_dir=str(self.targets_dir),
            outcome_wait_s=settings.drain_limit_s,
            max_in_flight=settings.max_in_flight,
        )
        return self.storm.planned(plan)
