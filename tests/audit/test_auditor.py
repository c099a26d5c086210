"""The auditor around the checkers: counting, verdicts, whole runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from harness.audit.auditor import SAGAS_NAMED, Audit, RunAudit, audit_block, audit_run
from harness.audit.check import Check, Doubt, Finding, Ground
from harness.audit.checks import load_checks
from harness.audit.evidence import Evidence
from harness.core.errors import RunNotFound, UsageError
from harness.core.verdict import Verdict
from harness.history import run_file
from harness.history.history import FILE_NAME, History
from harness.history.records import Block
from harness.history.run_file import RunFile
from harness.history.spool import Spool
from harness.sagas.create_order import SAGA
from harness.settings import RunSettings
from tests.audit.handwritten import Book, complete_block, completed, no_stock
from tests.world.chronicle import write_history
from tests.world.world import HEALTHY, Plan, World

ANOMALIES = {
    "compensation-after-pivot", "compensation-amount", "compensation-missing", "compensation-order", "compensation-twice",
    "compensation-without-step", "effect-missing", "effect-twice", "effect-without-saga", "late-step",
    "money-or-stock-mismatch", "split-ending", "unresolved-saga",
}  # fmt: skip


def test_every_file_among_the_checks_is_a_checker_by_its_name() -> None:
    assert set(load_checks()) == ANOMALIES


def test_count_is_exact_where_the_list_of_sagas_is_cut_short() -> None:
    book = Book()
    for number in range(SAGAS_NAMED + 7):
        book.client(f"s-{number}", None)
    (anomaly,) = book.audit().anomalies

    assert anomaly.count == SAGAS_NAMED + 7
    assert anomaly.sagas == tuple(f"s-{number}" for number in range(SAGAS_NAMED))


def test_saga_with_several_findings_is_counted_for_each_and_listed_once() -> None:
    book = completed(Book())
    book.did("s-1", "create", at_ms=11)
    book.did("s-1", "charge", at_ms=21)
    (anomaly,) = book.audit().anomalies

    assert (anomaly.count, anomaly.sagas) == (2, ("s-1",))


def test_ledger_is_put_in_the_order_of_its_times() -> None:
    book = no_stock(Book())
    book.ledger.reverse()
    assert book.audit().verdict is Verdict.VALID

    book.clients.clear()
    book.client("s-1", None)
    assert "client was never told" in book.audit().anomalies[0].witness
    entries = book.evidence().sagas["s-1"].ledger
    assert [entry.step for entry in entries] == ["create", "charge", "reserve", "refund", "reject", "cancel"]


def _finds(*items: Finding | Doubt, ground: Ground = Ground.ANY_MOMENT) -> dict[str, Check]:
    def find(_: Evidence) -> Iterator[Finding | Doubt]:
        yield from items

    return {"made-up": Check(find, ground=ground)}


BAD = Finding(("s-1",), "saga s-1 is bad")
UNSURE = Doubt("no idea")


@pytest.mark.parametrize(
    ("items", "verdict"),
    [
        ((), Verdict.VALID),
        ((UNSURE,), Verdict.UNKNOWN),
        ((BAD,), Verdict.INVALID),
        ((BAD, UNSURE), Verdict.INVALID),
    ],
)
def test_finding_beats_doubt_and_doubt_beats_nothing(items: tuple[Finding | Doubt, ...], verdict: Verdict) -> None:
    audit = audit_block(completed(Book()).evidence(), _finds(*items))

    assert audit.verdict is verdict
    assert audit.notes == [f"made-up: {item.reason}" for item in items if isinstance(item, Doubt)]


@pytest.mark.parametrize(
    ("block", "proven_on"),
    [
        (complete_block(), {Ground.ANY_MOMENT, Ground.WHOLE_LOAD, Ground.AT_REST}),
        (complete_block(drained=False), {Ground.ANY_MOMENT, Ground.WHOLE_LOAD}),
        (complete_block(state="aborted"), {Ground.ANY_MOMENT}),
    ],
)
@pytest.mark.parametrize("ground", Ground)
def test_finding_counts_only_on_its_ground_and_is_noted_elsewhere(
    block: Block, proven_on: set[Ground], ground: Ground
) -> None:
    audit = audit_block(completed(Book(block=block)).evidence(), _finds(BAD, ground=ground))

    assert audit.verdict is (Verdict.INVALID if ground in proven_on else Verdict.UNKNOWN)
    assert bool(audit.anomalies) == (ground in proven_on)
    assert any("made-up: 1 suspected" in note for note in audit.notes) != (ground in proven_on)


def test_no_finding_is_no_proof_off_its_ground() -> None:
    evidence = completed(Book(block=complete_block(drained=False))).evidence()

    assert audit_block(evidence, _finds(ground=Ground.AT_REST)).verdict is Verdict.UNKNOWN
    assert audit_block(evidence, _finds(ground=Ground.ANY_MOMENT)).verdict is Verdict.VALID


def test_audit_survives_its_way_through_json() -> None:
    book = no_stock(Book())
    book.did("s-1", "refund", at_ms=41)
    audit = book.audit()

    assert msgspec.json.decode(msgspec.json.encode(audit), type=Audit) == audit


def _save_run(folder: Path, saga: str = "create-order") -> None:
    run = RunFile(
        run_id="r-1",
        settings=RunSettings(saga=saga),
        storm={},
        started_at="2026-01-01T00:00:00Z",
        command="sagastorm run",
        commit=None,
        versions={},
        machine={},
    )
    run_file.save(folder, run)


def _world() -> World:
    world = World(HEALTHY["orchestrated"], Plan(sagas=12))
    world.run()
    return world


def test_run_is_audited_block_by_block_with_the_spools_that_a_killed_harness_left(tmp_path: Path) -> None:
    _save_run(tmp_path)
    world = _world()
    for block in (0, 1):
        write_history(world, tmp_path, "orchestrated", block=block)
    with Spool(tmp_path / "spool" / "1" / "late.jsonl") as spool:
        spool.write(msgspec.structs.replace(world.step_rows[0], saga_id="ghost", replayed=False))
    audit = audit_run(tmp_path, SAGA)

    assert audit.run_id == "r-1"
    assert [(one.block, one.topology, one.verdict) for one in audit.blocks] == [
        (0, "orchestrated", Verdict.VALID),
        (1, "orchestrated", Verdict.INVALID),
    ]
    assert [anomaly.name for anomaly in audit.blocks[1].anomalies] == ["effect-without-saga"]
    assert audit.verdict is Verdict.INVALID
    assert msgspec.json.decode(msgspec.json.encode(audit), type=RunAudit) == audit


def test_audit_of_a_run_says_the_same_again(tmp_path: Path) -> None:
    _save_run(tmp_path)
    write_history(_world(), tmp_path, "orchestrated")

    assert audit_run(tmp_path, SAGA) == audit_run(tmp_path, SAGA)


def test_run_without_blocks_is_unknown(tmp_path: Path) -> None:
    _save_run(tmp_path)
    History(tmp_path / FILE_NAME).close()
    audit = audit_run(tmp_path, SAGA)

    assert (audit.blocks, audit.verdict) == ([], Verdict.UNKNOWN)


def test_folder_without_a_run_or_a_history_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(RunNotFound, match=r"run\.json"):
        audit_run(tmp_path, SAGA)
    _save_run(tmp_path)
    with pytest.raises(RunNotFound, match=r"history\.sqlite"):
        audit_run(tmp_path, SAGA)
    assert not (tmp_path / FILE_NAME).exists()


def _garbage(path: Path) -> None:
    path.write_bytes(b"this is no database, whatever its name says. " * 100)


def _truncated(path: Path) -> None:
    write_history(_world(), path.parent, "orchestrated")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _directory(path: Path) -> None:
    path.mkdir()


@pytest.mark.parametrize("spoil", [_garbage, _truncated, _directory])
def test_history_that_cannot_be_read_is_no_run_and_is_left_as_it_is(
    spoil: Callable[[Path], None], tmp_path: Path
) -> None:
    _save_run(tmp_path)
    path = tmp_path / FILE_NAME
    spoil(path)
    before = path.read_bytes() if path.is_file() else None

    with pytest.raises(RunNotFound, match=r": history\.sqlite cannot be read: "):
        audit_run(tmp_path, SAGA)
    assert (path.read_bytes() if path.is_file() else None) == before


def test_run_of_a_saga_that_nobody_knows_is_a_usage_error(tmp_path: Path) -> None:
    _save_run(tmp_path, saga="no-such-saga")
    History(tmp_path / FILE_NAME).close()

    with pytest.raises(UsageError, match="no-such-saga"):
        audit_run(tmp_path)
