"""What becomes of a claim, by what was measured."""

from __future__ import annotations

import pytest

from harness.ablation.cells import EVERYTHING_ON, Cell, chosen
from harness.ablation.change import NEVER, Change, Mark
from harness.ablation.claims import Claim, Expects, Verdict, judged
from harness.ablation.document import CLAIMS, EXPERIMENTS, render
from harness.ablation.measures import MEASURES
from harness.ablation.table import Outcome, Row, Table
from harness.audit.checks import load_checks

BACKOFF = Cell({"backoff": "none"})
MORE = Claim("5.3.2", "More retries.", "retry-storm", "backoff=none", "amplification")


def table(changes: dict[str, Change], *, applies: bool = True, audited: bool = True) -> Table:
    """Of one cell in one topology."""
    rows = [
        Row(
            cell=cell,
            applies=applies,
            blocks=2,
            figures={measure.name: 1.0 for measure in MEASURES},
            anomalies={} if audited else None,
            changes=changes if cell.changed else {},
        )
        for cell in (Cell(), BACKOFF)
    ]
    return Table(
        ablation_id="small", saga="create-order", storm="retry-storm", seed=1, load="", rounds=2, backend="", commits=["abc"],
        machine="", command="", started_at="", topologies={"choreographed": rows}, notes=[],
        outcomes=[Outcome(cell=cell, round=0, verdict="pass") for cell in (Cell(), BACKOFF)],
    )  # fmt: skip


@pytest.mark.parametrize(
    ("change", "verdict"),
    [
        (Change(mark=Mark.WORSE, base=1.0, other=3.0, amount=2.0, low=1.5, high=2.5), Verdict.CONFIRMED),
        (Change(mark=Mark.NEW, base=1.0, other=NEVER), Verdict.CONFIRMED),
        (Change(mark=Mark.BETTER, base=3.0, other=1.0, amount=-2.0, low=-2.5, high=-1.5), Verdict.CONTRADICTED),
        (Change(mark=Mark.UNCLEAR, base=1.0, other=3.0, amount=2.0, low=-1.0, high=5.0), Verdict.NOT_SEEN),
        (Change(mark=Mark.NO_INTERVAL, base=1.0, other=3.0, amount=2.0), Verdict.NOT_SEEN),
        (Change(mark=Mark.NOT_COMPARED), Verdict.NOT_MEASURED),
    ],
)
def test_a_claim_is_judged_by_what_clearly_changed_and_which_way(change: Change, verdict: Verdict) -> None:
    (finding,) = judged([MORE], {"retry-storm": table({"amplification": change})})
    assert finding.verdict is verdict


def test_a_claim_that_there_is_less_is_confirmed_by_less() -> None:
    less = Claim("5.3.2", "Less is done.", "retry-storm", "backoff=none", "goodput in the storm", Expects.LESS)
    change = Change(mark=Mark.WORSE, base=20.0, other=5.0, amount=-15.0, low=-17.0, high=-13.0)
    (finding,) = judged([less], {"retry-storm": table({"goodput in the storm": change})})
    assert finding.verdict is Verdict.CONFIRMED
    assert (finding.everything_on, finding.without) == ("20.0/s", "5.00/s")


@pytest.mark.parametrize(
    ("change", "verdict"),
    [
        ({"effect-missing": Change(mark=Mark.NEW, base=0.0, other=4.0, amount=4.0)}, Verdict.CONTRADICTED),
        ({"effect-missing": Change(mark=Mark.UNCLEAR, base=0.0, other=0.5, amount=0.5)}, Verdict.NOT_SEEN),
        ({"amplification": Change(mark=Mark.SAME, base=1.0, other=1.0, amount=0.0)}, Verdict.NONE_FOUND),
    ],
)
def test_a_claim_that_there_is_none_is_contradicted_by_some(change: dict[str, Change], verdict: Verdict) -> None:
    none = Claim("5.3.4", "Exactly once.", "retry-storm", "backoff=none", "effect-missing", Expects.NONE)
    (finding,) = judged([none], {"retry-storm": table(change)})
    assert finding.verdict is verdict


def test_an_anomaly_that_nobody_found_is_not_seen_and_one_that_nobody_looked_for_is_not_measured() -> None:
    twice = Claim("5.3.4", "Twice.", "retry-storm", "backoff=none", "effect-twice")
    change = {"amplification": Change(mark=Mark.SAME, base=1.0, other=1.0, amount=0.0)}
    found = [judged([twice], {"retry-storm": table(change, audited=looked)})[0].verdict for looked in (True, False)]
    assert found == [Verdict.NOT_SEEN, Verdict.NOT_MEASURED]


def test_what_does_not_apply_or_was_not_measured_is_no_word_against_a_claim() -> None:
    findings = [judged([MORE], {"retry-storm": table({}, applies=applies)})[0] for applies in (False, True)]
    assert [finding.verdict for finding in findings] == [Verdict.DOES_NOT_APPLY, Verdict.NOT_MEASURED]
    assert judged([MORE], {}) == []


def test_every_claim_names_a_measure_or_an_anomaly_and_a_cell_of_the_experiment_under_its_storm() -> None:
    known = {measure.name for measure in MEASURES} | load_checks().keys()
    experiments = {each.storm: each for each in EXPERIMENTS}
    for claim in CLAIMS:
        assert claim.measure in known, claim
        experiment = experiments[claim.storm]
        cells = {cell.name for cell in chosen(experiment.without, experiment.cells)}
        assert claim.cell in cells - {EVERYTHING_ON}, claim


def test_the_document_says_where_the_measurement_is_against_the_chapter() -> None:
    better = Change(mark=Mark.BETTER, base=3.0, other=1.0, amount=-2.0, low=-2.5, high=-1.5)
    text = render({"retry-storm": table({"amplification": better})})
    (against,) = [line for line in text.splitlines() if line.startswith("- **Contradicted**")]
    assert "3.00x with everything on, 1.000x without, -2.00x (-2.50 to -1.50)" in against
    assert "commit abc" in text
    assert "seed 1" in text
