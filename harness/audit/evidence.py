"""Everything that is known of one block, put together saga by saga. Checkers see this and nothing else."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Self, TypeVar

from harness.core.saga import Compensation, Outcome, Saga, Step, StepKind
from harness.history.history import History
from harness.history.records import AccountRow, Block, EndingRow, LedgerRow, SagaRow, StepRow

DONE = "done"
UNDO_RESULTS = (DONE, "nothing-to-undo")
"""Results with which a compensation has taken place, whether or not there was anything to undo."""


@dataclass(frozen=True)
class SagaEvidence:
    """What is known of one saga. ``ledger`` is in the order of ``at_ns``, ``steps`` in the order of ``t_s``."""

    saga_id: str
    client: SagaRow | None = None
    ledger: tuple[LedgerRow, ...] = ()
    endings: tuple[EndingRow, ...] = ()
    steps: tuple[StepRow, ...] = ()

    @property
    def told(self) -> str | None:
        """The outcome that the client was told."""
        return self.client.outcome if self.client else None

    @property
    def arrival(self) -> int | None:
        """The arrival that started it, by the workers' word: -1 where it is none of the schedule's, ``None`` unknown."""
        return self.steps[0].arrival if self.steps else None

    def entries(self, name: str, *results: str) -> list[LedgerRow]:
        """Ledger entries of a step or compensation with one of these results."""
        return [entry for entry in self.ledger if entry.step == name and entry.result in results]

    def done(self, name: str) -> list[LedgerRow]:
        """Ledger entries that say that a step or compensation was done."""
        return self.entries(name, DONE)

    def seen_done(self, name: str) -> list[StepRow]:
        """Handlings that did the step themselves, by the worker's word: a replay tells only of an earlier one."""
        return [row for row in self.steps if row.step == name and row.result == DONE and not row.replayed]

    def when(self, at_ns: int) -> str:
        """A moment as a witness tells it: since the saga's first ledger entry."""
        return f"+{(at_ns - self.ledger[0].at_ns) / 1e6:.3f} ms"

    def each(self, name: str) -> str:
        """When each time was, for the end of a witness; nothing where only the workers know."""
        times = [self.when(entry.at_ns) for entry in self.done(name)]
        return f", at {', '.join(times)}" if times else ", by the workers' records"

    def instead(self, name: str) -> str:
        """What the ledger has where something was not done, for a witness."""
        results = sorted({entry.result for entry in self.ledger if entry.step == name} - {DONE})
        return f"only {name} {', '.join(results)}" if results else f"no entry of {name}"

    def last_seen(self) -> str:
        """The last thing known to have happened to the saga."""
        if self.ledger:
            last = self.ledger[-1]
            return f"the last ledger entry is {last.step} {last.result} at {self.when(last.at_ns)}"
        if self.steps:
            return f"the last handling was {self.steps[-1].step} {self.steps[-1].result}, at {self.steps[-1].t_s:.3f} s"
        return "no participant is known to have seen it"


@dataclass(frozen=True)
class Evidence:
    """One block: the saga's definition, the client's rows by arrival, and what is known by saga id.

    ``sagas`` holds every saga id that occurs anywhere, told to a client or not.
    """

    saga: Saga
    block: Block
    clients: tuple[SagaRow, ...] = ()
    accounts: tuple[AccountRow, ...] = ()
    sagas: Mapping[str, SagaEvidence] = field(default_factory=dict)

    @classmethod
    def of(cls, history: History, block: Block, saga: Saga) -> Self:
        """Read everything about one block."""
        number = block.block
        return cls.assemble(
            saga,
            block,
            clients=history.sagas(number),
            ledger=history.ledger(number),
            accounts=history.accounts(number),
            endings=history.endings(number),
            steps=history.steps(number),
        )

    @classmethod
    def assemble(
        cls,
        saga: Saga,
        block: Block,
        *,
        clients: Iterable[SagaRow] = (),
        ledger: Iterable[LedgerRow] = (),
        accounts: Iterable[AccountRow] = (),
        endings: Iterable[EndingRow] = (),
        steps: Iterable[StepRow] = (),
    ) -> Self:
        """Put rows of any order together."""
        clients = tuple(clients)
        client_of = {row.saga_id: row for row in clients if row.saga_id is not None}
        ledger_of = _by_saga(ledger, lambda entry: entry.saga_id)
        endings_of = _by_saga(endings, lambda ending: ending.saga_id)
        steps_of = _by_saga(steps, lambda step: step.saga_id)
        sagas = {
            saga_id: SagaEvidence(
                saga_id,
                client_of.get(saga_id),
                tuple(sorted(ledger_of.get(saga_id, ()), key=lambda entry: entry.at_ns)),
                tuple(endings_of.get(saga_id, ())),
                tuple(sorted(steps_of.get(saga_id, ()), key=lambda row: row.t_s)),
            )
            for saga_id in dict.fromkeys([*client_of, *ledger_of, *steps_of, *endings_of])
        }
        return cls(saga, block, clients, tuple(accounts), sagas)

    @property
    def unanswered(self) -> set[int]:
        """Arrivals whose request got no answer: each may have started one saga that no client can name."""
        return {row.arrival for row in self.clients if row.status == "error"}

    @property
    def compensations(self) -> list[tuple[Step, Compensation]]:
        """The steps that can be undone, in their order, each with its undoing."""
        return [(step, step.compensation) for step in self.saga.steps if step.compensation]

    @property
    def forward_only(self) -> list[Step]:
        """The steps that are taken only once the pivot is known to have succeeded."""
        return [step for step in self.saga.steps if step.kind is StepKind.RETRIABLE]

    def times_done(self, one: SagaEvidence, name: str) -> int:
        """How often a step or compensation was done: by the ledger, where there is none by the workers' records.

        A worker that dies after the commit leaves no record, so its records can only be too few, never too many.
        """
        return len(one.done(name) if self.block.collected else one.seen_done(name))

    def ledger_endings(self, one: SagaEvidence) -> set[Outcome]:
        """How the saga ended by the participants' own account; empty where it has not, two where it ended both ways.

        A last step that was undone ended nothing: it was a pivot whose success was never known.
        """
        ends: set[Outcome] = set()
        last = self.saga.steps[-1]
        if one.done(last.name) and not (last.compensation and one.done(last.compensation.name)):
            ends.add(Outcome.COMPLETED)
        if self.saga.after_compensation:
            undone = bool(one.done(self.saga.after_compensation[-1].name))
        else:
            first = self.saga.steps[0]
            undone = bool(one.entries(first.name, "refused"))
            if first.compensation:
                undone = undone or bool(one.entries(first.compensation.name, *UNDO_RESULTS))
        if undone:
            ends.add(Outcome.COMPENSATED)
        return ends

    def outcome(self, one: SagaEvidence) -> str | None:
        """How the saga ended: as its client was told, else by the ledger, ``None`` where neither can say."""
        if one.told is not None:
            return one.told
        ends = self.ledger_endings(one)
        return ends.pop() if len(ends) == 1 else None


_Row = TypeVar("_Row")


def _by_saga(rows: Iterable[_Row], saga_id: Callable[[_Row], str]) -> dict[str, list[_Row]]:
    grouped: dict[str, list[_Row]] = defaultdict(list)
    for row in rows:
        grouped[saga_id(row)].append(row)
    return grouped
