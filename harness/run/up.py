"""A block whose load comes from outside: ``sagastorm up``, under a Locust that somebody else has started."""

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


class _Epoch(msgspec.Struct):
    epoch_ns: int


class Announcement(msgspec.Struct):
    """The one line that ``sagastorm up`` prints once it serves."""

    plan: str
    run: str
    ingress: str


async def outside_load(run: Run, system: SystemUnderTest, interrupted: asyncio.Event) -> None:
    """Serve until standard input ends or the run is interrupted."""
    plan_path = system.turn.plan_path
    write_plan(plan_path, system.turn.plan(system.ingress_url, None))
    announcement = Announcement(
        plan=str(plan_path.resolve()), run=str(run.folder.resolve()), ingress=system.ingress_url
    )
    print(msgspec.json.encode(announcement).decode(), flush=True)
    await system.guard(asyncio.ensure_future(_serve(system, interrupted)))


async def _serve(system: SystemUnderTest, interrupted: asyncio.Event) -> None:
    epoch_path = system.turn.spool_dir / EPOCH_FILE
    ended = _end_of_input()
    begun = False
    while not ended.is_set() and not interrupted.is_set():
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


def _end_of_input() -> threading.Event:
    """Set when whoever started us closes our standard input, or dies. Read by a thread: it may be any kind of file."""
    ended = threading.Event()

    def read() -> None:
        while os.read(STANDARD_INPUT, 4096):
            pass
        ended.set()

    threading.Thread(target=read, name="standard input", daemon=True).start()
    return ended
