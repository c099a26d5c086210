"""What a test may ask of its run. An answer is a number or a truth, never "nothing": what is not known is no answer.

A figure that was not measured, an audit that cannot tell, a run that is inconclusive: each ends the test as
``--storm-inconclusive`` says, with the reason. Where the run has failed it is a failure in any case.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import NoReturn, Self

import pytest

from harness.audit.auditor import Audit
from harness.core.verdict import RunVerdict, Verdict, worst
from harness.gate.judge import judge_gates
from harness.gate.model import Finding, GateReport, Gates
from harness.report.faults import fired
from harness.report.figures import Missing
from harness.report.judge import TIMES_ONLY
from harness.report.metrics import FIGURES, anomalies, figure
from harness.report.model import Report
from harness.report.quantiles import QUANTILES
from harness.report.wording import plain

Undecided = Callable[[str], NoReturn]
"""Ends the test, with the reason."""

ATTRIBUTES = {
    **{path.replace(".", "_"): path for path in FIGURES if not path.startswith("completion_ms.")},
    **{f"{name}_ms": f"completion_ms.{name}" for name in QUANTILES},
}
"""Figures by the names that tests use."""


class _Answers:
    """The report, and what is done where it has no answer."""

    def __init__(self, report: Report, undecided: Undecided) -> None:
        self.report = report
        self._undecided = undecided

    def give_up(self, why: str) -> NoReturn:
        """No answer. A run that failed is told as that: a skipped test would hide it."""
        __tracebackhide__ = True
        if self.report.judgement.verdict is RunVerdict.FAIL:
            pytest.fail(f"the run failed: {plain(self.report.judgement.reasons[0])} And {why}")
        self._undecided(why)

    def need_conclusive(self, what: str, spared: frozenset[str] = frozenset()) -> None:
        """The run can answer ``what``: no rule is undecided, but for those that are spared."""
        __tracebackhide__ = True
        for check in self.report.judgement.checks:
            if check.verdict is Verdict.UNKNOWN and check.rule not in spared:
                self.give_up(f"{what}: {plain(check.says or f'{check.about}: {check.rule} is not known.')}")


class Audited:
    """What the auditor found, in the blocks of one topology or in all."""

    def __init__(self, answers: _Answers, audits: Sequence[Audit]) -> None:
        self._answers = answers
        self._audits = audits

    @property
    def verdict(self) -> Verdict:
        """The worst of the blocks."""
        return worst([audit.verdict for audit in self._audits])

    @property
    def valid(self) -> bool:
        """No anomaly of any kind. Where the audit cannot tell, or a fault of the storm never struck, there is no answer."""
        __tracebackhide__ = True
        if self.verdict is Verdict.INVALID:
            return False
        self._answers.need_conclusive("the audit", TIMES_ONLY)
        return True

    @property
    def anomalies(self) -> dict[str, int]:
        """Name to how often it was found."""
        return anomalies({audit.block for audit in self._audits}, self._audits)

    def __repr__(self) -> str:
        found = ", ".join(f"{count} x {name}" for name, count in self.anomalies.items())
        return f"<audit: {self.verdict}{': ' if found else ''}{found}>"


class NotRecovered(float):
    """A recovery that was watched for and did not come: all that is known is that it takes longer than ``watched_s``.

    A limit within that time is missed; on a later one there is no answer. In sums it is without end.
    """

    def __new__(cls, watched_s: float, answers: _Answers) -> Self:
        made = super().__new__(cls, math.inf)
        made.watched_s = watched_s
        made._answers = answers
        return made

    watched_s: float
    _answers: _Answers

    def _is_longer_than(self, limit_s: float) -> bool:
        __tracebackhide__ = True
        if limit_s > self.watched_s:
            self._answers.give_up(f"{self!r}: to be held against {limit_s!r} it must be watched longer")
        return True

    def __gt__(self, limit_s: float) -> bool:
        __tracebackhide__ = True
        return self._is_longer_than(limit_s)

    def __lt__(self, limit_s: float) -> bool:
        __tracebackhide__ = True
        return not self._is_longer_than(limit_s)

    __ge__, __le__ = __gt__, __lt__

    def __repr__(self) -> str:
        return f"<not recovered in the {self.watched_s:g} s that were watched>"


class TopologyRun:
    """One topology's figures: an attribute for each of :data:`ATTRIBUTES`, such as ``p99_ms`` or ``unresolved``."""

    def __init__(self, answers: _Answers, topology: str) -> None:
        self._answers = answers
        self.topology = topology

    @property
    def audit(self) -> Audited:
        """Of this topology's blocks."""
        return Audited(self._answers, [each for each in self._answers.report.audits if each.topology == self.topology])

    @property
    def faults(self) -> dict[str, int | None]:
        """How often each fault of the storm struck; ``None`` for one that has nothing to strike here."""
        return fired(self._answers.report.data, self.topology)

    def figure(self, path: str) -> float:
        """The figure at this path of ``summary.json``, a :class:`NotRecovered` among them; ``KeyError`` for a path of none."""
        __tracebackhide__ = True
        if path not in FIGURES:
            raise KeyError(f"{path}: no figure; there are: {', '.join(FIGURES)}")
        report = self._answers.report
        made = figure(report.run, path, report.data.complete(self.topology), report.audits)
        if isinstance(made, Missing) and made.longer_than_s is None:
            self._answers.give_up(f"{self.topology}: {path} was not measured: {made.why}")
        self._answers.need_conclusive(f"{self.topology}: {path}")
        return NotRecovered(made.longer_than_s or 0.0, self._answers) if isinstance(made, Missing) else made

    def __getattr__(self, name: str) -> float:
        __tracebackhide__ = True
        if name not in ATTRIBUTES:
            raise AttributeError(f"{type(self).__name__} has no {name!r}; figures are: {', '.join(sorted(ATTRIBUTES))}")
        return self.figure(ATTRIBUTES[name])

    def __repr__(self) -> str:
        return f"<{self.topology} in run {self._answers.report.run.run_id}>"


