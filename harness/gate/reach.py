"""Which cases a gate is asked of, and which gates could never be asked."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec.structs import replace

from harness.core.errors import Problem, UsageError
from harness.gate.cases import mitigations_told
from harness.gate.metrics import FAULTS
from harness.gate.model import BASE, MITIGATIONS, TOPOLOGY, Case, Gate, Gates, Tier


def reference(gate: Gate, case: Case) -> Case | None:
    """The case of the same job that a gate holds this one against; ``None`` where it is another job's, or nothing."""
    against = gate.against or ""
    if against.startswith(TOPOLOGY):
        return replace(case, topology=against.removeprefix(TOPOLOGY))
    if against.startswith(MITIGATIONS):
        return replace(case, mitigations=_mitigations(against))
    return None


def judged(gates: Gates, cases: Iterable[Case]) -> list[Case]:
    """The cases that are judged. Those of runs that a gate holds others against, as a mitigation was removed, are there for that:
    it is no surprise that something breaks, in whichever topology."""
    known = list(cases)
    removed = [gate for gate in gates.gates if (gate.against or "").startswith(MITIGATIONS)]
    others = {
        (case.saga, case.storm, _mitigations(gate.against)) for gate in removed for case in known if asks(gate, case)
    }
    return [case for case in known if (case.saga, case.storm, case.mitigations) not in others]


def asks(gate: Gate, case: Case) -> bool:
    """Whether a gate is asked of a case."""
    filters = ((gate.saga, case.saga), (gate.storm, case.storm), (gate.topology, case.topology))
    if not all(wanted in (None, given) for wanted, given in filters):
        return False
    if gate.window and not case.faults:
        return False
    if gate.metric.startswith(FAULTS) and gate.metric.removeprefix(FAULTS) not in case.faults:
        return False
    return reference(gate, case) != case


def refuse_idle(gates: Gates, cases: Sequence[Case], *, has_base: bool) -> None:
    """Raises ``UsageError`` with every gate that would have nothing to judge among these cases."""
    subjects = judged(gates, cases)
    problems = [
        problem for gate in gates.gates if (problem := _idle(gate, subjects, frozenset(cases), has_base=has_base))
    ]
    if not subjects:
        problems.append(Problem("gates", gates.source, "at least one run whose mitigations no gate is against"))
    if problems:
        raise UsageError(problems)


def _idle(gate: Gate, subjects: Sequence[Case], cases: frozenset[Case], *, has_base: bool) -> Problem | None:
    if gate.tier is Tier.INVARIANT:
        return None
    field = f"gate {gate.name}"
    asked = [case for case in subjects if asks(gate, case)]
    if not asked:
        there = "; ".join(dict.fromkeys(case.told for case in subjects)) or "nothing"
        faults = sorted({fault for case in subjects for fault in case.faults})
        valid = f"it would be asked of none of: {there}"
        if gate.metric.startswith(FAULTS):
            valid += f"; faults: {', '.join(faults) or 'none'}"
        return Problem(field, _filters(gate), valid)
    if gate.against == BASE:
        valid = "a base to hold it against (--base), or to be left out by name (--no-base)"
        return None if has_base else Problem(field, BASE, valid)
    lonely = [case for case in asked if reference(gate, case) not in cases] if gate.against else []
    if lonely:
        return Problem(field, gate.against, f"a run like it of each of: {'; '.join(case.told for case in lonely)}")
    return None


def _filters(gate: Gate) -> str:
    given = (("saga", gate.saga), ("storm", gate.storm), ("topology", gate.topology), ("window", gate.window))
    return ", ".join(f"{name} {value}" for name, value in given if value) or gate.metric


def _mitigations(against: str | None) -> str:
    pairs = (part.strip().partition("=") for part in (against or "").removeprefix(MITIGATIONS).split(","))
    return mitigations_told({name: value for name, _, value in pairs})
