"""Writes what a run leaves for people and pipelines, from the saved run alone."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import msgspec

from harness.audit.auditor import audit_run
from harness.core.errors import RunNotFound
from harness.core.saga import Saga
from harness.history import run_file
from harness.history.history import FILE_NAME, History
from harness.report.html import render_page
from harness.report.junit import render_junit
from harness.report.markdown import render_markdown
from harness.report.model import Report, make_report
from harness.report.run_data import read_run
from harness.report.selection import choose
from harness.report.summary import Summary
from harness.report.traffic import read_traffic

SUMMARY, PAGE, MARKDOWN, JUNIT = "summary.json", "report.html", "summary.md", "junit.xml"


def write_report(folder: Path, saga: Saga | None = None) -> Report:
    """Audit, judge and report the run in ``folder``; returns the report for whoever wants to show it.

    The same saved run gives the same files. Raises what :func:`read_report` raises.
    """
    report = read_report(folder, saga)
    write_files(folder, report)
    return report


def read_report(folder: Path, saga: Saga | None = None) -> Report:
    """Everything that there is to say of the run in ``folder``; writes no report.

    ``saga`` is for sagas that are not installed. Raises :class:`~harness.core.errors.RunNotFound` where there is no
    run or it cannot be read, and :class:`~harness.core.errors.UsageError` for an unknown saga.
    """
    try:
        audits = audit_run(folder, saga).blocks
        # Not opened read-only: SQLite would leave the files of its write-ahead log behind in the run's folder.
        with History(folder / FILE_NAME) as history:
            data = read_run(run_file.load(folder), history)
            return make_report(data, audits, choose(history, data, audits), read_traffic(history, data))
    except (sqlite3.Error, msgspec.DecodeError) as error:
        raise RunNotFound(f"{folder}: {FILE_NAME} cannot be read: {error}") from error


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
