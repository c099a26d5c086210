"""``sagastorm`` with runs that are made up: everything of a check is real but for what its runs measure.

``python -m tests.check.made_up check …`` is the command line; ``python -m tests.check.made_up run …`` makes up one run,
as slow as ``MADE_UP_SLOWER`` says (1.0: as ever), with a lost stock item where ``MADE_UP_BROKEN`` is set.
"""

from __future__ import annotations

import os
import secrets
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import msgspec

from harness.check.base import Revision
from harness.cli import check, main, options
from harness.core.errors import EXIT_USAGE, UsageError
from harness.history import run_file
from harness.history.history import FILE_NAME, History
from harness.history.spool import Spool, spool_folder
from harness.report.run_data import MACHINE_CPU
from harness.report.write import write_report
from harness.settings import RunSettings
from tests.report import synthetic_run

ROOT = Path(__file__).resolve().parents[2]
COMMAND = (sys.executable, "-m", "tests.check.made_up")


def make_up(folder: Path, settings: RunSettings, slower: float = 1.0, *, broken: bool = False) -> int:
    """A run with these settings below ``folder``, judged; the exit code that ``sagastorm run`` would have."""
    spec = synthetic_run.Spec(
        seed=settings.seed,
        topologies=settings.topologies,
        interleave=settings.interleave,
        duration_s=settings.duration_s,
        rate_per_s=settings.rate_per_s,
        storm=Path(settings.storm).stem != "calm",
        restart_in_block=None,
    )
    run_id = f"made-up-{secrets.token_hex(4)}"
    made = synthetic_run.build(folder / run_id, spec)
    run_file.save(made, msgspec.structs.replace(run_file.load(made), settings=settings, run_id=run_id))
    with History(made / FILE_NAME) as history:
        for block in history.blocks():
            number = block.block
            history.put_block(msgspec.structs.replace(block, load_digest=f"{settings.seed}-{block.round}"))
            if slower != 1.0:
                _slow_down(history, made, number, slower)
            if broken:
                _lose(history, number)
    return write_report(made).judgement.exit_code


def crowd(run: Path, busy: float, *, broken: bool = False) -> None:
    """The same run, judged anew, on a machine whose processors were so busy; with a lost stock item if ``broken``."""
    cores = float(run_file.load(run).machine["cores"])
    with closing(sqlite3.connect(run / FILE_NAME)) as database, database:
        machine = "(SELECT series FROM series WHERE metric = ?)"
        database.execute(f"UPDATE samples SET value = t_s * ? WHERE series IN {machine}", (busy * cores, MACHINE_CPU))
    if broken:
        with History(run / FILE_NAME) as history:
            _lose(history, 0)
    write_report(run)


def _lose(history: History, block: int) -> None:
    ledger = list(history.ledger(block))
    history.add_collected(block, ledger[1:], history.accounts(block), history.endings(block))


def _slow_down(history: History, made: Path, block: int, factor: float) -> None:
    with Spool(spool_folder(made, block) / "load-2.jsonl") as spool:
        for row in history.sagas(block):
            if row.completion_ms is not None:
                spool.write(msgspec.structs.replace(row, completion_ms=row.completion_ms * factor))
    history.import_spool(block, spool_folder(made, block))


def _run(arguments: list[str]) -> int:
    """``run --name value … --runs FOLDER``; every name must be one that ``sagastorm run`` has."""
    given = dict(zip((name.removeprefix("--") for name in arguments[::2]), arguments[1::2], strict=True))
    runs = Path(given.pop("runs"))
    if unknown := set(given) - {option.name for option in (*options.OPTIONS, options.BACKEND)}:
        print(f"No such option: {', '.join(sorted(unknown))}")
        return EXIT_USAGE
    try:
        settings = options.from_process(given)
    except UsageError as error:
        print(error)
        return EXIT_USAGE
    environ = os.environ
    return make_up(runs, settings, float(environ.get("MADE_UP_SLOWER", "1")), broken="MADE_UP_BROKEN" in environ)


if __name__ == "__main__":
    if sys.argv[1:2] == ["run"]:
        sys.exit(_run(sys.argv[2:]))
    check.this_revision = lambda folder: Revision("this revision", COMMAND, folder)
    main.main()
