"""Worlds to try, each from a seed: create-order in trouble of every kind, much of it or none."""

from __future__ import annotations

import os
from typing import Any

from harness.core.seeded import uniform
from tests.world.trouble import Trouble
from tests.world.world import Plan

TIMES = int(os.environ.get("SAGASTORM_PROPERTY_TIMES", "1"))
"""How many times as long to look as a run of the whole suite does."""

SAGAS_IN_A_WORLD = 10
_SHARES = {
    "duplicate": (0.0, 0.1, 0.3),
    "lose": (0.0, 0.0, 0.2),
    "delay": (0.0, 0.3, 0.3),
    "error": (0.0, 0.0, 0.2),
    "crash": (0.0, 0.1, 0.2),
    "slow": (0.0, 0.0, 0.2),
    "lost_answer": (0.0, 0.0, 0.2),
    "lost_reply": (0.0, 0.0, 0.2),
    "late_reply": (0.0, 0.0, 0.2),
    "lost_callback": (0.0, 0.0, 0.3),
    "unanswered": (0.0, 0.3),
}


def drawn(seed: int) -> Plan:
    """The plan of this seed."""

    def one_of(what: str, values: tuple[float, ...]) -> float:
        return values[int(len(values) * uniform(seed, "plan", what))]

    shares: dict[str, Any] = {name: one_of(name, values) for name, values in _SHARES.items()}
    trouble = Trouble(
        seed=seed,
        delay_s=one_of("delay_s", (3.0, 15.0, 30.0)),
        until_s=one_of("until_s", (10.0, 30.0, 60.0)),
        **shares,
    )
    return Plan(
        sagas=SAGAS_IN_A_WORLD,
        trouble=trouble,
        cannot_pay_share=0.2,
        out_of_stock_share=0.2,
        forged_share=one_of("forged", (0.0, 0.2, 0.2)),
    )
