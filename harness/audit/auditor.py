"""The audit of a saved run: every checker over every block, three-valued, the worst wins. Works offline."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from sqlite3 import Error as SqliteError

import msgspec

from harness import registry
from harness.audit.check import Check, Doubt, Finding, Ground
from harness.audit.checks import load_checks
from harness.audit.evidence import Evidence
from harness.core.errors import RunNotFound
from harness.core.saga import Saga
from harness.core.verdict import Verdict, worst
from harness.history import run_file
from harness.history.history import FILE_NAME, History
from harness.history.records import Block
from harness.history.spool import spool_folder

SAGAS_NAMED = 50
"""The most saga ids that an anomaly lists; its count is exact all the same."""


class Anomaly(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of anomaly in one block.

    ``count``: how often it was found (a saga can have several, such as two steps done twice). ``sagas``: the first
    :data:`SAGAS_NAMED` it concerns. ``witness``: the first one in a line, what was expected and what was seen.
    """

    name: str
    count: int
    sagas: tuple[str, ...]
    witness: str


class Audit(msgspec.Struct, frozen=True, kw_only=True):
    """Of one block. ``notes``: what could not be judged, and why."""

    block: int
    topology: str
    verdict: Verdict
    anomalies: list[Anomaly]
    checks: dict[str, Verdict]
    notes: list[str]


class RunAudit(msgspec.Struct, frozen=True, kw_only=True):
    """Of a whole run, its blocks in the order in which they ran."""

    run_id: str
    verdict: Verdict
    blocks: list[Audit]


def audit_run(folder: Path, saga: Saga | None = None) -> RunAudit:
    """Audit the run in a folder; the saga definition is found by its name unless it is given.

    Spools that a killed harness left behind are taken over first, so the history is written to. Raises
    :class:`~harness.core.errors.RunNotFound` also where the history cannot be read, and :class:`~harness.core.errors.UsageError` for an unknown saga.
    """
    run = run_file.load(folder)
    if not (folder / FILE_NAME).exists():
        raise RunNotFound(f"{folder}: this run has no {FILE_NAME}")
    definition = saga or registry.saga(run.settings.saga)
    try:
        audits = _audit_blocks(folder, definition)
    except SqliteError as error:
        raise RunNotFound(f"{folder}: {FILE_NAME} cannot be read: {error}") from error
    return RunAudit(run_id=run.run_id, verdict=worst([audit.verdict for audit in audits]), blocks=audits)


def _audit_blocks(folder: Path, saga: Saga) -> list[Audit]:
    path, checks = folder / FILE_NAME, load_checks()
    with History(path, read_only=True) as history:  # what is no history is found out before anything is written to it
        blocks = history.blocks()
    with History(path) as history:
        for block in blocks:
            history.import_spool(block.block, spool_folder(folder, block.block))
        return [audit_block(Evidence.of(history, block, saga), checks) for block in blocks]


def audit_block(evidence: Evidence, checks: Mapping[str, Check] | None = None) -> Audit:
    """Run the checkers (all of them, unless some are given) over one block."""
    anomalies: list[Anomaly] = []
    verdicts: dict[str, Verdict] = {}
    notes = list(_state_notes(evidence))
    for name, check in (load_checks() if checks is None else checks).items():
        findings, doubts = _found(check, evidence)
        proven = [finding for finding in findings if _stands(finding.ground or check.ground, evidence.block)]
        suspected = [finding for finding in findings if not _stands(finding.ground or check.ground, evidence.block)]
        if proven:
            anomalies.append(_anomaly(name, proven))
        if suspected:
            notes.append(f"{name}: {len(suspected)} suspected, not proven in this block; first: {suspected[0].witness}")
        notes.extend(f"{name}: {doubt.reason}" for doubt in doubts)
        verdicts[name] = _verdict(check, evidence, proven=bool(proven), doubtful=bool(doubts))
    return Audit(
        block=evidence.block.block,
        topology=evidence.block.topology,
        verdict=worst(list(verdicts.values())),
        anomalies=anomalies,
        checks=verdicts,
        notes=notes,
    )


def _found(check: Check, evidence: Evidence) -> tuple[list[Finding], list[Doubt]]:
    if check.reads_tables and not evidence.block.collected and check.ground is Ground.AT_REST:
        return [], []  # to a check for what is missing, tables that were not read would look like tables without it
    found = list(check.find(evidence))
    return [item for item in found if isinstance(item, Finding)], [item for item in found if isinstance(item, Doubt)]


def _stands(ground: Ground, block: Block) -> bool:
    match ground:
        case Ground.ANY_MOMENT:
            return True
        case Ground.WHOLE_LOAD:
            return block.state == "complete"
        case Ground.AT_REST:
            return block.state == "complete" and block.drained is True


def _verdict(check: Check, evidence: Evidence, *, proven: bool, doubtful: bool) -> Verdict:
    if proven:
        return Verdict.INVALID
    blind = check.reads_tables and not evidence.block.collected
    if blind or doubtful or not evidence.sagas or not _stands(check.ground, evidence.block):
        return Verdict.UNKNOWN
    return Verdict.VALID


def _anomaly(name: str, findings: list[Finding]) -> Anomaly:
    sagas = dict.fromkeys(saga_id for finding in findings for saga_id in finding.sagas)
    return Anomaly(name=name, count=len(findings), sagas=tuple(sagas)[:SAGAS_NAMED], witness=findings[0].witness)


def _state_notes(evidence: Evidence) -> Iterable[str]:
    block = evidence.block
    if not evidence.sagas:
        yield "no saga was started: there is nothing to judge"
    if block.state != "complete":
        why = f" ({block.problem})" if block.problem else ""
        yield f"the block is {block.state}{why}, not complete: what is missing may have been cut off"
    elif block.drained is not True:
        yield "queues and executions did not run empty within the limit: what is missing may still have been on its way"
    if not block.collected:
        yield "tables were not collected: money, stock and effects unknown"
    if unanswered := evidence.unanswered:
        yield f"{len(unanswered)} requests got no answer: whether they started a saga is known from the ledger only"
    if block.dead_letters:
        yield f"{block.dead_letters} messages were given up to dead-letter queues"
