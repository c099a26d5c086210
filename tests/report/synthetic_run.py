"""A small saved run, made from a seed: plausible enough to be read as one, small enough to be made in a test.

``python -m tests.report.synthetic_run FOLDER`` writes one to look at. Nothing in it was measured.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from statistics import NormalDist

from harness.audit.auditor import Anomaly, Audit
from harness.core.seeded import uniform
from harness.core.verdict import Verdict
from harness.history import run_file
from harness.history.history import History
from harness.history.records import (
    AccountRow,
    Block,
    EndingRow,
    EventRow,
    FaultRow,
    LedgerRow,
    SagaRow,
    Sample,
    StepRow,
)
from harness.history.run_file import BackendFacts, Instrument, Reading, RunFile
from harness.history.spool import Spool
from harness.report.run_data import RunData, read_run
from harness.settings import RunSettings
from tests.report.synthetic_series import series

STORM_START_S, STORM_END_S = 4.0, 12.0
OVERLOAD_START_S, OVERLOAD_END_S = 6.0, 9.0
LOST, DUPLICATE, OVERLOAD = "request-lost", "duplicate-at-once", "payment-overload"
MEDIAN_MS = {"orchestrated": 220.0, "choreographed": 160.0}
SIGMA = {"orchestrated": 0.25, "choreographed": 0.35}
OVERLOAD_MS = {"orchestrated": 900.0, "choreographed": 1500.0}
STEPS = (("order", "create"), ("payment", "charge"), ("inventory", "reserve"), ("order", "approve"),
         ("notification", "confirm"))  # fmt: skip
UNDONE = (("order", "create"), ("payment", "charge"), ("order", "reject"), ("notification", "cancel"))
PRICE_CENTS = 1_250
DRAIN_S = 2.5
STUCK_DRAIN_S = 6.0
"""How long a block is drained that does not run empty."""


@dataclass(frozen=True)
class Spec:
    """What to make. The first letters of ``interleave`` name the topologies in their order."""

    seed: int = 7
    topologies: tuple[str, ...] = ("orchestrated", "choreographed")
    interleave: str = "ABBA"
    duration_s: float = 20.0
    rate_per_s: float = 12.0
    storm: bool = True
    restart_in_block: int | None = 2
    """A worker dies in this block, 10 s into the load, and another takes its place."""
    fades_s: dict[str, float] = field(default_factory=dict)
    """Topologies in which retries make the overload worse the longer it goes on, and how long after it they stop doing so:
    ``inf`` for one that never heals."""


@dataclass
class Made:
    """One block as it is made."""

    block: Block
    sagas: list[SagaRow] = field(default_factory=list)
    steps: list[StepRow] = field(default_factory=list)
    faults: list[FaultRow] = field(default_factory=list)
    events: list[EventRow] = field(default_factory=list)
    ledger: list[LedgerRow] = field(default_factory=list)
    endings: list[EndingRow] = field(default_factory=list)
    replayed: list[float] = field(default_factory=list)
    """When each duplicate was answered from the record."""
    retried: list[float] = field(default_factory=list)
    """When a message came again of a step that had not been done."""
    samples: list[Sample] = field(default_factory=list)


def build(folder: Path, spec: Spec | None = None) -> Path:
    """Write ``run.json`` and ``history.sqlite`` into ``folder`` and return it."""
    spec = spec or Spec()
    folder.mkdir(parents=True, exist_ok=True)
    run_file.save(folder, run(spec))
    with History(folder / "history.sqlite") as history:
        for made in blocks(spec):
            _save(history, folder, made)
    return folder


def run(spec: Spec) -> RunFile:
    """The run file of a spec."""
    return RunFile(
        run_id=f"synthetic-{spec.seed}",
        settings=RunSettings(
            topologies=spec.topologies,
            interleave=spec.interleave,
            storm="default" if spec.storm else "calm",
            rate_per_s=spec.rate_per_s,
            duration_s=spec.duration_s,
            seed=spec.seed,
        ),
        storm={"name": "default" if spec.storm else "calm", "description": "", "faults": _storm(spec)},
        started_at="2026-11-01T09:00:00Z",
        command=f"sagastorm run create-order --storm default --rate {spec.rate_per_s:g} --seed {spec.seed}",
        commit="0123456789abcdef0123456789abcdef01234567",
        versions={"sagastorm": "0.1.0", "python": "3.11.7", "aioboto3": "15.5.0"},
        machine={"system": "Linux", "cores": 2, "cpu": "synthetic", "memory_mib": 24_103},
        backend=BackendFacts(
            name="embedded",
            product="ministack",
            version="ministack 1.5.33",
            callback_retry="retry",
            deviations=(),
            checked=True,
        ),
        instrument=Instrument(
            hops={
                "queue": Reading(p50_ms=1.9, p95_ms=3.4, samples=200),
                "bus_to_queue": Reading(p50_ms=3.1, p95_ms=5.2, samples=200),
                "state_transition": Reading(p50_ms=2.4, p95_ms=4.1, samples=200),
                "conditional_write": Reading(p50_ms=1.1, p95_ms=1.8, samples=200),
            },
            call_cpu_ms=0.46,
        ),
    )


def blocks(spec: Spec) -> Iterator[Made]:
    """All blocks, in the order of the interleaving."""
    met: dict[str, int] = {}
    for number, letter in enumerate(spec.interleave):
        topology = spec.topologies["ABCDEFGH".index(letter)]
        yield _block(spec, number, topology, met.get(letter, 0))
        met[letter] = met.get(letter, 0) + 1


def read(folder: Path) -> RunData:
    """A run that was built, as the report reads it."""
    with History(folder / "history.sqlite") as history:
        return read_run(run_file.load(folder), history)


def audits(data: RunData, anomalies: dict[int, list[Anomaly]] | None = None) -> list[Audit]:
    """What an auditor might have said: all valid, but for the blocks with anomalies."""
    found = anomalies or {}
    return [audit(each.block.block, each.block.topology, found.get(each.block.block)) for each in data.blocks]


def audit(block: int, topology: str, anomalies: list[Anomaly] | None = None) -> Audit:
    """One block's audit by three checks."""
    names = ("effect-twice", "money-or-stock-mismatch", "unresolved-saga")
    found = {anomaly.name for anomaly in anomalies or []}
    return Audit(
        block=block,
        topology=topology,
        verdict=Verdict.INVALID if found else Verdict.VALID,
        anomalies=anomalies or [],
        checks={name: Verdict.INVALID if name in found else Verdict.VALID for name in sorted({*names, *found})},
        notes=[],
    )


