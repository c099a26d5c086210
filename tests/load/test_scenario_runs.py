"""The load generator as a whole: real Locust processes against a stub of the ingress."""

from __future__ import annotations

import json
import signal
import time
import urllib.request

import pytest

from harness.core.errors import EXIT_ENVIRONMENT
from harness.load.arrivals import LOAD_DIGEST, arrivals, digest, workload_plan
from harness.load.plan import LoadPlan
from harness.sagas.create_order import SAGA
from tests.load.bench import SCENARIOS, Bench, free_port, processes, statuses
from tests.load.stub_ingress import COMPENSATED_EVERY

pytestmark = pytest.mark.end_to_end


def told(plan: LoadPlan) -> str:
    """What a load process should say that it sends."""
    due_s = arrivals(plan)
    return LOAD_DIGEST + digest(due_s, SAGA.workload(workload_plan(plan, due_s)))


@pytest.mark.parametrize("number", [1, 2])
def test_every_arrival_is_sent_once_when_it_is_due_and_its_end_is_recorded(bench: Bench, number: int) -> None:
    bench.ingress()
    plan = bench.plan()
    generator = bench.generator(plan, *processes(number))

    assert generator.exit_code() == 0, generator.output

    due_s = arrivals(plan)
    rows = bench.rows()
    assert sorted(rows) == list(range(len(due_s)))
    assert {row.scheduled_s for row in rows.values()} == set(due_s)
    assert all(row.status == "accepted" and row.sent_s is not None for row in rows.values())
    assert all((row.sent_s or 0.0) >= row.scheduled_s for row in rows.values())
    assert all(
        row.outcome == ("compensated" if row.arrival % COMPENSATED_EVERY == 0 else "completed") for row in rows.values()
    )
    assert all((row.completion_ms or 0.0) >= 50 for row in rows.values())
    # First what was accepted, then how it ended: a kill in between would have left the first.
    assert [row.outcome is None for row in bench.records() if row.arrival == 3] == [True, False]

    seen = bench.seen()
    workload = SAGA.workload(workload_plan(plan, due_s))
    assert seen.problems == []
    assert sorted(seen.keys) == sorted(f"{plan.audience}-{plan.round}-{number}" for number in range(len(due_s)))
    assert [workload.subject(arrival) for arrival in seen.arrivals] == seen.subjects
    assert len(bench.pids()) == number
    # By one of the processes for all.
    assert [event.what for event in bench.events()] == [told(plan)]


def test_a_load_that_begins_at_once_tells_what_it_sends_when_it_is_over(bench: Bench) -> None:
    bench.ingress()
    plan = bench.plan(epoch_ns=time.monotonic_ns(), duration_s=60.0, rate_per_s=5.0)
    generator = bench.generator(plan)
    bench.wait_for(lambda: len(bench.rows()) >= 5, "5 arrivals")
    assert bench.events() == []

    generator.process.send_signal(signal.SIGINT)

    assert generator.exit_code() == 0, generator.output
    assert [event.what for event in bench.events()] == [told(plan)]


def test_a_stall_shows_in_the_completion_times_of_all_that_came_in_it(bench: Bench) -> None:
    bench.ingress(stall=[0.5, 1.5])
    generator = bench.generator(bench.plan(shape="even", rate_per_s=20.0, duration_s=2.5))

    assert generator.exit_code() == 0, generator.output

    rows = bench.rows()
    # Thirty arrivals came in the stall, one every 50 ms; a closed loop of one user would have sent one of them.
    slow = [row for row in rows.values() if (row.completion_ms or 0.0) > 300]
    assert statuses(rows) == {"completed": 40, "compensated": 10}
    assert len(slow) >= 20
    assert max(row.completion_ms or 0.0 for row in slow) > 1300


def test_an_arrival_that_finds_no_room_is_dropped_and_counted(bench: Bench) -> None:
    bench.ingress(latency_s=0.7)
    plan = bench.plan(max_in_flight=4)
    generator = bench.generator(plan)

    assert generator.exit_code() == 0, generator.output

    rows, seen = bench.rows(), bench.seen()
    dropped = [row for row in rows.values() if row.status == "dropped"]
    assert sorted(rows) == list(range(len(arrivals(plan))))
    assert len(dropped) + len(seen.keys) == len(rows)
    assert len(dropped) > len(seen.keys) > 0
    assert all(row.sent_s is None and row.outcome is None for row in dropped)
    assert not {row.arrival for row in dropped} & set(seen.arrivals)


