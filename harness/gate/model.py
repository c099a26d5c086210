"""The few types of a gate, for whoever asks (``sagastorm gate``, ``sagastorm check``, the pytest plugin).

::

    gates  = read_gates(Path("gates.toml"))          # harness.gate.read: UsageError with everything wrong, before any run
    cases  = cases_of(settings, resolved_storm)      # harness.gate.cases: what a run with these settings would be
    refuse_idle(gates, cases, has_base=True)         # harness.gate.reach: ... and for gates that could match nothing
    report = judge_gates(gates, runs, base)          # harness.gate.judge: runs as read by harness.report.write.read_report
    write_outputs(folder, report, runs)              # harness.gate.outputs: gates.json, junit.xml, summary.md, ...
    sys.exit(report.exit_code)

A gate is asked of every case (a saga under a storm in a topology) that its filters let through, over all complete blocks
of that case's runs; each time is one finding. ``inconclusive`` is never a pass, and never hides a fail.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from harness.core.errors import EXIT_FAIL, EXIT_INCONCLUSIVE, EXIT_PASS
from harness.core.verdict import RunVerdict
from harness.report.compare import Interval

BASE = "base"
TOPOLOGY = "topology:"
MITIGATIONS = "mitigations:"
"""How ``against`` begins where it names another topology, or the mitigations of other runs."""


class Tier(StrEnum):
    """How hard a gate is."""

    INVARIANT = "invariant"
    """No tolerance."""
    RELATIVE = "relative"
    """Against something that was measured beside it, on blocks that met the same arrivals."""
    ABSOLUTE = "absolute"
    """A cliff: loose, for machines differ."""


class Window(StrEnum):
    """Sagas by their scheduled arrival: before the storm's first moment, from it to its last, after it."""

    BEFORE = "before"
    DURING = "during"
    AFTER = "after"


class Quantity(StrEnum):
    """What of the metric is held against the limit."""

    VALUE = "value"
    RATIO = "ratio"
    """To the same metric of what it is against."""
    DIFFERENCE = "difference"
    """From it: of metrics that are a share."""


class Gate(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is asked. A filter that is ``None`` lets everything through."""

    name: str
    tier: Tier
    metric: str
    """Path below a topology in ``summary.json``, or a name from :mod:`harness.gate.metrics`."""
    quantity: Quantity = Quantity.VALUE
    operator: str
    """``<``, ``<=``, ``>``, ``>=`` or ``==``: between what is observed and the limit."""
    limit: float
    """In ``unit``; a share as a fraction."""
    unit: str = ""
    topology: str | None = None
    saga: str | None = None
    storm: str | None = None
    window: Window | None = None
    against: str | None = None
    """``base``, ``topology:<name>`` or ``mitigations:<name>=<value>,…``; of relative gates only."""
    min_samples: int = 1
    """Ended sagas (for a relative gate: of each side) with fewer of which it is inconclusive."""


class Gates(msgspec.Struct, frozen=True, kw_only=True):
    """All that is asked, invariants first. ``left_out``: what was narrowed by name, so that every report can say so."""

    gates: tuple[Gate, ...]
    source: str
    left_out: tuple[str, ...] = ()

    @property
    def need_base(self) -> bool:
        """Whether any gate is against a base."""
        return any(gate.against == BASE for gate in self.gates)

    def without_base(self) -> Gates:
        """Those that need no base; the others are left out by name."""
        kept = tuple(gate for gate in self.gates if gate.against != BASE)
        dropped = tuple(gate.name for gate in self.gates if gate.against == BASE)
        return msgspec.structs.replace(self, gates=kept, left_out=self.left_out + dropped)


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """What a gate is asked of. ``mitigations``: those that are not at their default, as on the command line."""

    saga: str
    storm: str
    topology: str
    mitigations: str = ""
    faults: tuple[str, ...] = ()
    """Of the storm, by name. Without one there is no before, during and after."""

    @property
    def told(self) -> str:
        """In one line."""
        changed = f", {self.mitigations}" if self.mitigations else ""
        return f"{self.saga}, {self.storm}, {self.topology}{changed}"


class Witness(msgspec.Struct, frozen=True, kw_only=True):
    """A saga to look at: ``sagastorm audit RUN``, or its journey in the run's page. ``block`` counts from 0."""

    run_id: str
    block: int
    topology: str
    saga_id: str | None
    says: str


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One gate's answer on one case. ``why`` is one sentence, whatever the outcome."""

    gate: Gate
    case: Case
    outcome: RunVerdict
    why: str
    observed: float | None = None
    """In the gate's unit; ``None`` where it was not measured."""
    interval: Interval | None = None
    """Of relative gates: of the ratio or the difference."""
    as_measured: float | None = None
    """Of times against a base: the ratio itself, where ``observed`` is what it is at equal speed of the machine."""
    samples: int | None = None
    """Ended sagas that it was made from (of a relative gate: of the side that has fewer)."""
    pairs: int | None = None
    """Of relative gates: pairs that met the same arrivals; of runs, or of the blocks of one run."""
    detects: float | None = None
    """Of relative gates: what would have been found in nine of ten such checks, in the gate's unit."""
    witness: Witness | None = None


class RunFacts(msgspec.Struct, frozen=True, kw_only=True):
    """One of the runs that were judged."""

    run_id: str
    commit: str | None
    started_at: str
    seed: int
    saga: str
    storm: str
    verdict: str


class GateReport(msgspec.Struct, frozen=True, kw_only=True):
    """The content of ``gates.json``, with :attr:`verdict` beside it."""

    findings: tuple[Finding, ...]
    source: str
    runs: tuple[RunFacts, ...]
    base: tuple[RunFacts, ...] = ()
    left_out: tuple[str, ...] = ()

    @property
    def verdict(self) -> RunVerdict:
        """A fail beats an inconclusive beats a pass; nothing asked is no evidence."""
        outcomes = {finding.outcome for finding in self.findings}
        for outcome in (RunVerdict.FAIL, RunVerdict.INCONCLUSIVE):
            if outcome in outcomes:
                return outcome
        return RunVerdict.PASS if outcomes else RunVerdict.INCONCLUSIVE

    @property
    def exit_code(self) -> int:
        """0 pass, 1 fail, 3 inconclusive."""
        codes = {
            RunVerdict.PASS: EXIT_PASS,
            RunVerdict.FAIL: EXIT_FAIL,
            RunVerdict.INCONCLUSIVE: EXIT_INCONCLUSIVE,
        }
        return codes[self.verdict]

    def of(self, outcome: RunVerdict) -> list[Finding]:
        """The findings with this outcome, in their order."""
        return [finding for finding in self.findings if finding.outcome is outcome]