CHARGED_TWICE = Anomaly(
    name="effect-twice",
    count=2,
    sagas=("s-1-41", "s-1-97"),
    witness="saga s-1-41: charge was expected to be done once, it was done 2 times (2 ledger entries)",
)


def _storm(spec: Spec) -> list[dict[str, object]]:
    window = {"start_s": STORM_START_S, "end_s": STORM_END_S}
    if not spec.storm:
        return []
    return [
        {"name": LOST, "kind": "timeout", "probability": 0.06, **window, "step": "charge", "options": {}},
        {"name": DUPLICATE, "kind": "duplicate-delivery", "probability": 0.15, **window, "step": "charge"},
        {"name": OVERLOAD, "kind": "overload", "probability": 1.0, "participant": "payment",
         "start_s": OVERLOAD_START_S, "end_s": OVERLOAD_END_S},
    ]  # fmt: skip


def _block(spec: Spec, number: int, topology: str, round: int) -> Made:
    due = list(_schedule(spec, round))
    windows = [(str(f["name"]), float(str(f["start_s"])), float(str(f["end_s"]))) for f in _storm(spec)]
    heals = math.isfinite(spec.fades_s.get(topology, 0.0))
    made = Made(
        Block(
            block=number,
            topology=topology,
            round=round,
            namespace=f"synthetic-{number}",
            duration_s=spec.duration_s,
            state="complete",
            collected=True,
            drained=heals,
            scheduled=len(due),
            load_ended_s=spec.duration_s,
            drained_s=spec.duration_s + (DRAIN_S if heals else STUCK_DRAIN_S),
            storm_windows=windows,
            dead_letters=0,
        )
    )
    for arrival, scheduled_s in enumerate(due):
        _saga(spec, made, arrival, scheduled_s)
    restarted = number == spec.restart_in_block
    if restarted:
        made.events.append(EventRow(t_s=10.0, what="worker-0 was killed and started again"))
    made.samples.extend(
        series(made.block, made.sagas, made.replayed, made.retried, made.faults, restart_s=10.0 if restarted else None)
    )
    return made


def _schedule(spec: Spec, round: int) -> Iterator[float]:
    t_s, number = 0.0, 0
    while True:
        t_s -= math.log1p(-uniform(spec.seed, "gap", round, number)) / spec.rate_per_s
        if t_s >= spec.duration_s:
            return
        yield round_us(t_s)
        number += 1


def round_us(t_s: float) -> float:
    """Whole microseconds, so that every platform makes the same run."""
    return round(t_s, 6)


