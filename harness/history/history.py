"""``history.sqlite``: all that is remembered of a run, in one file that any SQLite tool opens."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec

from harness.history.records import (
    AccountRow,
    Block,
    EndingRow,
    EventRow,
    FaultRow,
    LedgerRow,
    SagaRow,
    Sample,
    SpooledRow,
    StepRow,
)
from harness.history.spool import SpoolReader

FILE_NAME = "history.sqlite"
"""In the folder of a run."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS blocks (block INTEGER PRIMARY KEY, record TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS sagas (
    block INTEGER, arrival INTEGER, scheduled_s REAL, status TEXT, saga_id TEXT, sent_s REAL, outcome TEXT,
    reason TEXT, completion_ms REAL, PRIMARY KEY (block, arrival));
CREATE TABLE IF NOT EXISTS steps (
    block INTEGER, t_s REAL, worker TEXT, participant TEXT, saga_id TEXT, arrival INTEGER, step TEXT, result TEXT,
    replayed INTEGER, attempt TEXT, took_ms REAL, detail TEXT);
CREATE INDEX IF NOT EXISTS steps_by_saga ON steps (saga_id);
CREATE TABLE IF NOT EXISTS faults (
    block INTEGER, t_s REAL, worker TEXT, fault TEXT, saga_id TEXT, arrival INTEGER, participant TEXT, step TEXT,
    attempt TEXT, detail TEXT);
CREATE TABLE IF NOT EXISTS events (block INTEGER, t_s REAL, what TEXT);
CREATE TABLE IF NOT EXISTS ledger (
    block INTEGER, participant TEXT, saga_id TEXT, step TEXT, result TEXT, at_ns INTEGER, movements TEXT);
CREATE TABLE IF NOT EXISTS accounts (block INTEGER, participant TEXT, account TEXT, initial INTEGER, final INTEGER);
CREATE TABLE IF NOT EXISTS endings (block INTEGER, participant TEXT, table_name TEXT, saga_id TEXT, value TEXT);
CREATE TABLE IF NOT EXISTS series (
    series INTEGER PRIMARY KEY, block INTEGER, target TEXT, metric TEXT, labels TEXT,
    UNIQUE (block, target, metric, labels));
