"""What must hold in every world: safety at every moment, and an end once faults have stopped."""

from __future__ import annotations

from dataclasses import dataclass

from harness.audit.auditor import Anomaly, audit_block
from harness.audit.check import Finding
from harness.core.verdict import Verdict
from tests.world.chronicle import CHECKS, snapshot
from tests.world.trace import Line
from tests.world.world import ARRIVAL_GAP_S, LIMIT_S, Parts, Plan, World

ENDS_WITHIN_S = 12.0
"""Virtual time from the last effect of a fault to the end of every saga. Then one delivery may still be waited for (4 s
until it is visible again) and one state may time out once more and back off (3 s and 4 s); all the rest is hops."""
CUTS_S = (1.0, 4.0, 12.0, 30.0)
"""Moments at which the world is judged as if it ended there."""
_ATOMIC = ("money-or-stock-mismatch", "compensation-without-step")
"""Checks that wait for rest because real tables are read one after the other. A world can be read at one moment."""


@dataclass(frozen=True)
class Flaw:
    """What did not hold: an anomaly's name, or what came to no end, with a line that says more."""

    name: str
    witness: str
    t_s: float


class Watch:
    """Looks at a saga whenever something has happened to it, and at everything at some moments and in the end."""

    def __init__(self, parts: Parts, plan: Plan) -> None:
        self.world = World(parts, plan)
        self.flaws: list[Flaw] = []
        self._seen: tuple[int, int, int] = (0, 0, 0)
        self.world.trace.listener = self._look

    def run(self) -> None:
        """To the end, or to the first moment with a flaw."""
        world = self.world
        try:
            for cut_s in (*CUTS_S, LIMIT_S):
                world.run_on(cut_s)
                if not self.flaws:
                    self._judge()
                if self.flaws:
                    return
            self._judge_the_end()
        finally:
            world.simulation.close()

    def story(self) -> str:
        """The plan, what did not hold, and the life of the sagas concerned, in words."""
        world = self.world
        plan = world.plan
        named = [saga_id for saga_id in world.arrival_of if any(saga_id in flaw.witness for flaw in self.flaws)]
        flaws = [f"  at {flaw.t_s:.3f} s {flaw.name}: {flaw.witness}" for flaw in self.flaws]
        struck = [f"  {occasion}" for occasion in world.trace.struck if occasion.saga_id in named or not named]
        return "\n".join(
            [
                f"{plan.sagas} x {plan.saga.name}; {plan.trouble.in_words}",
                "What did not hold:",
                *flaws,
                "What struck:",
                *struck,
                "What happened:",
                world.trace.in_words(*named),
            ]
        )

    def _look(self, line: Line) -> None:
        world = self.world
        seen = world.store.commits, len(world.step_rows), len(world.ingress.ended_s)
        if seen != self._seen and line.saga_id in world.ingress.rows and not self.flaws:
            self._seen = seen
            self._add_all(audit_block(snapshot(world, line.saga_id), CHECKS).anomalies)

    def _judge(self) -> None:
        evidence = snapshot(self.world)
        audit = audit_block(evidence, CHECKS)
        self._add_all(audit.anomalies)
        for name in _ATOMIC:
            for finding in CHECKS[name].find(evidence):
                if isinstance(finding, Finding):
                    self._add(name, finding.witness)
        if self.world.drained and not self.flaws and audit.verdict is not Verdict.VALID:
            self._add("not valid", f"{audit.checks} {audit.notes}")

    def _judge_the_end(self) -> None:
        world = self.world
        for saga_id, arrival in world.arrival_of.items():
            if world.ingress.rows[saga_id].status == "rejected":
                continue
            ended_s = world.ingress.ended_s.get(saga_id, LIMIT_S)
            calm_s = max(world.trace.calm_s, ARRIVAL_GAP_S * arrival)
            if ended_s > calm_s + ENDS_WITHIN_S:
                self._add("no end in time", f"saga {saga_id}: all was calm from {calm_s:.3f} s on")
        left = (world.bus.pending, len(world.bus.dead_letters), world.driver.running())
        if not world.drained or any(left):
            self._add("no rest", "messages pending {}, dead {}, executions running {}".format(*left))

    def _add_all(self, anomalies: list[Anomaly]) -> None:
        for anomaly in anomalies:
            self._add(anomaly.name, anomaly.witness)

    def _add(self, name: str, witness: str) -> None:
        self.flaws.append(Flaw(name, witness, self.world.simulation.now_s))


def watched(parts: Parts, plan: Plan) -> Watch:
    """A world that was run and watched."""
    watch = Watch(parts, plan)
    watch.run()
    return watch
