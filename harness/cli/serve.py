"""``sagastorm serve`` and ``sagastorm compare --html``: the result is the exit code."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from harness.cli.commands import find
from harness.core.errors import EXIT_PASS, Problem, RunNotFound, UsageError
from harness.history import run_file
from harness.report.compare_runs import allowed, check
from harness.report.comparison_page import render_comparison
from harness.report.comparison_sides import parse_picks, side_by_side
from harness.report.write import read_report
from harness.serve.app import Folders
from harness.serve.server import is_loopback
from harness.serve.server import serve as listen

MOST_PORT = 65_535


def serve(runs: Path, ablations: Path, host: str, port: str) -> int:
    """Show past runs in the browser until Ctrl-C."""
    problems = []
    if not runs.is_dir():
        problems.append(Problem("--runs", str(runs), "a folder of runs; sagastorm run makes one"))
    if not (port.isascii() and port.isdecimal() and len(port) <= 5 and int(port) <= MOST_PORT):
        problems.append(Problem("--port", port, f"a port from 0 (any that is free) to {MOST_PORT}"))
    if not host:
        problems.append(Problem("--host", host, "an address of this machine, such as 127.0.0.1"))
    if problems:
        raise UsageError(problems)
    console = Console(highlight=False, markup=False, soft_wrap=True)

    def announce(address: str) -> None:
        console.print(f"Past runs of {runs}: {address} (Ctrl-C ends it)")
        if not is_loopback(host):
            console.print(f"Everybody who reaches {host} can read them: there is no password.")

    asyncio.run(listen(Folders(runs, ablations), host, int(port), announce))
    return EXIT_PASS


def compare_page(given: Sequence[str], runs: Path, allow: str, page: Path) -> int:
    """Write the comparison of runs (``RUN``) and blocks (``RUN:BLOCK``) into one file.

    What ``compare`` refuses is refused, unless it is allowed by name.
    """
    fields = allowed(allow)
    if not page.parent.is_dir() or page.is_dir():
        raise UsageError([Problem("--html", str(page), "a file in a folder that is there")])
    found = [_found(text, runs) for text in given]
    folders = dict.fromkeys(folder for folder, _ in found)
    names = {folder: name for name, folder in _names(list(folders)).items()}
    picks = parse_picks([f"{names[folder]}{block}" for folder, block in found], list(names.values()))
    if len(folders) > 1:
        check([run_file.load(folder) for folder in folders], fields)
    reports = {name: read_report(folder) for folder, name in names.items()}
    text = render_comparison(side_by_side(picks, reports))
    part = page.with_name(f"{page.name}.part")
    part.write_text(text, encoding="utf-8")
    part.replace(page)
    Console(highlight=False, markup=False, soft_wrap=True).print(str(page))
    return EXIT_PASS


def _found(text: str, runs: Path) -> tuple[Path, str]:
    """The run's folder, and the block as it was given, such as ``:2``."""
    try:
        return find(Path(text), runs).resolve(), ""
    except RunNotFound:
        run, colon, block = text.rpartition(":")
        if not colon:
            raise
        return find(Path(run), runs).resolve(), f":{block}"


def _names(folders: Sequence[Path]) -> dict[str, Path]:
    """A name for each: of several that are called the same, their whole path."""
    called = [folder.name for folder in folders]
    return {folder.name if called.count(folder.name) == 1 else str(folder): folder for folder in folders}
