"""Blocks whose load comes from outside: ``sagastorm up``, under a Locust that somebody else has started.

It prints a line of JSON for each block, once that serves (:class:`Announcement`), and reads lines: ``over``, the load of
this block is over and the next one may come; ``end``, or the end of the input, and no further block comes. A block whose
load is over before its time is aborted, as one that is interrupted.
"""

from __future__ import annotations

import asyncio
import os
import threading
from pathlib import Path

import msgspec

from harness.load.plan import EPOCH_FILE, write_plan
from harness.run.block import SystemUnderTest
from harness.run.run import Run

LOOK_EVERY_S = 0.05
STANDARD_INPUT = 0
OVER, END = b"over", b"end"


class _Epoch(msgspec.Struct):
    epoch_ns: int


class Announcement(msgspec.Struct):
    """The line that ``sagastorm up`` prints once a block serves; ``block`` counts from 0."""

    plan: str
    run: str
    ingress: str
    block: int
    of: int
    topology: str


class OutsideLoad:
    """The load of each block in turn, by whoever started us."""

    def __init__(self) -> None:
        self._input: _Input | None = None

    async def __call__(self, run: Run, system: SystemUnderTest, interrupted: asyncio.Event) -> None:
        """Announce the block, and serve until it is told that its load is over, or the run is interrupted."""
        if self._input is None:
            self._input = _Input(run)
        turn = system.turn
        write_plan(turn.plan_path, turn.plan(system.ingress_url, None))
        announcement = Announcement(
            plan=str(turn.plan_path.resolve()),
            run=str(run.folder.resolve()),
            ingress=system.ingress_url,
            block=turn.number,
            of=len(run.settings.interleave),
            topology=turn.topology,
        )
        over = self._input.next_over()
        print(msgspec.json.encode(announcement).decode(), flush=True)
        await system.guard(asyncio.ensure_future(_serve(system, over, interrupted)))


async def _serve(system: SystemUnderTest, over: threading.Event, interrupted: asyncio.Event) -> None:
    epoch_path = system.turn.spool_dir / EPOCH_FILE
    begun = False
    while not over.is_set() and not interrupted.is_set():
        if not begun and (epoch_ns := _read_epoch(epoch_path)) is not None:
            begun = True
            system.begin(epoch_ns)
        if begun and system.now_s() >= system.turn.settings.duration_s:
            system.heal()
        await asyncio.sleep(LOOK_EVERY_S)


def _read_epoch(path: Path) -> int | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=_Epoch).epoch_ns
    except (FileNotFoundError, msgspec.DecodeError):
        return None


class _Input:
    """What whoever started us says on our standard input. Read by a thread: it may be any kind of file."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._over = threading.Event()
        threading.Thread(target=self._read, name="standard input", daemon=True).start()

    def next_over(self) -> threading.Event:
        """Set when the load that is about to be announced is over, at once where no more is wanted."""
        self._over = over = threading.Event()
        if self._run.no_more:
            over.set()
        return over

    def _read(self) -> None:
        unfinished = b""
        while received := os.read(STANDARD_INPUT, 4096):
            *lines, unfinished = (unfinished + received).split(b"\n")
            for line in lines:
                if line.strip() == END:
                    return self._end()
                if line.strip() == OVER:
                    self._over.set()
        self._end()

    def _end(self) -> None:
        # It dies, or closes our input: in this order, or the event of a block that comes now would not be set.
        self._run.no_more = True
        self._over.set()
