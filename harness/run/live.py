"""``live.json``: how a run is going, for whoever watches. Written by the harness, which takes everything in anyway.

The process that makes the load has better things to do than to count it. The file is replaced once a second, whole or
not at all, and holds the figures of the report as far as they are known; when the run has ended they are the report's.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import msgspec

from harness.history.records import Block, Sample
from harness.history.run_file import RunFile
from harness.report.costs import LAYERS
from harness.report.faults import planned_faults, storm_name
from harness.report.metrics import falsified
from harness.report.quantiles import QUANTILES
from harness.run.tally import Tally
from harness.run.turn import Turn
from harness.run.watch import Lines, Watch

FILE_NAME = "live.json"
SCHEMA = "sagastorm.live/1"

STOPPED = "stopped: no figures"
"""No block of the topology lasted its time, so the report leaves its figures out, and so do we."""

Phase = Literal["measuring", "starting", "load", "drain", "audit", "ended"]


class LiveTopology(msgspec.Struct, kw_only=True):
    """One topology's figures, over its blocks so far; ``null`` is not known, or falsified by the backend.

    As in ``summary.json``; completion times are told to within half a per cent (:data:`harness.run.tally.RESOLUTION`).
    """

    state: str
    """Of its block under way, the phase; else ``waiting``, ``done``, ``not run``, or that it was stopped."""
    scheduled: int | None
    started: int | None
    completed: int | None
    compensated: int | None
    in_flight: int | None
    unresolved: int | None
    dropped: int | None
    rejected: int | None
    no_answer: int | None
    completion_ms: dict[str, float | None]
    retry_amplification: dict[str, float | None]
    duplicates_suppressed: int | None
    faults: dict[str, int | None]


class LiveBlock(msgspec.Struct, kw_only=True):
    """One block that has begun, with its lines over time."""

    block: int
    topology: str
    round: int
    bin_s: int
    now_s: float
    """Seconds since its load started, at the last sample."""
    lines: Lines


class LiveFile(msgspec.Struct, kw_only=True):
    """The content of ``live.json``."""

    run_id: str
    saga: str
    storm: str
    seed: int
    rate_per_s: float
    duration_s: float
    phase: Phase
    block: int
    """Number of the block under way, or of the last one, from 0."""
    of: int
    windows: list[tuple[str, float, float]]
    """(fault, start_s, end_s) of the storm."""
    topologies: dict[str, LiveTopology]
    blocks: list[msgspec.Raw]
    """Each a :class:`LiveBlock`."""
    verdict: str | None
    reasons: list[str]
    schema: str = SCHEMA


class Live:
    """The one who writes it. Every method but :meth:`take` tells of a new phase."""

    def __init__(self, folder: Path, run: RunFile) -> None:
        self._path = folder / FILE_NAME
        self._run = run
        self._phase: Phase = "measuring"
        self._turn: Turn | None = None
        self._watch: Watch | None = None
        self._over: dict[str, Tally] = {}
        self._begun: set[str] = set()
        self._blocks: list[msgspec.Raw] = []
        self._verdict: str | None = None
        self._reasons: list[str] = []

    def measuring(self) -> None:
        """The instrument is read."""
        self._write()

    def starting(self, run: RunFile, turn: Turn) -> None:
        """A block's backend and processes are started. By now it is known what the run is made on."""
        self._run, self._turn, self._phase = run, turn, "starting"
        self._begun.add(turn.topology)
        self._write()

    def deployed(self, block: Block, due_s: Sequence[float]) -> None:
        """The block can take load: it is watched from now on."""
        assert self._turn is not None
        self._watch = Watch(block, due_s, self._turn.spool_dir, self._turn.settings.drain_limit_s)

    def loading(self) -> None:
        """The load begins."""
        self._phase = "load"
        self._write()

    def draining(self, now_s: float) -> None:
        """The load has ended."""
        self._phase = "drain"
        if self._watch is not None:
            self._watch.load_ended_s = now_s
        self._write()

    def take(self, now_s: float, samples: Sequence[Sample]) -> None:
        """A second has passed."""
        if self._watch is not None:
            self._watch.take(now_s, samples)
        self._write()

    def block_over(self, *, complete: bool) -> None:
        """Its lines stay; its figures only where it is complete, as in the report."""
        watch, self._watch = self._watch, None
        if watch is None:
            return
        watch.finish()
        self._blocks.append(_block(watch))
        if complete:
            self._over.setdefault(watch.block.topology, Tally()).include(watch.tally)

    def auditing(self) -> None:
        """All blocks are over, or no more will come."""
        self._phase, self._turn = "audit", None
        self._write()

    def ended(self, verdict: str, reasons: Sequence[str]) -> None:
        """The report is there."""
        self._phase, self._verdict, self._reasons = "ended", verdict, list(reasons)
        self._write()

    def _write(self) -> None:
        settings = self._run.settings
        now = [] if self._watch is None else [_block(self._watch)]
        file = LiveFile(
            run_id=self._run.run_id,
            saga=settings.saga,
            storm=storm_name(self._run),
            seed=settings.seed,
            rate_per_s=settings.rate_per_s,
            duration_s=settings.duration_s,
            phase=self._phase,
            block=self._turn.number if self._turn else max(0, len(self._blocks) - 1),
            of=len(settings.interleave),
            windows=[(fault.name, fault.start_s, fault.end_s) for fault in planned_faults(self._run)],
            topologies={topology: self._topology(topology) for topology in settings.topologies},
            blocks=[*self._blocks, *now],
            verdict=self._verdict,
            reasons=self._reasons,
        )
        part = self._path.with_name(f"{FILE_NAME}.part")
        part.write_bytes(msgspec.json.encode(file))
        part.replace(self._path)

    def _topology(self, topology: str) -> LiveTopology:
        state = self._state(topology)
        if state == STOPPED:
            return _left_out(state, [fault.name for fault in planned_faults(self._run)])
        tally = Tally()
        if topology in self._over:
            tally.include(self._over[topology])
        if self._watch is not None and self._watch.block.topology == topology:
            tally.include(self._watch.tally)
        return LiveTopology(
            state=state,
            scheduled=tally.scheduled,
            started=tally.ends["accepted"],
            completed=tally.ends["completed"],
            compensated=tally.ends["compensated"],
            in_flight=tally.in_flight,
            unresolved=tally.unresolved,
            dropped=tally.ends["dropped"],
            rejected=tally.ends["rejected"],
            no_answer=tally.ends["error"],
            completion_ms={name: _rounded(tally.took.quantile(q), 2) for name, q in QUANTILES.items()},
            retry_amplification=self._amplification(tally),
            duplicates_suppressed=tally.suppressed,
            faults={fault.name: tally.fired(fault.name) for fault in planned_faults(self._run)},
        )

    def _amplification(self, tally: Tally) -> dict[str, float | None]:
        """Without what the backend is known to falsify, and then without the total as well."""
        values = tally.amplification()
        withheld = falsified(self._run)
        wrong = [layer for layer in LAYERS if f"retry_amplification.{layer}" in withheld and values[layer] is not None]
        if wrong or "retry_amplification.total" in withheld:
            wrong.append("total")
        return {layer: None if layer in wrong else _rounded(value, 4) for layer, value in values.items()}

    def _state(self, topology: str) -> str:
        settings = self._run.settings
        if self._turn is not None and self._turn.topology == topology:
            return self._phase
        letter = chr(ord("A") + settings.topologies.index(topology))
        to_come = settings.interleave[self._turn.number + 1 if self._turn else 0 :]
        if letter in to_come and self._phase not in ("audit", "ended"):
            return "waiting"
        if topology in self._over:
            return "done"
        return STOPPED if topology in self._begun else "not run"


def _left_out(state: str, faults: Sequence[str]) -> LiveTopology:
    return LiveTopology(
        state=state,
        scheduled=None,
        started=None,
        completed=None,
        compensated=None,
        in_flight=None,
        unresolved=None,
        dropped=None,
        rejected=None,
        no_answer=None,
        completion_ms=dict.fromkeys(QUANTILES),
        retry_amplification=dict.fromkeys(("total", *LAYERS)),
        duplicates_suppressed=None,
        faults=dict.fromkeys(faults),
    )


def _block(watch: Watch) -> msgspec.Raw:
    block = watch.block
    live = LiveBlock(
        block=block.block,
        topology=block.topology,
        round=block.round,
        bin_s=watch.bin_s,
        now_s=round(watch.now_s, 1),
        lines=watch.lines(),
    )
    return msgspec.Raw(msgspec.json.encode(live))


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)
