"""Which plans are refused: before a load of them begins, without a traceback."""

from __future__ import annotations

import pytest

from harness.core.errors import EXIT_USAGE
from harness.load.arrivals import arrivals
from tests.load.bench import SCENARIOS, Bench, processes

pytestmark = pytest.mark.end_to_end


@pytest.mark.parametrize("number", [1, 2])
def test_a_plan_of_another_saga_is_refused(bench: Bench, number: int) -> None:
    generator = bench.generator(bench.plan(saga="other-order"), *processes(number))
    assert generator.exit_code() == EXIT_USAGE
    assert "any_saga.py" in generator.output
    assert "Traceback" not in generator.output


def test_a_plan_of_a_saga_that_nobody_has_is_refused(bench: Bench) -> None:
    generator = bench.generator(bench.plan(saga="no-such"), scenario=SCENARIOS / "any_saga.py")
    assert generator.exit_code() == EXIT_USAGE
    assert "create-order" in generator.output
    assert "Traceback" not in generator.output


def test_a_plan_without_its_key_is_refused(bench: Bench) -> None:
    generator = bench.generator(bench.plan(), SAGASTORM_JWT_KEY="")
    assert generator.exit_code() == EXIT_USAGE
    assert "SAGASTORM_JWT_KEY" in generator.output
    assert "Traceback" not in generator.output


def test_a_plan_that_cannot_be_read_is_refused(bench: Bench) -> None:
    generator = bench.generator(None, "--headless", "--sagastorm-plan", "nowhere.json")
    assert generator.exit_code() == EXIT_USAGE
    assert "nowhere.json" in generator.output
    assert "Traceback" not in generator.output


def test_a_plan_whose_load_is_over_is_refused(bench: Bench) -> None:
    generator = bench.generator(bench.plan(epoch_ns=1))
    assert generator.exit_code() == EXIT_USAGE
    assert "is not over already" in generator.output
    assert "Traceback" not in generator.output


def test_a_plan_that_has_had_its_load_is_refused(bench: Bench) -> None:
    bench.ingress()
    plan = bench.plan(rate_per_s=20.0, duration_s=1.0)
    first = bench.generator(plan)
    assert first.exit_code() == 0, first.output

    second = bench.generator(plan)

    assert second.exit_code() == EXIT_USAGE, second.output
    assert "a plan serves one load" in second.output
    assert "Traceback" not in second.output
    assert bench.seen().posts == len(arrivals(plan))


def test_a_host_without_a_plan_is_refused_and_told_what_a_plan_is_for(bench: Bench) -> None:
    generator = bench.generator(None, "--headless", "--host", "http://127.0.0.1:1")
    assert generator.exit_code() == EXIT_USAGE
    assert "--sagastorm-plan FILE" in generator.output
    assert "Traceback" not in generator.output
