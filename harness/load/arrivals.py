"""When arrivals are due: an open model, decided before the load starts and by the seed alone.

The arrivals are a unit-rate process whose time is rescaled by the rate: the n-th arrival is due when the integral of
the rate reaches the n-th event of the unit process. That is exact for any piecewise-constant rate, so a surge changes
how fast the schedule is gone through and nothing else.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from hashlib import sha256
from itertools import pairwise
from math import log1p
from struct import pack

import msgspec

from harness.core.saga import Spell, Workload, WorkloadPlan
from harness.core.seeded import uniform
from harness.load.plan import LoadPlan, Surge

LOAD_DIGEST = "load digest "
"""How a load process begins the event that tells the :func:`digest` of what it sends."""

_WHOLE_ARRIVAL = 1e-9
"""Of an arrival: less than this is rounding in the integral of the rate, not one more arrival."""


def round_seed(seed: int, round: int) -> int:
    """The seed of one round: rounds differ from each other, the blocks of one round do not."""
    return int(uniform(seed, "round", round) * (1 << 53))


def schedule(seed: int, rate_per_s: float, duration_s: float, shape: str, surges: Sequence[Surge] = ()) -> list[float]:
    """Due times in seconds from the start of the load, ascending, in [0, duration_s), on whole microseconds.

    ``shape`` is ``poisson`` (exponential gaps) or ``even`` (equal gaps, the first arrival at 0). A surge multiplies the
    rate by its factor while it lasts; where surges overlap, their factors multiply.
    """
    events = _poisson_events(seed) if shape == "poisson" else _even_events()
    due: list[float] = []
    segments = _segments(rate_per_s, duration_s, surges)
    start_s, end_s, rate, reached = 0.0, 0.0, 0.0, 0.0
    for event in events:
        while event >= reached + rate * (end_s - start_s) - _WHOLE_ARRIVAL:
            reached += rate * (end_s - start_s)
            following = next(segments, None)
            if following is None:
                return due
            start_s, end_s, rate = following
        # Whole microseconds, so that libraries that disagree in the last bit of a logarithm agree on the schedule.
        due.append(int((start_s + max(0.0, event - reached) / rate) * 1e6) / 1e6)
    raise AssertionError("the events of the unit process never end")


def arrivals(plan: LoadPlan) -> list[float]:
    """The schedule of a plan; the same for both topologies of a round."""
    return schedule(round_seed(plan.seed, plan.round), plan.rate_per_s, plan.duration_s, plan.shape, plan.surges)


def workload_plan(plan: LoadPlan, due_s: Sequence[float]) -> WorkloadPlan:
    """What a saga's workload is made from, for the arrivals of a plan, which are due at ``due_s``."""
    return WorkloadPlan(
        seed=round_seed(plan.seed, plan.round),
        arrivals=len(due_s),
        cannot_pay_share=plan.cannot_pay_share,
        out_of_stock_share=plan.out_of_stock_share,
        spells=tuple(
            Spell(range(bisect_left(due_s, start_s), bisect_left(due_s, end_s)), *shares)
            for start_s, end_s, *shares in plan.refusals
        ),
    )


def digest(due_s: Iterable[float], workload: Workload) -> str:
    """SHA-256 (hex) over when every arrival is due, who makes it and what it asks for.

    Equal where two blocks were offered the same load. ``due_s`` is taken one at a time, as the work goes on.
    """
    encode = msgspec.json.Encoder(order="sorted").encode
    total = sha256()
    for number, due in enumerate(due_s):
        total.update(pack("<d", due))
        total.update(workload.subject(number).encode() + b"\0")
        total.update(encode(workload.request(number)) + b"\n")
    return total.hexdigest()


def _poisson_events(seed: int) -> Iterator[float]:
    event, number = 0.0, 0
    while True:
        event -= log1p(-uniform(seed, "arrivals", number))
        yield event
        number += 1


def _even_events() -> Iterator[float]:
    event = 0.0
    while True:
        yield event
        event += 1.0


def _segments(rate_per_s: float, duration_s: float, surges: Sequence[Surge]) -> Iterator[tuple[float, float, float]]:
    """(start_s, end_s, rate) with a constant rate in each, covering [0, duration_s)."""
    edges = {0.0, duration_s, *(min(max(edge, 0.0), duration_s) for surge in surges for edge in surge[:2])}
    for start_s, end_s in pairwise(sorted(edges)):
        rate = rate_per_s
        for surge_start_s, surge_end_s, factor in surges:
            if surge_start_s <= start_s < surge_end_s:
                rate *= factor
        yield start_s, end_s, rate
