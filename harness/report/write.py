"""Writes what a run leaves for people and pipelines, from the saved run alone."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import msgspec

from harness.audit.auditor import audit_run
from harness.core.saga import Saga
from harness.history import run_file
from harness.history.history import History
from harness.report.html import render_page
from harness.report.junit import render_junit
from harness.report.markdown import render_markdown
from harness.report.model import Report, make_report
from harness.report.run_data import read_run
from harness.report.summary import Summary

HISTORY = "history.sqlite"
SUMMARY, PAGE, MARKDOWN, JUNIT = "summary.json", "report.html", "summary.md", "junit.xml"


@dataclass(frozen=True)
class Written:
    """What a report was made of: the report, for whoever wants to show it."""

    report: Report

    @property
    def summary(self) -> Summary:
        """The content of ``summary.json``."""
        return self.report.summary


def write_report(folder: Path, saga: Saga | None = None) -> Written:
    """Audit, judge and report the run in ``folder``.

    The same saved run gives the same files. Raises :class:`~harness.core.errors.RunNotFound` where there is no run, and
    what :func:`~harness.audit.auditor.audit_run` raises; ``saga`` is for sagas that are not installed.
    """
    report = read_report(folder, saga)
    write_files(folder, report)
    return Written(report)


def read_report(folder: Path, saga: Saga | None = None) -> Report:
    """Everything that there is to say of the run in ``folder``; writes no report."""
    audits = audit_run(folder, saga).blocks
    # Not opened read-only: SQLite would leave the files of its write-ahead log behind in the run's folder.
    with History(folder / HISTORY) as history:
        return make_report(read_run(run_file.load(folder), history), audits)


def write_files(folder: Path, report: Report) -> None:
    """Each file whole or not at all, and the summary last: where it is there, the others are too."""
    _write(folder / PAGE, render_page(report).encode())
    _write(folder / MARKDOWN, render_markdown(report).encode())
    _write(folder / JUNIT, render_junit(report))
    _write(folder / SUMMARY, encode_summary(report.summary))


def encode_summary(summary: Summary) -> bytes:
    """The content of ``summary.json``."""
    return msgspec.json.format(msgspec.json.encode(summary), indent=2) + b"\n"


def _write(path: Path, content: bytes) -> None:
    part = path.with_name(f"{path.name}.part")
    part.write_bytes(content)
    part.replace(path)
