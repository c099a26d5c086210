"""Every fault at every step, compensation and closing step: where it strikes, and how the saga must end in spite of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from harness.core.saga import Outcome, Saga
from tests.step_faults.shapes import SAGAS, supplied
from tests.world.drivers import POLICY
from tests.world.trace import Occasion
from tests.world.trouble import Script
from tests.world.world import HEALTHY, Plan

SAGA_ID = "s-0000"
Effect = tuple[str, str]
"""A work and its result, as the ledger has it."""


@dataclass(frozen=True)
class Course:
    """A way that a saga goes by itself: to its end, or back from the step that refuses or is given up.

    ``done``: what the ledger must hold then, each once. ``troubles``: what it takes to have the step given up.
    """

    saga: Saga
    done: tuple[Effect, ...]
    outcome: Outcome
    refusing: str | None = None
    given_up: str | None = None
    tombstone: str | None = None

    @property
    def troubles(self) -> tuple[Occasion, ...]:
        """The step that is given up does its work, and no callback ever says so."""
        return _every_try("lost callback", self.given_up) if self.given_up else ()

    @property
    def in_words(self) -> str:
        if self.refusing:
            return f" in a saga that {self.refusing} refuses"
        return f" in a saga whose {self.given_up} is given up" if self.given_up else ""


@dataclass(frozen=True)
class Fault:
    """One thing that goes wrong, once, with one work. ``where`` says on which occasions, ``in_words`` reads with it."""

    in_words: str
    where: Callable[[str, int], tuple[Occasion, ...]]
    """From the work, and the commit in its handling that succeeds."""
    needs_orchestrator: bool = False


@dataclass(frozen=True)
class Case:
    """One saga, one course, one fault at one work."""

    topology: str
    course: Course
    work: str
    fault: str
    script: tuple[Occasion, ...]
    late_s: float = 30.0
    """How late all is that is late here: by default, long after the saga has ended."""

    @property
    def plan(self) -> Plan:
        saga = supplied(self.course.saga, self.course.refusing)
        return Plan(sagas=1, saga=saga, trouble=Script(script=self.script, delay_s=self.late_s))

    def __str__(self) -> str:
        what = self.fault.format(self.work)
        return f"{self.course.saga.name}, {self.topology}: {what}{self.course.in_words}"


def _at(*kinds: str) -> Callable[[str, int], tuple[Occasion, ...]]:
    return lambda work, _: tuple(Occasion(kind, SAGA_ID, work) for kind in kinds)


def _at_commit(kind: str) -> Callable[[str, int], tuple[Occasion, ...]]:
    return lambda work, commit: (Occasion(kind, SAGA_ID, work, commit=commit),)


def _twice_late(work: str, _: int) -> tuple[Occasion, ...]:
    return Occasion("duplicate", SAGA_ID, work), Occasion("delay", SAGA_ID, work, copy=2)


def _every_try(kind: str, work: str) -> tuple[Occasion, ...]:
    return tuple(Occasion(kind, SAGA_ID, work, number=number + 1) for number in range(POLICY.max_tries))


FAULTS = (
    Fault("{} goes well", lambda *_: ()),
    Fault("{} meets an error before its commit", _at_commit("error before commit")),
    Fault("the worker crashes before {} is committed", _at_commit("crash before commit")),
    Fault("the worker crashes after {} is committed and before it replies", _at_commit("crash after commit")),
    Fault("the store's answer to {} is lost", _at_commit("lost answer")),
    Fault("the reply of {} is lost", _at("lost reply")),
    Fault("the worker crashes after the reply of {}", _at("crash before acknowledgement")),
    Fault("{} is delivered twice at once", _at("duplicate")),
    Fault("{} is delivered twice, the second time late", _twice_late),
    Fault("{} is delivered to nobody at first", _at("lose")),
    Fault("{} is delivered late", _at("delay")),
    Fault("{} replies late", _at("late reply")),
    Fault("the callback of {} is lost", _at("lost callback"), needs_orchestrator=True),
)


def cases() -> Iterator[Case]:
    """The whole matrix."""
    for topology in HEALTHY:
        for saga in SAGAS.values():
            for course in courses(saga, topology):
                yield from _once(topology, course)
            if topology != "choreographed":
                yield from _given_up(topology, saga)


def courses(saga: Saga, topology: str) -> Iterator[Course]:
    """Forward, back from every step that can refuse, and back from the last step that an orchestrator can give up."""
    yield Course(saga, tuple((step.name, "done") for step in saga.steps), Outcome.COMPLETED)
    for index, step in enumerate(saga.steps):
        if step.refused:
            yield _back(saga, index, refusing=step.name)
    if topology != "choreographed" and saga.pivot_index >= 0:
        yield _back(saga, saga.pivot_index, given_up=saga.steps[saga.pivot_index].name)


def _back(
    saga: Saga, index: int, *, refusing: str | None = None, given_up: str | None = None, tombstone: str | None = None
) -> Course:
    """Up to a step, back from it, and to the end."""
    names = [step.name for step in saga.steps[: index + 1]]
    undone = [step.compensation.name for step in saga.steps[: index + 1] if step.compensation]
    done = {name: "done" for name in (*names, *undone, *(step.name for step in saga.after_compensation))}
    if refusing:
        done[refusing] = "refused"
        del done[undone[-1]]
    if tombstone:
        done[undone[-1]] = "nothing-to-undo"
        del done[tombstone]
    return Course(saga, tuple(done.items()), Outcome.COMPENSATED, refusing, given_up, tombstone)


def _once(topology: str, course: Course) -> Iterator[Case]:
    for fault in FAULTS:
        for work, result in course.done:
            if work == course.given_up or (fault.needs_orchestrator and topology == "choreographed"):
                continue
            # A refusal is found in the first commit, which fails, and recorded in a second one.
            occasions = fault.where(work, 2 if result == "refused" else 1)
            yield Case(topology, course, work, fault.in_words, (*course.troubles, *occasions))


def _given_up(topology: str, saga: Saga) -> Iterator[Case]:
    """Timeout of every try, then late success: of the reply or of the work, while the saga compensates or after it."""
    for index, step in enumerate(saga.steps):
        if step.compensation is None:
            continue
        undone, barred = _back(saga, index), _back(saga, index, tombstone=step.name)
        # Long enough for the late ones to find the saga compensating: its undoing is asked for twice, 4 s apart.
        waits = Occasion("lose", SAGA_ID, step.compensation.name)
        callbacks, deliveries = _every_try("late reply", step.name), _every_try("delay", step.name)
        case = Case(topology, undone, step.name, "no callback of {} ever comes", _every_try("lost callback", step.name))
        yield case
        late = replace(case, fault="{} times out, and its callbacks come when all is over", script=callbacks)
        yield late
        yield replace(
            late,
            fault="{} times out, and its last callback comes while it is being undone",
            script=(*callbacks, waits),
            late_s=5.0,
        )
        yield replace(
            case,
            fault="{} times out, and is done while the saga waits for its undoing",
            script=(*deliveries, waits),
            late_s=7.5,
        )
        yield replace(case, course=barred, fault="{} times out, and comes when all is over", script=deliveries)
