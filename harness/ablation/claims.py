"""What the chapter claims of its mitigations, and what was measured: confirmed, not seen, none found or contradicted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from harness.ablation.change import Change, Mark
from harness.ablation.table import Table, measure_of
from harness.ablation.wording import difference, told


class Expects(StrEnum):
    """What a claim says of its measure, against everything on."""

    MORE = "more"
    LESS = "less"
    NONE = "none"
    """That there is nothing of it at all, in spite of what was removed."""


class Verdict(StrEnum):
    """Of a claim in one topology."""

    CONFIRMED = "confirmed"
    NONE_FOUND = "none found"
    """There should be none of it and there was none, here: it does not show that there never is."""
    NOT_SEEN = "not seen"
    """The measure did not change, or by no more than chance may do."""
    CONTRADICTED = "contradicted"
    """It clearly changed the other way; or it is there, where there should be none."""
    DOES_NOT_APPLY = "does not apply"
    NOT_MEASURED = "not measured"


@dataclass(frozen=True)
class Claim:
    """What the chapter says that there is of a measure under a storm, without something. ``section``: where it says so.

    ``cell`` and ``measure`` are named as in the table; a measure that is none of :data:`.MEASURES` is an anomaly's name.
    """

    section: str
    text: str
    storm: str
    cell: str
    measure: str
    expects: Expects = Expects.MORE


@dataclass(frozen=True)
class Finding:
    """What was measured of a claim in one topology."""

    claim: Claim
    topology: str
    verdict: Verdict
    everything_on: str = ""
    without: str = ""
    difference: str = ""


def judged(claims: Sequence[Claim], tables: Mapping[str, Table]) -> list[Finding]:
    """Each claim in each topology; ``tables`` by the name of their storm."""
    return [
        _judged(claim, tables[claim.storm], topology)
        for claim in claims
        if claim.storm in tables
        for topology in tables[claim.storm].topologies
    ]


def _judged(claim: Claim, table: Table, topology: str) -> Finding:
    row = table.row(topology, claim.cell)
    if row and not row.applies:
        return Finding(claim, topology, Verdict.DOES_NOT_APPLY)
    if row is None or not row.changes:
        return Finding(claim, topology, Verdict.NOT_MEASURED)
    measure = measure_of(claim.measure)
    change = row.changes.get(claim.measure)
    if change is None and row.anomalies is None or change and change.mark is Mark.NOT_COMPARED:
        return Finding(claim, topology, Verdict.NOT_MEASURED)
    # An anomaly that was looked for and found in neither is not among the changes.
    change = change or Change(mark=Mark.SAME, base=0.0, other=0.0, amount=0.0)
    figures = (told(measure, change.base), told(measure, change.other), difference(measure, change))
    return Finding(claim, topology, _verdict(claim.expects, change), *figures)


def _verdict(expects: Expects, change: Change) -> Verdict:
    if expects is Expects.NONE:
        if change.direction == 1:
            return Verdict.CONTRADICTED
        return Verdict.NONE_FOUND if change.other == 0 else Verdict.NOT_SEEN
    expected = 1 if expects is Expects.MORE else -1
    return {expected: Verdict.CONFIRMED, -expected: Verdict.CONTRADICTED}.get(change.direction, Verdict.NOT_SEEN)
