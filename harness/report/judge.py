"""The verdict of a run, and the exit code that tells it.

``fail``: the audit of a block found an anomaly. ``inconclusive``: nothing was found wrong, but the run cannot answer
the question, as something in it was not measured, did not happen or was saturated. ``pass``: every check is valid.
Every check is a function of saved data and says in one sentence what it found and what the limit is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from harness.audit.auditor import Audit
from harness.core.errors import EXIT_FAIL, EXIT_INCONCLUSIVE, EXIT_PASS
from harness.core.verdict import RunVerdict, Verdict
from harness.history.run_file import RunFile
from harness.report.agreement import agreement
from harness.report.compare import same_load
from harness.report.costs import backend_call_ms, machine_load
from harness.report.faults import fired, planned_faults
from harness.report.quantiles import nearest_rank
from harness.report.run_data import CPU, BlockData, RunData
from harness.report.series import cores_busy

LAG_P99_LIMIT_MS = 250.0
"""How late the load generator may send, at its p99. Completion counts from the scheduled start, so a late sender shows
up as a slow topology; a quarter of a second is the size of the differences that runs are made to tell."""
UNSERVED_LIMIT = 0.01
"""Share of arrivals that may be dropped, rejected or left without an answer. They would have met the longest queues:
above one in a hundred, the p99 that is left is not the p99 that users would have seen, and a front door that turns
many away looks fast."""
BACKEND_CPU_LIMIT = 0.95
"""Cores that the emulator's one process may keep busy over the load. It runs Python, so it cannot use more than one;
near that, the queue in front of it is what gets measured."""
BACKEND_CALL_LIMIT = 6.0
"""How many times as long as before the load a bare call may take over it, at the median, where no CPU time can be read.
Measured on LocalStack 4.14, two cores, no storm, at shares of the capacity read: 1.1 to 4.6 times at a half or less (once 9.1,
on a machine that others had all in use, which is told by itself), 3.7 at 0.84, 8.5 at 0.96, 37 at 1.0, 128 at 1.8. Embedded: 0.7 to 2.4 at a
quarter to a half, 8 to 19 at 1.2 to 1.4, 33 to 45 at 2.5. Sagas take twice their time between 3.7 and 8.5."""
CAPACITY_LIMIT = 0.9
"""Share of the backend's capacity above which an offered rate is remarked upon. The capacity is read in a few seconds and
without any participant's work, so what really saturates it lies lower, and is for the rule above to find."""

MACHINE_BUSY_LIMIT = 0.9
"""Share of all processors that may be busy over the load, with our processes and everybody else's. Above it processes
wait for each other, the one that needs most waits longest, and which topology looks slower is a matter of luck."""
FOREIGN_DIFFERENCE_LIMIT = 0.1
"""By how much the share of all processors that others used may differ between the blocks of one round. A block is
compared with its round; on a machine of two cores this is a fifth of one, which is enough to make a topology look
slower that is not."""

TIMES_ONLY = frozenset({"sent-on-time", "backend-not-saturated", "machine-not-crowded", "same-foreign-load"})
"""Rules on which times depend, and whether money or stock was lost does not."""

NOTES_TOLD = 3
"""Notes of an audit that a reason repeats; the report lists them all."""


@dataclass(frozen=True)
class Check:
    """One thing that was looked at. ``about`` is a block, a topology or the run.

    ``says`` is why the verdict is not valid; of a valid check it is a remark that a reader should see, or nothing.
    """

    rule: str
    about: str
    verdict: Verdict
    says: str | None = None


@dataclass(frozen=True)
class Judgement:
    """All checks, and what follows from them."""

    checks: list[Check]

    @property
    def verdict(self) -> RunVerdict:
        """The worst check decides; no check at all is no evidence."""
        verdicts = {check.verdict for check in self.checks}
        if Verdict.INVALID in verdicts:
            return RunVerdict.FAIL
        if Verdict.UNKNOWN in verdicts or not verdicts:
            return RunVerdict.INCONCLUSIVE
        return RunVerdict.PASS

    @property
    def reasons(self) -> list[str]:
        """Why the verdict is not ``pass``, what broke first, then what is not known."""
        return [
            check.says or f"{check.about}: {check.rule} is {check.verdict}."
            for verdict in (Verdict.INVALID, Verdict.UNKNOWN)
            for check in self.checks
            if check.verdict is verdict
        ]

    @property
    def remarks(self) -> list[str]:
        """What does not change the verdict but belongs beside the figures."""
        return [check.says for check in self.checks if check.verdict is Verdict.VALID and check.says]

    @property
    def exit_code(self) -> int:
        """As named in :mod:`harness.core.errors`."""
        codes = {
            RunVerdict.PASS: EXIT_PASS,
            RunVerdict.FAIL: EXIT_FAIL,
            RunVerdict.INCONCLUSIVE: EXIT_INCONCLUSIVE,
        }
        return codes[self.verdict]