class SagaRun:
    """A judged run. With one topology its figures are here too; with several, ask ``saga_run["orchestrated"]``."""

    def __init__(self, folder: Path, report: Report, gates: Gates | None, undecided: Undecided) -> None:
        self._answers = _Answers(report, undecided)
        self._gates = gates
        self.folder = folder
        self.report = report

    @property
    def run_id(self) -> str:
        """As ``sagastorm report`` takes it."""
        return self.report.run.run_id

    @property
    def report_path(self) -> Path:
        """The page, ``report.html``."""
        return self.folder / "report.html"

    @property
    def verdict(self) -> RunVerdict:
        """Of the whole run; whatever it is, it may be looked at."""
        return self.report.judgement.verdict

    @property
    def reasons(self) -> list[str]:
        """Why the verdict is not ``pass``."""
        return self.report.judgement.reasons

    @property
    def topologies(self) -> list[str]:
        """Their names, in the order of the marker."""
        return self.report.data.topologies

    @property
    def audit(self) -> Audited:
        """Of all blocks."""
        return Audited(self._answers, self.report.audits)

    @cached_property
    def gate_report(self) -> GateReport | None:
        """What became of the marker's gates; ``None`` where it names none."""
        return judge_gates(self._gates, [self.report]) if self._gates is not None else None

    def check_gates(self) -> None:
        """End the test unless every gate passed. One that failed is a failure even if others cannot tell."""
        __tracebackhide__ = True
        judged = self.gate_report
        if judged is None:
            return
        if failed := judged.of(RunVerdict.FAIL):
            pytest.fail(f"gate failed: {_lines(failed)}", pytrace=False)
        if judged.verdict is not RunVerdict.PASS:
            self._answers.give_up(_lines(judged.of(RunVerdict.INCONCLUSIVE)))

    def __getitem__(self, topology: str) -> TopologyRun:
        if topology not in self.topologies:
            raise KeyError(f"{topology}: not in this run, which has: {', '.join(self.topologies)}")
        return TopologyRun(self._answers, topology)

    @property
    def faults(self) -> dict[str, int | None]:
        """Of the only topology."""
        return self._only("faults").faults

    def figure(self, path: str) -> float:
        """Of the only topology."""
        __tracebackhide__ = True
        return self._only(f"figure({path!r})").figure(path)

    def __getattr__(self, name: str) -> float:
        __tracebackhide__ = True
        if name not in ATTRIBUTES:
            raise AttributeError(f"saga_run has no {name!r}; figures are: {', '.join(sorted(ATTRIBUTES))}")
        return self.figure(ATTRIBUTES[name])

    def _only(self, wanted: str) -> TopologyRun:
        __tracebackhide__ = True
        if len(self.topologies) != 1:
            several = " or ".join(f"saga_run[{topology!r}].{wanted}" for topology in self.topologies)
            raise LookupError(f"this run has more than one topology: ask {several}")
        return self[self.topologies[0]]

    def __repr__(self) -> str:
        return f"<saga_run {self.run_id}: {self.verdict}, of {', '.join(self.topologies)}>"


def _lines(findings: Sequence[Finding]) -> str:
    """A line for each; pytest's own summary shows the first."""
    return "\n  ".join(f"{each.gate.name} ({each.case.topology}): {plain(each.why)}" for each in findings)
