"""``sagastorm journey``: what was recorded of one saga, as a waterfall in the terminal."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import msgspec
from rich.console import Console

from harness.core.errors import EXIT_PASS, Problem, RunNotFound, UsageError
from harness.history.history import FILE_NAME, History
from harness.report.journeys import Journey, read_journey
from harness.report.waterfall_text import lines

_PLACE = re.compile(r"(?:(?P<round>\d+)/)?(?P<arrival>\d+)")


def journey(folder: Path, which: str) -> int:
    """Print the journeys of a saga, or of an arrival in every block that met it."""
    if not (folder / FILE_NAME).exists():
        raise RunNotFound(f"{folder}: this run has no {FILE_NAME}")
    try:
        with History(folder / FILE_NAME) as history:
            found = list(find(history, which))
    except (sqlite3.Error, msgspec.DecodeError) as error:
        raise RunNotFound(f"{folder}: {FILE_NAME} cannot be read: {error}") from error
    if not found:
        valid = "the id of a saga of this run, the number of an arrival, or ROUND/ARRIVAL"
        raise UsageError([Problem("SAGA", which, valid)])
    console = Console(highlight=False)
    until_ms = max(each.end_ms for each in found)
    for each in found:
        for line in lines(each, until_ms, console.width):
            console.print(line, markup=False, soft_wrap=True)
        console.print()
    return EXIT_PASS


def find(history: History, which: str) -> Iterator[Journey]:
    """The journeys of ``which``: a saga id, an arrival, or round and arrival; rounds are counted from 1."""
    place = _PLACE.fullmatch(which)
    round = int(place["round"]) - 1 if place and place["round"] else None
    for block in history.blocks():
        if round is not None and block.round != round:
            continue
        rows = history.clients(block.block, arrival=int(place["arrival"]) if place else None, saga_id=which)
        for row in rows:
            yield read_journey(history, block, row.saga_id or "", row)
        # A saga may be known to the workers only: its request got no answer, or nobody asked for it.
        if not rows and history.steps(block.block, which):
            yield read_journey(history, block, which, None)
