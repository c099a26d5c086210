"""``sagastorm gate``: what it does, from saved runs to the exit code."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from harness.core.errors import Problem, UsageError
from harness.gate.annotations import no_commands, tell_github
from harness.gate.judge import judge_gates, refuse
from harness.gate.model import Gates
from harness.gate.outputs import write_outputs
from harness.gate.read import find_gates, read_gates
from harness.gate.terminal import print_gates
from harness.history import run_file
from harness.report.write import read_report


def asked(path: Path | None, *, without_base: bool, has_base: bool) -> Gates:
    """The gates of a file, or of the folder that this is. Raises ``UsageError``."""
    gates = find_gates(Path()) if path is None else read_gates(path)
    if without_base and has_base:
        raise UsageError([Problem("--no-base", True, "either a base or none")])
    return gates.without_base() if without_base else gates


def gate(gates: Gates, runs: Sequence[Path], base: Sequence[Path], out: Path | None) -> int:
    """Judge saved runs, tell it, and write it to ``out`` if there is one."""
    if out and out.exists() and not out.is_dir():
        raise UsageError([Problem("--out", str(out), "a folder, or a path where one can be made")])
    refuse(gates, [run_file.load(folder) for folder in runs], [run_file.load(folder) for folder in base])
    reports = [read_report(folder) for folder in runs]
    report = judge_gates(gates, reports, [read_report(folder) for folder in base])
    console = Console()
    with no_commands(os.environ):
        print_gates(console, report)
    if out:
        write_outputs(out, report, reports)
        console.print(f"\n{out}", highlight=False, markup=False, soft_wrap=True)
    for line in tell_github(report, os.environ):
        print(line)
    return report.exit_code
