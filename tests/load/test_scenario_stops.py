"""How a load ends before its time, and what is kept of it."""

from __future__ import annotations

import os
import signal
from contextlib import suppress

import pytest

from harness.core.errors import EXIT_ENVIRONMENT, EXIT_INTERRUPTED
from harness.load.arrivals import arrivals
from tests.load.bench import Bench, is_alive, processes, statuses

pytestmark = pytest.mark.end_to_end


@pytest.mark.parametrize("number", [1, 2])
@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_arrivals_and_keeps_what_was_under_way(
    bench: Bench, number: int, sign: signal.Signals
) -> None:
    bench.ingress(latency_s=0.8)
    plan = bench.plan(duration_s=30.0)
    generator = bench.generator(plan, *processes(number))
    bench.wait_for(lambda: len(bench.rows()) >= 20, "20 arrivals")

    generator.process.send_signal(sign)

    assert generator.exit_code() == 0, generator.output
    rows, seen = bench.rows(), bench.seen()
    assert sorted(rows) == sorted(seen.arrivals)
    assert 20 <= len(rows) < len(arrivals(plan)) / 2
    assert set(statuses(rows)) == {"completed", "compensated"}


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_all_processes_at_once_as_by_ctrl_c_loses_nothing(bench: Bench, sign: signal.Signals) -> None:
    bench.ingress(latency_s=0.8)
    plan = bench.plan(duration_s=30.0)
    generator = bench.generator(plan, *processes(2))
    bench.wait_for(lambda: len(bench.pids()) == 2 and len(bench.rows()) >= 20, "20 arrivals")

    assert {os.getpgid(pid) for pid in bench.pids()} == {generator.process.pid}
    os.killpg(generator.process.pid, sign)

    assert generator.exit_code() == 0, generator.output
    rows = bench.rows()
    assert sorted(rows) == sorted(bench.seen().arrivals)
    assert set(statuses(rows)) == {"completed", "compensated"}
    assert generator.output.count("no more arrivals") == 1
    assert not [pid for pid in bench.pids() if is_alive(pid)]


@pytest.mark.parametrize("number", [1, 2])
def test_a_second_signal_waits_for_nothing(bench: Bench, number: int) -> None:
    bench.ingress(never=True)
    generator = bench.generator(bench.plan(duration_s=30.0, outcome_wait_s=300.0), *processes(number))
    bench.wait_for(lambda: len(bench.rows()) >= 10, "10 arrivals")

    generator.process.send_signal(signal.SIGINT)
    bench.wait_for(lambda: "interrupted" in generator.output, "the first signal to be noticed")
    generator.process.send_signal(signal.SIGINT)

    assert generator.exit_code() == EXIT_INTERRUPTED, generator.output
    assert {row.outcome for row in bench.rows().values()} == {None}
    # Who was not yet answered when the load was given up has no answer, which takes a busy machine.
    assert "accepted" in set(statuses(bench.rows())) <= {"accepted", "error"}
    assert not [pid for pid in bench.pids() if is_alive(pid)]


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_a_second_signal_to_all_processes_at_once_waits_for_nothing(bench: Bench, sign: signal.Signals) -> None:
    bench.ingress(never=True)
    generator = bench.generator(bench.plan(duration_s=30.0, outcome_wait_s=300.0), *processes(2))
    bench.wait_for(lambda: len(bench.pids()) == 2 and len(bench.rows()) >= 10, "10 arrivals")

    os.killpg(generator.process.pid, sign)
    bench.wait_for(lambda: "interrupted" in generator.output, "the first signal to be noticed")
    os.killpg(generator.process.pid, sign)

    assert generator.exit_code() == EXIT_INTERRUPTED, generator.output
    assert {row.outcome for row in bench.rows().values()} == {None}
    # Who was not yet answered when the load was given up has no answer, which takes a busy machine.
    assert "accepted" in set(statuses(bench.rows())) <= {"accepted", "error"}
    bench.wait_for(lambda: not [pid for pid in bench.pids() if is_alive(pid)], "the end of every process")


@pytest.mark.parametrize("number", [1, 2])
def test_the_run_time_of_locust_ends_the_arrivals_and_loses_nothing(bench: Bench, number: int) -> None:
    bench.ingress(latency_s=0.8)
    plan = bench.plan(duration_s=30.0)
    generator = bench.generator(plan, *processes(number), "--run-time", "2s")

    assert generator.exit_code() == 0, generator.output
    rows, seen = bench.rows(), bench.seen()
    assert sorted(rows) == sorted(seen.arrivals)
    assert 0 < len(rows) < len(arrivals(plan)) / 2
    assert set(statuses(rows)) == {"completed", "compensated"}


@pytest.mark.parametrize("number", [1, 2])
def test_all_processes_end_when_the_harness_that_holds_their_input_is_gone(bench: Bench, number: int) -> None:
    bench.ingress()
    generator = bench.generator(bench.plan(duration_s=60.0), *processes(number), SAGASTORM_LIFELINE="stdin")
    bench.wait_for(lambda: len(bench.pids()) == number and len(bench.rows()) >= 5, "arrivals of every process")

    assert generator.process.stdin is not None
    generator.process.stdin.close()

    assert generator.exit_code() == EXIT_ENVIRONMENT
    bench.wait_for(lambda: not [pid for pid in bench.pids() if is_alive(pid)], "the end of every process")


def test_a_load_process_that_dies_is_told_and_the_others_finish(bench: Bench) -> None:
    bench.ingress()
    plan = bench.plan(duration_s=6.0, rate_per_s=10.0)
    generator = bench.generator(plan, *processes(2))
    bench.wait_for(lambda: len(bench.pids()) == 2 and len(bench.rows()) >= 6, "arrivals of both processes")

    (victim,) = (path for path in (bench.folder / "spool").glob("load-0-*.jsonl"))
    with suppress(ProcessLookupError):
        os.kill(int(victim.stem.rpartition("-")[2]), signal.SIGKILL)

    assert generator.exit_code() == EXIT_ENVIRONMENT
    assert "load process 0 was lost" in generator.output
    rows = bench.rows()
    survivors = [number for number in range(len(arrivals(plan))) if number % 2 == 1]
    assert [number for number in survivors if number not in rows or not rows[number].outcome] == []
