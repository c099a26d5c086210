"""Reads saved runs without leaving a trace in them."""

from __future__ import annotations

import shutil
from collections import OrderedDict
from pathlib import Path
from tempfile import TemporaryDirectory

from harness.core.errors import RunNotFound
from harness.history.history import FILE_NAME
from harness.report.model import Report
from harness.report.write import read_report

READ = ("run.json", FILE_NAME, f"{FILE_NAME}-wal")
SPOOL = "spool"
MOST_KEPT = 200_000
"""Arrivals in all reports that are kept: a few hundred megabytes."""

Stamp = tuple[tuple[int, int] | None, ...]


class Reader:
    """Reads each run once while it stays as it is, as long as there is room: picking another base must not take as long
    as the first look."""

    def __init__(self) -> None:
        self._kept: OrderedDict[Path, tuple[Stamp, Report]] = OrderedDict()

    def report(self, folder: Path) -> Report:
        """As :func:`read_copy`."""
        stamp = tuple(_stamp(folder / name) for name in READ)
        kept = self._kept.pop(folder, None)
        report = kept[1] if kept and kept[0] == stamp else read_copy(folder)
        self._kept[folder] = (stamp, report)
        while len(self._kept) > 1 and sum(_arrivals(report) for _, report in self._kept.values()) > MOST_KEPT:
            self._kept.popitem(last=False)
        return report


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_mtime_ns, status.st_size


def _arrivals(report: Report) -> int:
    return sum(len(data.sagas) for data in report.data.blocks)


def read_copy(folder: Path) -> Report:
    """The report of the run in ``folder``, from a copy of its records.

    To open a history is to write: SQLite makes the files of its write-ahead log, and the audit takes over what a killed
    run left in its spools. Raises what :func:`~harness.report.write.read_report` raises, and names the folder only.
    """
    with TemporaryDirectory(prefix="sagastorm-") as scratch:
        copy = Path(scratch) / folder.name
        copy.mkdir()
        for name in READ:
            if (folder / name).is_file():
                shutil.copyfile(folder / name, copy / name)
        if (folder / SPOOL).is_dir():
            shutil.copytree(folder / SPOOL, copy / SPOOL, copy_function=shutil.copyfile)
        try:
            return read_report(copy)
        except RunNotFound as error:
            raise RunNotFound(str(error).replace(f"{scratch}/", "")) from error