def judge(data: RunData, audits: Sequence[Audit]) -> Judgement:
    """Look at everything; a run is judged by all of its checks, not by the first that fails."""
    by_block = {audit.block: audit for audit in audits}
    checks = [_all_blocks_ran(data), *_had_turns(data), *_same_load(data), *_same_foreign_load(data)]
    for block in data.blocks:
        audited = _audited(block, by_block.get(block.block.block))
        checks.append(_ran_to_its_end(block))
        if block.block.state == "complete":
            checks.append(audited)
            checks.extend(rule(block) for rule in BLOCK_RULES)
            if audited.verdict is not Verdict.INVALID:
                checks.append(_ends_known(block))
            checks.append(_backend_not_saturated(block, data.run))
            checks.append(_machine_not_crowded(block, data.cores))
        elif audited.verdict is Verdict.INVALID:
            # What broke in a block that was cut short broke all the same; that the rest is unknown has been said.
            checks.append(audited)
    checks.extend(_within_capacity(data))
    checks.extend(_faults_fired(data))
    return Judgement(checks)


def _check(rule: str, about: str, ok: bool, sentence: str) -> Check:
    return Check(rule, about, Verdict.VALID) if ok else Check(rule, about, Verdict.UNKNOWN, sentence)


def _all_blocks_ran(data: RunData) -> Check:
    planned = len(data.run.settings.interleave)
    complete = sum(block.block.state == "complete" for block in data.blocks)
    # A block that ended the run tells why itself; before it has begun there is no block to tell.
    problem = data.run.problem
    untold = problem and all(block.block.problem != problem for block in data.blocks)
    why = f" What ended the run: {problem}." if untold else ""
    return _check(
        "all-blocks-ran",
        "run",
        complete >= planned,
        f"{complete} of {planned} planned blocks ran to their end, so the topologies did not get equal turns.{why}",
    )


def _had_turns(data: RunData) -> list[Check]:
    settings = data.run.settings
    return [
        _check(
            "had-a-turn",
            topology,
            chr(ord("A") + number) in settings.interleave,
            f"{topology} had no block in {settings.interleave}, so there is nothing to say of it.",
        )
        for number, topology in enumerate(settings.topologies)
    ]


def _same_foreign_load(data: RunData) -> list[Check]:
    rounds: dict[int, list[tuple[float, str]]] = {}
    for block in data.blocks:
        load = machine_load(block, data.cores)
        # A backend that was not measured would pass for somebody else's program, and topologies load it unequally.
        if block.block.state == "complete" and load is not None and block.of_kind(CPU, "backend"):
            rounds.setdefault(block.block.round, []).append((load.foreign, block.name))
    return [_foreign_load_of_round(number, shares) for number, shares in sorted(rounds.items()) if len(shares) > 1]


def _foreign_load_of_round(number: int, shares: list[tuple[float, str]]) -> Check:
    (least, quiet), (most, busy) = min(shares), max(shares)
    return _check(
        "same-foreign-load",
        f"round {number + 1}",
        most - least <= FOREIGN_DIFFERENCE_LIMIT,
        f"round {number + 1}: other programs used {most:.0%} of the machine in {busy} and {least:.0%} in {quiet} "
        f"({100 * (most - least):.0f} percentage points apart, limit {100 * FOREIGN_DIFFERENCE_LIMIT:.0f}): its "
        "blocks did not have the same machine.",
    )


def _same_load(data: RunData) -> list[Check]:
    rounds = sorted({block.block.round for block in data.blocks})
    return [
        _check(
            "same-load",
            f"round {number + 1}",
            same_load([block.block for block in data.blocks if block.block.round == number]),
            f"round {number + 1}: its blocks were not offered the same arrivals, so it compares nothing.",
        )
        for number in rounds
    ]


