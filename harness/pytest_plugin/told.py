"""What a failing test tells of its run: the verdict, the witnesses' journeys, where the report is, how to run it again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from harness.core.verdict import RunVerdict
from harness.history.history import FILE_NAME, History
from harness.pytest_plugin.saga_run import SagaRun
from harness.report.journeys import Journey, Moment, ended, read_journey, title
from harness.report.wording import plain

MOST_WITNESSES = 2
MOST_MOMENTS = 40
"""Of a journey; the report has all of it."""
MOST_REASONS = 5


@dataclass(frozen=True)
class _Witness:
    """A saga that shows what went wrong."""

    block: int
    saga_id: str
    says: str


def told(run: SagaRun) -> str:
    """All of it, as lines."""
    lines = [f"{run.verdict.value.upper()}{'' if run.reasons else ': its own checks are all valid'}"]
    lines += [f"  {plain(reason)}" for reason in run.reasons[:MOST_REASONS]]
    if (more := len(run.reasons) - MOST_REASONS) > 0:
        lines.append(f"  and {more} more")
    by_saga = {(witness.block, witness.saga_id): witness for witness in reversed([*_witnesses(run)])}
    for witness in list(reversed(by_saga.values()))[:MOST_WITNESSES]:
        lines += ["", *_journey(run, witness)]
    return "\n".join([*lines, "", f"report: {run.report_path}", f"again:  sagastorm replay {run.folder}"])


def _witnesses(run: SagaRun) -> Iterator[_Witness]:
    gates = run.gate_report
    for finding in gates.of(RunVerdict.FAIL) if gates else ():
        if finding.witness and finding.witness.saga_id:
            yield _Witness(finding.witness.block, finding.witness.saga_id, finding.witness.says)
    for audit in run.report.audits:
        for anomaly in audit.anomalies:
            # Where books do not match, the sagas are those that touched an account, and none of them shows why.
            if anomaly.sagas and anomaly.witness.startswith(f"saga {anomaly.sagas[0]}:"):
                yield _Witness(audit.block, anomaly.sagas[0], anomaly.witness)


def _journey(run: SagaRun, witness: _Witness) -> Iterator[str]:
    data = next(each for each in run.report.data.blocks if each.block.block == witness.block)
    client = next((row for row in data.sagas if row.saga_id == witness.saga_id), None)
    with History(run.folder / FILE_NAME) as history:  # read-only, it would leave files behind
        journey = read_journey(history, data.block, witness.saga_id, client)
    yield f"witness: {plain(witness.says)}"
    yield f"  saga {plain(journey.saga_id)}: {title(journey)}; {ended(journey)}"
    yield from _moments(journey)


def _moments(journey: Journey) -> Iterator[str]:
    for moment in journey.moments[:MOST_MOMENTS]:
        yield f"  {moment.at_ms:>9,.1f} ms  {_line(moment)}"
    if (more := len(journey.moments) - MOST_MOMENTS) > 0:
        yield f"  and {more} more: see the report"


def _line(moment: Moment) -> str:
    told = (moment.whom, moment.what, moment.kind.value, moment.attempt and f"({moment.attempt})", moment.note)
    return plain(" ".join(filter(None, told)))
