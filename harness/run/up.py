"""A block whose load comes from outside: ``sagastorm up``, under a Locust that somebody else has started."""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path

import msgspec

from harness.load.plan import EPOCH_FILE, write_plan
from harness.run.block import SystemUnderTest
from harness.run.run import Run

LOOK_EVERY_S = 0.05


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
    system.begin(time.monotonic_ns())
    announcement = Announcement(
        plan=str(plan_path.resolve()), run=str(run.folder.resolve()), ingress=system.ingress_url
    )
    print(msgspec.json.encode(announcement).decode(), flush=True)
    await system.guard(asyncio.ensure_future(_serve(system, interrupted)))


async def _serve(system: SystemUnderTest, interrupted: asyncio.Event) -> None:
    epoch_path = system.turn.spool_dir / EPOCH_FILE
    ended = asyncio.ensure_future(_end_of_input())
    known: int | None = None
    try:
        while not ended.done() and not interrupted.is_set():
            epoch_ns = _read_epoch(epoch_path)
            if epoch_ns is not None and epoch_ns != known:
                known = epoch_ns
                system.begin(epoch_ns)
            if known is not None and system.now_s() >= system.turn.settings.duration_s:
                system.heal()
            await asyncio.wait({ended}, timeout=LOOK_EVERY_S)
    finally:
        ended.cancel()


def _read_epoch(path: Path) -> int | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=_Epoch).epoch_ns
    except (FileNotFoundError, msgspec.DecodeError):
        return None


async def _end_of_input() -> None:
    """Ends when whoever started us closes our standard input, or dies."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while await reader.read(4096):
        pass