CREATE TABLE IF NOT EXISTS samples (series INTEGER, t_s REAL, value REAL);
CREATE TABLE IF NOT EXISTS spools (block INTEGER, file TEXT, offset INTEGER, PRIMARY KEY (block, file));
"""

_SAGA_COLUMNS = "arrival, scheduled_s, status, saga_id, sent_s, outcome, reason, completion_ms"


def _saga_row(row: tuple[Any, ...]) -> SagaRow:
    return SagaRow(**dict(zip(_SAGA_COLUMNS.split(", "), row, strict=True)))


class History:
    """Open, create or read ``history.sqlite``. One writer at a time; readers may look on while it is written.

    Every method that writes commits before it returns: what was written survives a kill.
    """

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        if read_only:
            self._db = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)
        else:
            self._db = sqlite3.connect(path)
            try:
                self._db.execute("PRAGMA journal_mode=WAL")
                self._db.execute("PRAGMA synchronous=NORMAL")
                self._db.executescript(_SCHEMA)
            except sqlite3.Error:
                self._db.close()
                raise
        self._series: dict[tuple[int, str, str, str], int] = {}
        self._last: dict[int, float] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    # ---- writing

    def put_block(self, block: Block) -> None:
        """Add a block, or replace what was said of it."""
        with self._db:
            self._db.execute(
                "INSERT OR REPLACE INTO blocks VALUES (?, ?)", (block.block, msgspec.json.encode(block).decode())
            )

    def import_spool(self, block: int, folder: Path) -> int:
        """Take over what the block's processes have spooled since the last call; returns the number of records.

        How far each file was read is kept in the same database transaction, so nothing is lost or taken twice, even
        when another process goes on after a kill.
        """
        count = 0
        with self._db:
            # Locked before the offsets are read: an audit of a run that goes on must not take over a line twice.
            self._db.execute("BEGIN IMMEDIATE")
            known = dict(self._db.execute("SELECT file, offset FROM spools WHERE block = ?", (block,)))
            reader = SpoolReader(folder, known)
            for row in reader.read():
                self._insert(block, row)
                count += 1
            self._db.executemany(
                "INSERT OR REPLACE INTO spools VALUES (?, ?, ?)",
                [(block, name, offset) for name, offset in reader.offsets.items()],
            )
        return count

    def add_event(self, block: int, t_s: float, what: str) -> None:
        """Remember something that happened to the run itself."""
        with self._db:
            self._insert(block, EventRow(t_s=t_s, what=what))

    def add_collected(
        self,
        block: int,
        ledger: Iterable[LedgerRow],
        accounts: Iterable[AccountRow],
        endings: Iterable[EndingRow],
    ) -> None:
        """Keep what was read from the participants' tables after the drain; replaces an earlier reading."""
        with self._db:
            for table in ("ledger", "accounts", "endings"):
                self._db.execute(f"DELETE FROM {table} WHERE block = ?", (block,))
            self._db.executemany(
                "INSERT INTO ledger VALUES (?, ?, ?, ?, ?, ?, ?)",
                (
                    (block, row.participant, row.saga_id, row.step, row.result, row.at_ns, json.dumps(row.movements))
                    for row in ledger
                ),
            )
            self._db.executemany(
                "INSERT INTO accounts VALUES (?, ?, ?, ?, ?)",
                ((block, row.participant, row.account, row.initial, row.final) for row in accounts),
            )
            self._db.executemany(
                "INSERT INTO endings VALUES (?, ?, ?, ?, ?)",
                ((block, row.participant, row.table, row.saga_id, row.value) for row in endings),
            )

    def add_samples(self, block: int, samples: Iterable[Sample]) -> None:
        """Keep samples; a value equal to the series' last one is not stored again."""
        with self._db:
            for sample in samples:
                key = (block, sample.target, sample.metric, json.dumps(sample.labels, sort_keys=True))
                series = self._series.get(key)
                if series is None:
                    cursor = self._db.execute(
                        "INSERT INTO series (block, target, metric, labels) VALUES (?, ?, ?, ?)", key
                    )
                    series = self._series[key] = int(cursor.lastrowid or 0)
                if self._last.get(series) != sample.value:
                    self._last[series] = sample.value
                    self._db.execute("INSERT INTO samples VALUES (?, ?, ?)", (series, sample.t_s, sample.value))

    def _insert(self, block: int, row: SpooledRow) -> None:
        match row:
            case SagaRow():
                self._db.execute(
                    "INSERT OR REPLACE INTO sagas VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    (block, row.arrival, row.scheduled_s, row.status, row.saga_id, row.sent_s, row.outcome,
                     row.reason, row.completion_ms),
                )  # fmt: skip
            case StepRow():
                self._db.execute(
                    "INSERT INTO steps VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    (block, row.t_s, row.worker, row.participant, row.saga_id, row.arrival, row.step, row.result,
                     row.replayed, row.attempt, row.took_ms, row.detail),
                )  # fmt: skip
            case FaultRow():
                self._db.execute(
                    "INSERT INTO faults VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    (block, row.t_s, row.worker, row.fault, row.saga_id, row.arrival, row.participant, row.step,
                     row.attempt, row.detail),
                )  # fmt: skip
            case EventRow():
                self._db.execute("INSERT INTO events VALUES (?, ?, ?)", (block, row.t_s, row.what))

    # ---- reading

    def blocks(self) -> list[Block]:
        """All blocks, in the order in which they ran."""
        rows = self._db.execute("SELECT record FROM blocks ORDER BY block")
        return [msgspec.json.decode(record, type=Block) for (record,) in rows]

    def sagas(self, block: int) -> list[SagaRow]:
        """The client's records, by arrival."""
        rows = self._db.execute(f"SELECT {_SAGA_COLUMNS} FROM sagas WHERE block = ? ORDER BY arrival", (block,))
        return [_saga_row(row) for row in rows]

    def progress(self, block: int) -> tuple[int, int]:
        """How many arrivals the clients have recorded so far, and how many of those have ended."""
        (arrived, ended) = self._db.execute(
            "SELECT count(*), count(outcome) FROM sagas WHERE block = ?", (block,)
        ).fetchone()
        return arrived, ended

    def steps(self, block: int, saga_id: str | None = None) -> list[StepRow]:
        """Step handlings in time order, of one saga or of all."""
        rows = self._db.execute(
            "SELECT t_s, worker, participant, saga_id, arrival, step, result, replayed, attempt, took_ms, detail "
            "FROM steps WHERE block = ? AND (? IS NULL OR saga_id = ?) ORDER BY t_s",
            (block, saga_id, saga_id),
        )
        names = (
            "t_s", "worker", "participant", "saga_id", "arrival", "step", "result", "replayed", "attempt", "took_ms",
            "detail",
        )  # fmt: skip
        return [StepRow(**(dict(zip(names, row, strict=True)) | {"replayed": bool(row[7])})) for row in rows]

    def handled(self, block: int) -> Iterator[tuple[str, str, str, str, bool]]:
        """(saga id, participant, step, result, replayed) of every handling: saga by saga, each in time order.

        Of a large block there are millions, which as rows of :class:`StepRow` would take minutes.
        """
        rows = self._db.execute(
            "SELECT saga_id, participant, step, result, replayed FROM steps WHERE block = ? ORDER BY saga_id, t_s",
            (block,),
        )
        for saga_id, participant, step, result, replayed in rows:
            yield saga_id, participant, step, result, bool(replayed)

    def clients(self, block: int, *, arrival: int | None = None, saga_id: str | None = None) -> list[SagaRow]:
        """The client's records of one arrival, or of one saga."""
        rows = self._db.execute(
            f"SELECT {_SAGA_COLUMNS} FROM sagas WHERE block = ? AND (arrival = ? OR saga_id = ?)",
            (block, arrival, saga_id),
        )
        return [_saga_row(row) for row in rows]

    def faults(self, block: int) -> list[FaultRow]:
        """Strikes in time order."""
        rows = self._db.execute(
            "SELECT t_s, worker, fault, saga_id, arrival, participant, step, attempt, detail FROM faults "
            "WHERE block = ? ORDER BY t_s",
            (block,),
        )
        names = ("t_s", "worker", "fault", "saga_id", "arrival", "participant", "step", "attempt", "detail")
        return [FaultRow(**dict(zip(names, row, strict=True))) for row in rows]

    def events(self, block: int) -> list[EventRow]:
        """What happened to the run itself, in time order."""
        rows = self._db.execute("SELECT t_s, what FROM events WHERE block = ? ORDER BY t_s", (block,))
        return [EventRow(t_s=t_s, what=what) for t_s, what in rows]

    def ledger(self, block: int) -> list[LedgerRow]:
        """Collected ledger entries, by time of commit."""
        rows = self._db.execute(
            "SELECT participant, saga_id, step, result, at_ns, movements FROM ledger WHERE block = ? ORDER BY at_ns",
            (block,),
        )
        return [
            LedgerRow(participant=p, saga_id=s, step=n, result=r, at_ns=t, movements=json.loads(m))
            for p, s, n, r, t, m in rows
        ]

    def accounts(self, block: int) -> list[AccountRow]:
        """Collected accounts."""
        rows = self._db.execute(
            "SELECT participant, account, initial, final FROM accounts WHERE block = ? ORDER BY participant, account",
            (block,),
        )
        return [AccountRow(participant=p, account=a, initial=i, final=f) for p, a, i, f in rows]

    def endings(self, block: int) -> list[EndingRow]:
        """Collected endings."""
        rows = self._db.execute(
            "SELECT participant, table_name, saga_id, value FROM endings WHERE block = ? ORDER BY saga_id", (block,)
        )
        return [EndingRow(participant=p, table=t, saga_id=s, value=v) for p, t, s, v in rows]

    def samples(self, block: int, metric: str) -> Iterator[Sample]:
        """The samples of one metric, in time order within each series."""
        rows = self._db.execute(
            "SELECT t_s, target, metric, labels, value FROM samples JOIN series USING (series) "
            "WHERE block = ? AND metric = ? ORDER BY series, t_s",
            (block, metric),
        )
        for t_s, target, name, labels, value in rows:
            yield Sample(t_s=t_s, target=target, metric=name, labels=json.loads(labels), value=value)
