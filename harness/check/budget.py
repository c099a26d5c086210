"""How many repeats fit into a budget of time, and what they buy: the smallest change that the gates would find."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from harness.check.plan import MOST_REPEATS
from harness.core.errors import Problem, UsageError
from harness.gate.expression import told_value
from harness.gate.model import TOPOLOGY, Finding, Gates, Quantity, Tier
from harness.gate.relative import pairs_needed
from harness.settings import RunSettings

BLOCK_OVERHEAD_S = 11.0
RUN_OVERHEAD_S = 12.0
"""What a run takes beside its load: a backend, processes and a drain for each block; the instrument, audit and report.
On two cores with the embedded backend. As soon as a run was made, its own time is what counts."""
PAIRS = 8
"""Pairs that relative gates are given where nothing was asked for: with as many, over nine in ten checks of a build that was 16 %
slower failed on a shared machine (docs/gates.md), and a few that others spoilt can be left out."""


@dataclass(frozen=True)
class Pacing:
    """What was asked for: so many repeats, or as many as fit into so much time, or both: then no more than either."""

    repeats: int | None
    budget_s: float | None
    paired: bool
    """Runs are held against runs. Then a number of repeats that is even, so that each side goes first as often as the other."""
    usual: int = 1
    """What the gates are given where nothing was asked for, see :func:`repeats_for`."""
    needed: int = 1
    """With fewer, some gate against something cannot tell."""

    def wanted(self, done: int, spent_s: float, repeat_s: float) -> int:
        """How many repeats to make in all, after ``done`` of them took ``spent_s``, if another takes ``repeat_s``."""
        if self.budget_s is None:
            return self.repeats or self.usual + (self.usual % 2 if self.paired else 0)
        fit = done + int(max(0.0, self.budget_s - spent_s) // repeat_s)
        return max(self._even(min(self.repeats or MOST_REPEATS, fit)), done, 1)

    def shortage(self, repeat_s: float) -> str | None:
        """What is told of a check that is planned with so few repeats that some gate is going to be inconclusive."""
        wanted = self.wanted(0, 0.0, repeat_s)
        if wanted >= self.needed:
            return None
        takes = f"{self.needed} repeats, about {minutes(self.needed * repeat_s)}"
        planned = "1 repeat is" if wanted == 1 else f"{wanted} repeats are"
        return f"Too few to tell: {planned} planned, and gates against something take {takes}."

    def check(self, repeat_s: float) -> None:
        """Raises :class:`~harness.core.errors.UsageError` where not even one repeat fits."""
        if self.budget_s is not None and repeat_s > self.budget_s:
            raise UsageError([Problem("--budget", minutes(self.budget_s), f"{minutes(repeat_s)} or more: one repeat")])

    def _even(self, repeats: int) -> int:
        odd = self.paired and repeats % 2 and repeats > self.needed
        return repeats - 1 if odd else repeats


def repeats_for(gates: Gates, interleave: str, pairs: int | None = None) -> int:
    """With how many repeats relative gates have so many pairs, or as many as they cannot do without; 1 where there are none.

    Two runs make one pair, however many blocks they have; topologies of one run as many as it has turns of both.
    """
    turns = min(Counter(interleave).values())
    relative = [gate for gate in gates.gates if gate.against]
    return max(
        (
            math.ceil(
                (pairs or pairs_needed(gate.metric)) / (turns if (gate.against or "").startswith(TOPOLOGY) else 1)
            )
            for gate in relative
        ),
        default=1,
    )


def planned_run_s(settings: RunSettings) -> float:
    """How long a run with these settings should take."""
    return RUN_OVERHEAD_S + len(settings.interleave) * (settings.duration_s + BLOCK_OVERHEAD_S)


def finds(finding: Finding, done: int, planned: int) -> float | None:
    """What ``planned`` repeats would find nine times of ten, in the gate's unit, judging by the first ``done``.

    ``detects`` of a finding is that of the repeats that there are: the limit, and so many standard errors beyond it. A
    standard error shrinks with the square root of the data, that of a ratio on the scale of its logarithm::

        ratio       limit * (detects / limit) ** sqrt(done / planned)
        difference  limit + (detects - limit) * sqrt(done / planned)

    ``None`` where nothing is known yet.
    """
    if finding.detects is None:
        return None
    limit, shrunk = finding.gate.limit, math.sqrt(done / planned)
    if finding.gate.quantity is Quantity.RATIO:
        return limit * float((finding.detects / limit) ** shrunk)
    return limit + (finding.detects - limit) * shrunk


def what_it_buys(findings: Sequence[Finding], done: int, planned: int) -> list[str]:
    """A line for each relative gate of each case."""
    lines = []
    for finding in findings:
        if finding.gate.tier is Tier.RELATIVE:
            found = finds(finding, done, planned)
            buys = f"{planned} repeats find {told_value(finding.gate, found)} nine times of ten"
            lines.append(f"{finding.gate.name} ({finding.case.told}): {finding.why if found is None else buys}")
    return lines


def minutes(span_s: float) -> str:
    """``4.5 min``, ``50 s``."""
    return f"{span_s / 60:.1f} min" if span_s >= 90 else f"{span_s:.0f} s"
