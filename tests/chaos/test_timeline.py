"""A storm as it is drawn in a terminal."""

from __future__ import annotations

import pytest

from chaos.storm import Fault, Storm, load, shipped
from chaos.timeline import draw
from harness.sagas.create_order import SAGA

STORM = Storm(
    name="mine",
    description="Requests are lost, payment is down for a while, and too many sagas arrive for it to catch up again.",
    faults=(
        Fault(
            name="request-lost",
            kind="timeout",
            probability=0.04,
            start_s=5.0,
            end_s=15.0,
            step="charge",
            call="dynamodb:TransactWriteItems",
            sagas=0.5,
            options={"lost": "request"},
        ),
        Fault(
            name="payment-is-gone-for-a-while",
            kind="participant-down",
            probability=1.0,
            start_s=10.0,
            end_s=10.1,
            participant="payment",
        ),
        Fault(name="surge", kind="surge", probability=1.0, start_s=0.0, end_s=20.0, options={"factor": 1.5}),
    ),
)
DRAWN = """\
mine: Requests are lost, payment is down for a while, and too many sagas arrive
for it to catch up again.

                        0             5            10            15         20 s
request-lost            ··············████████████████████████████··············
  timeout (lost: request): charge, dynamodb:TransactWriteItems; 4% of attempts
  of 50% of sagas
payment-is-gone-for-a-… ····························▒···························
  participant-down: payment; every attempt
surge                   ████████████████████████████████████████████████████████
  surge (factor: 1.5)

█ strikes the sagas that are due in this time
▒ strikes whatever happens in this time"""


def test_windows_are_bars_over_the_length_of_the_load_with_whom_and_how_often_below() -> None:
    assert "\n".join(line.plain for line in draw(STORM, 20.0, 80)) == DRAWN


@pytest.mark.parametrize("name", shipped())
@pytest.mark.parametrize("width", [60, 80, 140])
def test_shipped_storm_fits_any_terminal(name: str, width: int) -> None:
    lines = [line.plain for line in draw(load(name, SAGA, 25.0, 25.0), 25.0, width)]
    assert lines[0].startswith(f"{name}: ")
    assert all(len(line) <= width for line in lines)


def test_calm_has_nothing_to_draw() -> None:
    [line] = draw(load("calm", SAGA, 25.0, 25.0), 25.0, 80)
    assert line.plain.startswith("calm: ")