def _ran_to_its_end(data: BlockData) -> Check:
    block = data.block
    why = f": {block.problem}" if block.problem else ""
    return _check(
        "ran-to-its-end",
        data.name,
        block.state == "complete",
        f"{data.name} is {block.state}{why}; its figures are left out.",
    )


def _audited(data: BlockData, audit: Audit | None) -> Check:
    if audit is None:
        return Check("audited", data.name, Verdict.UNKNOWN, f"{data.name} was not audited.")
    found = ", ".join(f"{anomaly.count} x {anomaly.name}" for anomaly in audit.anomalies)
    if audit.verdict is Verdict.INVALID:
        first = f"; first: {audit.anomalies[0].witness}" if audit.anomalies else ""
        sentence = f"{data.name}: the audit found {found or 'an anomaly'}{first}."
        return Check("audited", data.name, Verdict.INVALID, sentence)
    if audit.verdict is Verdict.UNKNOWN:
        more = f"; and {len(audit.notes) - NOTES_TOLD} more" if len(audit.notes) > NOTES_TOLD else ""
        why = ("; ".join(audit.notes[:NOTES_TOLD]) or "something that it needs was not recorded") + more
        return Check("audited", data.name, Verdict.UNKNOWN, f"{data.name}: the audit cannot tell: {why}.")
    return Check("audited", data.name, Verdict.VALID)


def _drained(data: BlockData) -> Check:
    unknown = "it was not recorded whether the queues ran empty"
    left = "queues or executions still held work when the drain limit passed, so sagas may have ended unseen"
    return _check(
        "drained",
        data.name,
        data.block.drained is True,
        f"{data.name}: {unknown if data.block.drained is None else left}.",
    )


def _recorded(data: BlockData) -> Check:
    rows, scheduled = len(data.sagas), data.block.scheduled
    return _check(
        "every-arrival-recorded",
        data.name,
        rows == scheduled and scheduled > 0,
        f"{data.name}: the client recorded {rows} arrivals, the schedule has {scheduled}.",
    )


def _something_ended(data: BlockData) -> Check:
    return _check(
        "sagas-ended", data.name, len(data.ended) > 0, f"{data.name}: no saga ended, so there is nothing to compare."
    )


UNSERVED = {
    "dropped": "dropped by the load generator",
    "rejected": "rejected by the ingress",
    "error": "without an answer",
}
"""In words, what became of an arrival that was not accepted."""


def _few_unserved(data: BlockData) -> Check:
    counts = Counter(row.status for row in data.sagas)
    kinds = [f"{counts[status]} {words}" for status, words in UNSERVED.items() if counts[status]]
    unserved = sum(counts[status] for status in UNSERVED)
    share = unserved / len(data.sagas) if data.sagas else 0.0
    sentence = (
        f"{data.name}: {unserved} of {len(data.sagas)} arrivals were not served ({share:.2%}, limit "
        f"{UNSERVED_LIMIT:.0%}): {', '.join(kinds)}."
    )
    if share > UNSERVED_LIMIT:
        return Check("few-unserved", data.name, Verdict.UNKNOWN, sentence)
    return Check("few-unserved", data.name, Verdict.VALID, sentence if unserved else None)


def _ends_known(data: BlockData) -> Check:
    """Of a block that was not drained it has been said already that sagas may have ended unseen."""
    count = len(data.unresolved)
    return _check(
        "ends-known",
        data.name,
        count == 0 or data.block.drained is not True,
        f"{data.name}: {count} {'saga has' if count == 1 else 'sagas have'} no known end.",
    )


def _sent_on_time(data: BlockData) -> Check:
    lags_ms = [1000 * (row.sent_s - row.scheduled_s) for row in data.sagas if row.sent_s is not None]
    if not lags_ms:
        return Check("sent-on-time", data.name, Verdict.UNKNOWN, f"{data.name}: no arrival is recorded as sent.")
    p99_ms = nearest_rank(np.array(lags_ms), 0.99)
    return _check(
        "sent-on-time",
        data.name,
        p99_ms <= LAG_P99_LIMIT_MS,
        f"{data.name}: the load generator sent {p99_ms:.0f} ms late at its p99 (limit {LAG_P99_LIMIT_MS:.0f} ms): "
        "it was saturated.",
    )


def _series_agree(data: BlockData) -> Check:
    counts = agreement(data)
    return _check(
        "series-agree-with-rows",
        data.name,
        counts.holds,
        f"{data.name}: the series count {counts.series} ended sagas, the client rows {counts.rows}; "
        f"processes that ended between two scrapes explain {counts.explained} of the difference.",
    )


