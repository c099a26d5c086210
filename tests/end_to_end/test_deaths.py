"""What a run promises when something of its own dies."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable

import psutil
import pytest

from harness.history.history import History
from harness.run.run import STOPPED
from tests.end_to_end.conftest import Sagastorm

pytestmark = [pytest.mark.embedded, pytest.mark.end_to_end]

Start = Callable[..., Sagastorm]

ONE_BLOCK = ("run", "--rate", "15", "--duration", "8", "--interleave", "A", "--storm", "calm")
GONE_WITHIN_S = 5.0


def _in_mid_run(command: Sagastorm) -> None:
    command.until(lambda: command.sagas_ended() >= 15, "had sagas ended")


@pytest.mark.parametrize("topology", ["orchestrated", "choreographed"])
def test_a_killed_worker_is_replaced_and_nothing_is_lost(sagastorm: Start, topology: str) -> None:
    command = sagastorm(*ONE_BLOCK, "--topology", topology)
    _in_mid_run(command)
    (worker,) = command.descendants("harness.worker.main")
    worker.send_signal(signal.SIGKILL)
    assert command.judged_fit(command.wait()), command.output
    figures = command.summary["topologies"][topology]
    assert (figures["anomalies"], figures["unresolved"]) == ({}, 0), command.output
    assert figures["completed"] + figures["compensated"] == figures["scheduled"]
    with History(command.folder / "history.sqlite", read_only=True) as history:
        told = [event.what for event in history.events(0)]
    assert any(f"worker (pid {worker.pid}) was killed by SIGKILL" in what for what in told)


def test_a_killed_emulator_ends_the_run_with_a_reason_and_keeps_what_was_recorded(sagastorm: Start) -> None:
    command = sagastorm(*ONE_BLOCK, "--topology", "choreographed")
    _in_mid_run(command)
    (emulator,) = command.descendants("ministack_launcher")
    emulator.send_signal(signal.SIGKILL)
    assert command.wait() == 4
    assert f"(pid {emulator.pid}) was killed by SIGKILL" in command.output
    assert "Traceback" not in command.output
    assert command.summary["verdict"] == "inconclusive"
    with History(command.folder / "history.sqlite", read_only=True) as history:
        assert sum(saga.outcome is not None for saga in history.sagas(0)) >= 15
        assert history.steps(0)


def test_a_killed_harness_leaves_no_process_and_a_run_that_can_be_audited(sagastorm: Start) -> None:
    command = sagastorm(*ONE_BLOCK, "--topology", "orchestrated")
    _in_mid_run(command)
    children = command.descendants()
    assert len(children) >= 4  # the emulator, the ingress, a worker, Locust
    command.process.kill()
    command.process.wait()
    _, alive = psutil.wait_procs(children, timeout=GONE_WITHIN_S)
    assert alive == []

    audited = subprocess.run(
        [sys.executable, "-m", "harness.cli.main", "audit", str(command.folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert audited.returncode == 3, audited.stdout + audited.stderr
    assert "tables were not collected" in audited.stdout
    with History(command.folder / "history.sqlite", read_only=True) as history:
        assert sum(saga.outcome is not None for saga in history.sagas(0)) >= 15


def test_ctrl_c_drains_audits_what_there_is_and_exits_130(sagastorm: Start) -> None:
    command = sagastorm(*ONE_BLOCK, "--topology", "choreographed", "--duration", "60")
    _in_mid_run(command)
    children = command.descendants()
    command.process.send_signal(signal.SIGINT)
    assert command.wait() == 130
    _, alive = psutil.wait_procs(children, timeout=GONE_WITHIN_S)
    assert alive == []
    assert "Traceback" not in command.output
    with History(command.folder / "history.sqlite", read_only=True) as history:
        (block,) = history.blocks()
        accepted = [saga for saga in history.sagas(0) if saga.status == "accepted"]
        assert block.collected
        assert block.drained
        assert accepted
        assert all(saga.outcome for saga in accepted)
    assert json.loads((command.folder / "summary.json").read_bytes())["verdict"] == "inconclusive"


def test_ctrl_c_before_the_load_starts_no_load_and_leaves_nothing_behind(sagastorm: Start) -> None:
    command = sagastorm(*ONE_BLOCK, "--topology", "orchestrated", "--duration", "60")
    command.until(lambda: command.descendants("ministack_launcher"), "started the emulator")
    children = command.descendants()
    command.process.send_signal(signal.SIGINT)
    assert command.wait() == 130
    _, alive = psutil.wait_procs(children, timeout=GONE_WITHIN_S)
    assert alive == []
    assert "Traceback" not in command.output
    assert command.summary["verdict"] == "inconclusive"


def test_up_without_an_input_that_stays_open_ends_in_order_and_calls_no_block_complete(sagastorm: Start) -> None:
    command = sagastorm("up", "--topology", "choreographed", "--storm", "calm", SAGASTORM_JWT_KEY="k" * 40)
    assert command.wait() == 3
    assert '"plan":' in command.output
    assert "Traceback" not in command.output
    with History(command.folder / "history.sqlite", read_only=True) as history:
        assert [(block.state, block.problem) for block in history.blocks()] == [("aborted", STOPPED)]
    assert command.summary["topologies"]["choreographed"]["throughput_per_s"] is None


def test_bad_input_is_refused_all_at_once_and_nothing_is_written(sagastorm: Start) -> None:
    command = sagastorm("run", "--rate", "fast", "--workers", "0", "--storm", "drizzle", "--topology", "circular")
    assert command.wait() == 2
    for part in ("--rate: 'fast'", "--workers: '0'", "--topology: 'circular'", "storm: 'drizzle'"):
        assert part in command.output
    assert not command.runs.exists()
