"""Whether a fault strikes is a pure function: the same in both topologies, in every process, in any order."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable
from hashlib import sha256
from itertools import product
from pathlib import Path

import pytest

from chaos.engine import decides
from chaos.injector import Port
from chaos.storm import load
from harness.sagas.create_order import SAGA
from tests.chaos.scripted import Rig, ScriptedFault, ScriptedInjector, work_on
from tests.samples import delivery, envelope

Question = tuple[int, int, str, str]
"""(index of the fault, arrival, step, attempt)"""

FAULTS = load("default", SAGA, 25, 25).faults
QUESTIONS: list[Question] = list(
    product(range(len(FAULTS)), range(40), SAGA.works(), ("0.1", "0.2", "1.1", "0.1.1", "0.1.2"))
)


def digest(seed: int, questions: Iterable[Question]) -> str:
    """SHA-256 over the questions that are answered with a strike, in the order of the questions themselves."""
    struck = sorted(question for question in questions if decides(seed, FAULTS[question[0]], *question[1:]))
    return sha256(repr(struck).encode()).hexdigest()


def test_decisions_do_not_depend_on_the_order_in_which_they_are_asked_for() -> None:
    assert digest(1, QUESTIONS) == digest(1, reversed(QUESTIONS))


def test_decisions_are_the_same_in_another_process() -> None:
    code = "from tests.chaos.test_decisions import QUESTIONS, digest; print(digest(1, QUESTIONS))"
    there = subprocess.run(
        [sys.executable, "-c", code], cwd=Path(__file__).parents[2], check=True, capture_output=True, text=True
    )
    assert there.stdout.strip() == digest(1, QUESTIONS)


def test_another_seed_decides_otherwise() -> None:
    assert len({digest(seed, QUESTIONS) for seed in range(5)}) == 5


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_fault_strikes_as_often_as_its_probability_says(fault: ScriptedFault) -> None:
    tries = [decides(1, fault, arrival, "charge", "0.1") for arrival in range(20_000)]
    assert sum(tries) / len(tries) == pytest.approx(fault.probability, rel=0.15)


@pytest.mark.parametrize(
    ("name", "step", "attempt"), [("other", "charge", "0.1"), ("f", "refund", "0.1"), ("f", "charge", "0.2")]
)
def test_fault_step_and_attempt_are_each_a_question_of_their_own(name: str, step: str, attempt: str) -> None:
    def struck(fault: str, step: str, attempt: str) -> list[int]:
        even = ScriptedFault(ScriptedInjector(Port.WORK), fault, probability=0.5)
        return [arrival for arrival in range(100) if decides(1, even, arrival, step, attempt)]

    assert struck(name, step, attempt) != struck("f", "charge", "0.1")


async def test_sagas_are_struck_alike_however_they_are_ordered_and_whoever_runs_them(tmp_path: Path) -> None:
    fault = ScriptedFault(ScriptedInjector(Port.WORK), probability=0.2)
    struck: list[set[tuple[int, str]]] = []
    for run, arrivals in enumerate((range(200), reversed(range(200)))):
        folder = tmp_path / str(run)
        with Rig(folder, fault) as rig:
            for arrival in arrivals:
                saga = envelope(arrival=arrival, saga_id=f"{run}-{arrival}")
                # An orchestrator counts its commands from 0; a choreographed saga has none to count.
                await work_on(rig, delivery("charge", envelope=saga, retry=None if run else 0))
            struck.append({(row.arrival, row.attempt) for row in rig.struck()})
    assert struck[0] == struck[1]
    assert 20 < len(struck[0]) < 60