def test_a_saga_whose_answer_was_lost_is_asked_for_again_and_started_once(bench: Bench) -> None:
    bench.ingress(flaky=True, impatient=True, latency_s=0.4)
    plan = bench.plan()
    generator = bench.generator(plan)

    assert generator.exit_code() == 0, generator.output

    rows, seen = bench.rows(), bench.seen()
    assert {row.status for row in rows.values()} == {"accepted"}
    assert all(row.outcome for row in rows.values())
    assert len({row.saga_id for row in rows.values()}) == len(rows) == len(seen.keys) == len(arrivals(plan))
    assert seen.posts > len(seen.keys) * 1.5
    assert len(seen.keys) < seen.polls < len(seen.keys) * 5


def test_a_front_door_that_stays_shut_is_an_error_after_a_bounded_number_of_attempts(bench: Bench) -> None:
    bench.ingress(unavailable=True)
    generator = bench.generator(bench.plan(rate_per_s=10.0, duration_s=1.0))

    assert generator.exit_code() == 0, generator.output

    rows = bench.rows()
    assert statuses(rows) == {"error": len(rows)}
    assert all((row.reason or "").startswith("503") for row in rows.values())
    assert bench.seen().posts == 5 * len(rows)


def test_a_refusal_is_recorded_with_its_reason_and_not_tried_again(bench: Bench) -> None:
    bench.ingress(reject=True)
    generator = bench.generator(bench.plan(rate_per_s=10.0, duration_s=1.0))

    assert generator.exit_code() == 0, generator.output

    rows = bench.rows()
    assert {(row.status, row.reason) for row in rows.values()} == {("rejected", "403 not you")}
    assert bench.seen().posts == len(rows)


def test_sagas_that_never_end_are_left_unresolved_at_the_limit(bench: Bench) -> None:
    bench.ingress(never=True)
    generator = bench.generator(bench.plan(rate_per_s=10.0, duration_s=1.0, outcome_wait_s=1.0))

    assert generator.exit_code() == 0, generator.output

    rows = bench.rows()
    assert {(row.status, row.outcome, row.reason) for row in rows.values()} == {
        ("accepted", None, "no outcome while the client was asking")
    }


def test_nobody_there_is_an_error_of_every_arrival_and_not_of_the_generator(bench: Bench) -> None:
    plan = bench.plan(ingress_url=f"http://127.0.0.1:{free_port()}", rate_per_s=10.0, duration_s=1.0)
    generator = bench.generator(plan)

    assert generator.exit_code() == 0, generator.output
    assert statuses(bench.rows()) == {"error": len(arrivals(plan))}


def test_the_metrics_of_every_process_can_be_scraped_while_it_loads(bench: Bench) -> None:
    bench.ingress()
    generator = bench.generator(bench.plan(duration_s=30.0), *processes(2))
    bench.wait_for(lambda: len(bench.rows()) >= 10, "10 arrivals")

    texts = []
    for path in sorted((bench.folder / "targets").glob("*.json")):
        (group,) = json.loads(path.read_text())
        assert group["labels"]["process"] == path.stem
        with urllib.request.urlopen(f"http://{group['targets'][0]}/metrics", timeout=10) as answer:
            texts.append(answer.read().decode())
    generator.process.send_signal(signal.SIGINT)

    assert generator.exit_code() == 0, generator.output
    assert len(texts) == 2
    labels = 'saga="create-order",status="accepted",topology="orchestrated"'
    for text in texts:
        assert f"sagastorm_arrivals_total{{{labels}}}" in text
        assert "sagastorm_saga_completion_seconds_bucket" in text
        assert "sagastorm_sagas_in_flight" in text
        assert "process_cpu_seconds_total" in text


def test_a_plan_with_an_epoch_is_kept_to(bench: Bench) -> None:
    bench.ingress()
    epoch_ns = time.monotonic_ns() + 4_000_000_000
    generator = bench.generator(bench.plan(epoch_ns=epoch_ns, duration_s=1.0))

    assert generator.exit_code() == 0, generator.output
    rows = bench.rows()
    assert set(statuses(rows)) == {"completed", "compensated"}
    assert max((row.sent_s or 0.0) - row.scheduled_s for row in rows.values()) < 1.0
    assert time.monotonic_ns() > epoch_ns + 1_000_000_000


def test_a_saga_of_another_package_runs_in_the_scenario_for_any_saga(bench: Bench) -> None:
    bench.ingress()
    generator = bench.generator(
        bench.plan(saga="other-order", rate_per_s=10.0, duration_s=1.0), scenario=SCENARIOS / "any_saga.py"
    )

    assert generator.exit_code() == 0, generator.output
    assert set(statuses(bench.rows())) == {"completed", "compensated"}


def test_orders_that_cannot_be_made_are_a_failure_of_the_generator_and_not_of_the_system(bench: Bench) -> None:
    bench.ingress()
    generator = bench.generator(bench.plan(saga="broken-order"), scenario=SCENARIOS / "any_saga.py")

    assert generator.exit_code() == EXIT_ENVIRONMENT
    assert "no basket to be had" in generator.output
    assert bench.seen().posts == 0
