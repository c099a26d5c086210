"""Saved runs side by side, topology by topology: what one version, machine or backend did against another.

Only runs that asked the same of the same are compared; a difference in anything but code and time must be allowed by
name. Unlike the topologies of one run, saved runs did not take turns: what their intervals cover says less.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256

import msgspec

from harness.core.errors import Problem, UsageError
from harness.history.run_file import RunFile
from harness.report.backend import backend_name
from harness.report.compare import Comparison, compare_pairs, matched
from harness.report.faults import storm_name
from harness.report.metrics import falsified
from harness.report.model import Report

MOST_RUNS = 8
"""Side by side; more do not fit on any screen, and a series of runs is another question."""


def _storm(run: RunFile) -> str:
    content = sha256(msgspec.json.encode(run.storm, order="sorted")).hexdigest()
    return f"{storm_name(run)} ({content[:8]})"


def _backend(run: RunFile) -> str:
    form = f", callbacks by {run.backend.callback_retry}" if run.backend else ""
    return f"{backend_name(run)}{form}"


def _blocks(run: RunFile) -> str:
    letters, names = run.settings.interleave, run.settings.topologies
    return f"{letters} of {', '.join(names)}"


def _machine(run: RunFile) -> str:
    # The kernel's release and the last megabytes of memory differ between machines of one kind; they are no matter.
    told = {name: run.machine.get(name, "") for name in ("system", "architecture", "cpu", "cores")}
    memory_gib = round(int(run.machine.get("memory_mib", 0)) / 1024)
    return ", ".join(str(value) for value in told.values() if value) + f", {memory_gib} GiB"


def _mitigations(run: RunFile) -> str:
    changed = run.settings.mitigations.chosen()
    return ", ".join(f"{name}={value}" for name, value in changed.items()) or "all on"


FIELDS: Mapping[str, Callable[[RunFile], object]] = {
    "saga": lambda run: run.settings.saga,
    "storm": _storm,
    "scenario": lambda run: run.settings.scenario,
    "seed": lambda run: run.settings.seed,
    "rate": lambda run: run.settings.rate_per_s,
    "arrivals": lambda run: run.settings.arrivals,
    "duration": lambda run: run.settings.duration_s,
    "cannot-pay-share": lambda run: run.settings.cannot_pay_share,
    "out-of-stock-share": lambda run: run.settings.out_of_stock_share,
    "blocks": _blocks,
    "mitigations": _mitigations,
    "workers": lambda run: run.settings.workers,
    "load-processes": lambda run: run.settings.load_processes,
    "max-in-flight": lambda run: run.settings.max_in_flight,
    "drain-limit": lambda run: run.settings.drain_limit_s,
    "backend": _backend,
    "machine": _machine,
}
"""What must be the same, by the name under which a difference is allowed."""


@dataclass(frozen=True)
class Differing:
    """A field that is not the same in all runs, with its value in each."""

    field: str
    values: tuple[object, ...]


@dataclass(frozen=True)
class RunComparison:
    """Runs whose differences are all allowed. The first is the base."""

    reports: tuple[Report, ...]
    differing: tuple[Differing, ...]

    @property
    def letters(self) -> str:
        """What tables call the runs."""
        return "ABCDEFGH"[: len(self.reports)]

    @property
    def topologies(self) -> list[str]:
        """Those that every run has."""
        return _in_all([report.run for report in self.reports])

    @cached_property
    def of(self) -> dict[str, tuple[Comparison, ...]]:
        """By topology, every further run against the first."""
        base, *others = self.reports
        return {
            topology: tuple(
                _compare(base, other, topology, letter) for letter, other in zip(self.letters[1:], others, strict=True)
            )
            for topology in self.topologies
        }

    def differs(self, field: str) -> bool:
        """Whether it is one that was allowed to, and does."""
        return any(each.field == field for each in self.differing)


def allowed(text: str) -> frozenset[str]:
    """The fields in a comma-separated list; ``UsageError`` names the valid ones."""
    given = frozenset(part.strip() for part in text.split(",") if part.strip())
    if unknown := sorted(given - FIELDS.keys()):
        raise UsageError([Problem("--allow", name, f"one of: {', '.join(FIELDS)}") for name in unknown])
    return given


def check(runs: Sequence[RunFile], allow: frozenset[str]) -> tuple[Differing, ...]:
    """The differences between runs, all of them allowed. Raises ``UsageError`` with every one that is not."""
    if not 2 <= len(runs) <= MOST_RUNS:
        raise UsageError([Problem("RUN", len(runs), f"2 to {MOST_RUNS} runs, the first is the base")])
    base, *others = runs
    found = differing(runs)
    problems = [
        Problem(
            f"{each.field} of {run.run_id}",
            value,
            f"{base.run_id} has {each.values[0]!r}; --allow {each.field} compares them all the same",
        )
        for each in found
        if each.field not in allow
        for run, value in zip(others, each.values[1:], strict=True)
        if value != each.values[0]
    ]
    if not _in_all(runs):
        topologies = " and ".join(", ".join(run.settings.topologies) for run in runs)
        problems.append(Problem("topologies", topologies, "runs that have one in common"))
    if problems:
        raise UsageError(problems)
    return found


def differing(runs: Sequence[RunFile]) -> tuple[Differing, ...]:
    """What is not the same in all of them, beside code and time."""
    told = [Differing(name, tuple(value(run) for run in runs)) for name, value in FIELDS.items()]
    return tuple(each for each in told if len(set(each.values)) > 1)


def _in_all(runs: Sequence[RunFile]) -> list[str]:
    return [name for name in runs[0].settings.topologies if all(name in run.settings.topologies for run in runs)]


def _compare(base: Report, other: Report, topology: str, letter: str) -> Comparison:
    pairs = matched(base.data.complete(topology), other.data.complete(topology))
    withheld = falsified(base.run) | falsified(other.run)
    return compare_pairs("A", letter, pairs, base.run.settings.seed, withheld, "runs")
