"""Worlds for Hypothesis: a few mishaps at stated places, so that what is left after shrinking is what it takes."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

from hypothesis import strategies as st

from tests.step_faults.shapes import SAGAS, supplied
from tests.world.trace import Occasion
from tests.world.trouble import Script
from tests.world.world import HEALTHY, Plan

_MOST_SAGAS = 3
KINDS = (
    "duplicate", "late duplicate", "delay", "lose", "error before commit", "crash before commit", "crash after commit",
    "lost answer", "slow", "lost reply", "late reply", "lost callback", "crash before acknowledgement",
)  # fmt: skip


@dataclass(frozen=True)
class Mishap:
    """One kind of trouble with one work of one saga.

    It strikes the first so many ``messages`` that ask for the work, and the first so many ``deliveries`` of each.
    """

    kind: str
    saga_id: str
    work: str
    messages: int = 1
    deliveries: int = 1

    def occasions(self) -> list[Occasion]:
        """Where it would strike; what never comes to be is not struck."""
        kinds = {"late duplicate": [("duplicate", 1), ("delay", 2)]}.get(self.kind, [(self.kind, 1)])
        after = self.kind in ("crash after commit", "lost answer")  # in whichever of two tries was committed
        commits = (1, 2) if after else (1,) if "commit" in self.kind or self.kind == "slow" else (0,)
        return [
            Occasion(kind, self.saga_id, self.work, message + 1, copy, delivery + 1, commit)
            for message, delivery in product(range(self.messages), range(self.deliveries))
            for kind, copy in kinds
            for commit in commits
        ]


@dataclass(frozen=True)
class Try:
    """One world to try. ``late_s``: how late whatever is late is."""

    saga: str
    refusing: str | None
    sagas: int
    late_s: float
    mishaps: tuple[Mishap, ...]

    @property
    def plan(self) -> Plan:
        """What is to be run."""
        script = tuple(occasion for mishap in self.mishaps for occasion in mishap.occasions())
        trouble = Script(script=script, delay_s=self.late_s, slow_s=self.late_s)
        return Plan(sagas=self.sagas, saga=supplied(SAGAS[self.saga], self.refusing), trouble=trouble)


TOPOLOGIES = st.sampled_from(sorted(HEALTHY))


@st.composite
def tries(draw: st.DrawFn, saga: str | None = None) -> Try:
    """Any of the sagas, unless one is given, with a few mishaps."""
    name = saga or draw(st.sampled_from(sorted(SAGAS)))
    definition = SAGAS[name]
    sagas = draw(st.integers(1, _MOST_SAGAS))
    mishap = st.builds(
        Mishap,
        st.sampled_from(KINDS),
        st.integers(0, sagas - 1).map("s-{:04}".format),
        st.sampled_from(list(definition.works())),
        st.integers(1, 3),
        st.integers(1, 3),
    )
    return Try(
        name,
        draw(st.sampled_from([None, *(step.name for step in definition.steps if step.refused)])),
        sagas,
        draw(st.sampled_from((1.5, 5.0, 7.5, 12.0, 30.0))),
        tuple(draw(st.lists(mishap, max_size=8, unique=True))),
    )