NOT_SATURATED = "backend-not-saturated"

BLOCK_RULES: tuple[Callable[[BlockData], Check], ...] = (
    _drained,
    _recorded,
    _something_ended,
    _few_unserved,
    _sent_on_time,
    _series_agree,
)


def _backend_not_saturated(data: BlockData, run: RunFile) -> Check:
    """By its CPU time where its process is in sight, else by how long it takes to answer a bare call.

    Not all of somebody else's backend need be in sight (LocalStack's DynamoDB is another process), so there both count.
    """
    load_s = data.block.load_ended_s or data.block.duration_s
    busy = [cores for track in data.of_kind(CPU, "backend") if (cores := cores_busy(track, load_s)) is not None]
    if busy and (max(busy) > BACKEND_CPU_LIMIT or run.settings.endpoints is None):
        return _saturated_unless(
            data,
            max(busy) <= BACKEND_CPU_LIMIT,
            f"kept {max(busy):.2f} cores busy over the load",
            f"{BACKEND_CPU_LIMIT:.2f}",
        )
    idle = run.instrument.idle_call if run.instrument else None
    call_ms = backend_call_ms(data)
    if idle is not None and call_ms is not None:
        times = call_ms / idle.p50_ms
        took = f"took {call_ms:.1f} ms to answer a bare call over the load, {times:.1f} times the {idle.p50_ms:.1f} ms before it"
        return _saturated_unless(data, times <= BACKEND_CALL_LIMIT, took, f"{BACKEND_CALL_LIMIT:g} times")
    sentence = f"{data.name}: how busy the backend was is not known, so it cannot be shown that it kept up."
    return _check(NOT_SATURATED, data.name, bool(busy), sentence)


def _saturated_unless(data: BlockData, ok: bool, did: str, limit: str) -> Check:
    sentence = f"{data.name}: the backend {did} (limit {limit}): it was saturated, and sagas are slow because it is."
    return _check(NOT_SATURATED, data.name, ok, sentence)


def _within_capacity(data: RunData) -> list[Check]:
    rate_per_s = data.run.settings.rate_per_s
    checks: list[Check] = []
    for topology in data.topologies:
        capacity = data.run.instrument.capacity_of(topology) if data.run.instrument else None
        if capacity is None:
            continue
        sentence = (
            f"{topology}: {rate_per_s:g} sagas/s were offered, {rate_per_s / max(capacity, 0.01):.0%} of the "
            f"{capacity:.1f} that the backend carries with no participant's code (remarked upon above "
            f"{CAPACITY_LIMIT:.0%}): slow sagas may be the backend's doing."
        )
        over = rate_per_s > CAPACITY_LIMIT * capacity
        checks.append(Check("rate-within-capacity", topology, Verdict.VALID, sentence if over else None))
    return checks


def _machine_not_crowded(data: BlockData, cores: int) -> Check:
    rule = "machine-not-crowded"
    load = machine_load(data, cores)
    if load is None:
        return Check(rule, data.name, Verdict.VALID, f"{data.name}: how busy the machine was is not known.")
    return _check(
        rule,
        data.name,
        load.busy <= MACHINE_BUSY_LIMIT,
        f"{data.name}: the machine's {cores} cores were {load.busy:.0%} busy over the load (limit "
        f"{MACHINE_BUSY_LIMIT:.0%}), {load.ours:.0%} with this run: its times are those of a crowded machine.",
    )


def _faults_fired(data: RunData) -> list[Check]:
    # A fault with probability 0 was switched off on purpose: it is listed with its 0 strikes and holds nothing up.
    expected = [fault.name for fault in planned_faults(data.run) if fault.probability > 0]
    checks: list[Check] = []
    # A topology of which no block ran to its end is told as just that: its silence about every fault adds nothing.
    for topology in (name for name in data.topologies if data.complete(name)):
        counts = fired(data, topology)
        checks.extend(_fault_fired(topology, fault, counts[fault]) for fault in expected)
    return checks


def _fault_fired(topology: str, fault: str, strikes: int | None) -> Check:
    rule = f"fault-fired:{fault}"
    if strikes is None:
        return Check(rule, topology, Verdict.VALID, f"{topology}: the storm's fault {fault} does not apply to it.")
    never = f"{topology}: the storm's fault {fault} never struck, so the run says nothing about it."
    return _check(rule, topology, strikes > 0, never)