def _saga(spec: Spec, made: Made, arrival: int, scheduled_s: float) -> None:
    block = made.block
    key = (block.round, arrival)
    saga_id = f"s-{block.block}-{arrival}"
    poor = uniform(spec.seed, "poor", *key) < 0.08
    struck = _strikes(spec, made, arrival, scheduled_s, saga_id)
    spread = NormalDist().inv_cdf(max(1e-9, uniform(spec.seed, "took", block.topology, *key)))
    took_ms = MEDIAN_MS[block.topology] * math.exp(SIGMA[block.topology] * spread) * (0.75 if poor else 1.0)
    took_ms += 1_000.0 if LOST in struck else 0.0
    if spec.storm:
        since_s = max(0.0, scheduled_s - OVERLOAD_START_S)
        fade_s = spec.fades_s.get(block.topology, 4.0)
        left = max(0.0, 1 - max(0.0, scheduled_s - OVERLOAD_END_S) / fade_s) if since_s else 0.0
        grown = since_s / 3 if block.topology in spec.fades_s else min(1.0, since_s / 3)
        took_ms += OVERLOAD_MS[block.topology] * grown * left
    if block.topology in spec.fades_s:
        made.retried += [scheduled_s + again_s for again_s in range(1, 1 + int(took_ms / 500))]
    ends = not block.drained_s or scheduled_s + took_ms / 1000 <= block.drained_s
    made.sagas.append(
        SagaRow(
            arrival=arrival,
            scheduled_s=scheduled_s,
            status="accepted",
            saga_id=saga_id,
            sent_s=round_us(scheduled_s + 0.002 + 0.006 * uniform(spec.seed, "lag", block.block, arrival)),
            outcome=("compensated" if poor else "completed") if ends else None,
            reason="insufficient balance" if poor and ends else None,
            completion_ms=round(took_ms, 3) if ends else None,
        )
    )
    _commits(made, arrival, scheduled_s, took_ms, poor=poor)
    if DUPLICATE in struck:
        done = made.steps[-1]
        made.replayed.append(done.t_s)


def _strikes(spec: Spec, made: Made, arrival: int, scheduled_s: float, saga_id: str) -> set[str]:
    struck: set[str] = set()
    # The overload strikes by the clock, a little later in the slower topology: the sets of sagas differ.
    late_s = 0.4 if made.block.topology == "choreographed" else 0.2
    for fault in _storm(spec):
        name = str(fault["name"])
        at_s = scheduled_s + (late_s if name == OVERLOAD else 0.0)
        in_window = float(str(fault["start_s"])) <= at_s < float(str(fault["end_s"]))
        if in_window and uniform(spec.seed, "fault", name, made.block.round, arrival) < float(
            str(fault["probability"])
        ):
            struck.add(name)
            made.faults.append(
                FaultRow(
                    t_s=round_us(scheduled_s + late_s),
                    worker="worker-0",
                    fault=name,
                    saga_id=saga_id,
                    arrival=arrival,
                    participant="payment",
                    step="charge",
                    attempt="0.1",
                )
            )
    return struck


def _commits(made: Made, arrival: int, scheduled_s: float, took_ms: float, *, poor: bool) -> None:
    saga_id = f"s-{made.block.block}-{arrival}"
    path = UNDONE if poor else STEPS
    for index, (participant, step) in enumerate(path):
        at_s = scheduled_s + took_ms / 1000 * (index + 1) / (len(path) + 1)
        refused = poor and step == "charge"
        movements: dict[str, int] = {}
        if step == "charge" and not poor:
            movements = {f"balances:customer-{arrival % 5}:cents": -PRICE_CENTS}
        if step == "reserve":
            movements = {f"stock:sku-{arrival % 7}:on_hand": -1}
        result = "refused" if refused else "done"
        made.ledger.append(
            LedgerRow(participant=participant, saga_id=saga_id, step=step, result=result, at_ns=int(at_s * 1e9),
                      movements=movements)
        )  # fmt: skip
        made.steps.append(
            StepRow(t_s=round_us(at_s + 0.002), worker="worker-0", participant=participant, saga_id=saga_id,
                    arrival=arrival, step=step, result=result, replayed=False, attempt="0.1", took_ms=2.0)
        )  # fmt: skip
    made.endings.append(
        EndingRow(participant="order", table="orders", saga_id=saga_id, value="REJECTED" if poor else "APPROVED")
    )
    if not poor:
        made.endings.append(EndingRow(participant="payment", table="journal", saga_id=saga_id, value="CHARGED"))


def _accounts(ledger: Iterable[LedgerRow]) -> list[AccountRow]:
    moved: dict[tuple[str, str], int] = {}
    for row in ledger:
        for account, amount in row.movements.items():
            moved[row.participant, account] = moved.get((row.participant, account), 0) + amount
    return [
        AccountRow(participant=participant, account=account, initial=10**6, final=10**6 + amount)
        for (participant, account), amount in sorted(moved.items())
    ]


def _save(history: History, folder: Path, made: Made) -> None:
    number = made.block.block
    history.put_block(made.block)
    spool_dir = folder / "spool" / str(number)
    with Spool(spool_dir / "load-0.jsonl") as spool:
        for row in made.sagas:
            spool.write(row)
        for event in made.events:
            spool.write(event)
    with Spool(spool_dir / "worker-0.jsonl") as spool:
        for step in made.steps:
            spool.write(step)
        for fault in made.faults:
            spool.write(fault)
    history.import_spool(number, spool_dir)
    history.add_collected(number, made.ledger, _accounts(made.ledger), made.endings)
    history.add_samples(number, made.samples)


if __name__ == "__main__":
    print(build(Path(sys.argv[1])))
