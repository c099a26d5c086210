"""What every process is told, and the lifeline by which it knows that the harness is there."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import psutil

from harness.core.mitigations import Mitigations
from harness.deployment import Control, Deployment, read_deployment
from harness.topologies.base import Deployed
from harness.topologies.policy import RetryPolicy

ROOT = Path(__file__).parents[1]
LIMIT_S = 20.0
"""Far more than anything here takes; only a bug makes a test wait for it."""

STEERED = """
import threading
from harness.deployment import Steering

steering, told = Steering(), threading.Event()
last = steering.control
print("ready", flush=True)
while not told.wait(0.002):
    if steering.control is not last:
        last = steering.control
        print(last.epoch_ns, last.storm_on, flush=True)
"""
"""Says what it is told, and would do so for ever."""

PARENT = """
import asyncio, sys
from pathlib import Path
from harness.run.processes import spawn

async def main():
    child = await spawn("worker", [sys.executable, "-c", sys.argv[1]], {}, Path(sys.argv[2]))
    while "ready" not in child.log_path.read_text():
        await asyncio.sleep(0.005)
    print(child.process.pid, flush=True)
    await asyncio.sleep(3600)

asyncio.run(main())
"""
"""A harness with one child."""


@contextmanager
def python(code: str, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process of ours, with pipes; dead at the end, whatever happens."""
    command = [sys.executable, "-c", code, *arguments]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def test_process_hears_every_line_and_ends_with_its_standard_input() -> None:
    with python(STEERED) as process:
        assert process.stdin and process.stdout
        assert process.stdout.readline() == b"ready\n"
        for control, heard in ((Control(epoch_ns=5), b"5 True\n"), (Control(epoch_ns=6, storm_on=False), b"6 False\n")):
            process.stdin.write(msgspec.json.encode(control) + b"\n")
            process.stdin.flush()
            assert process.stdout.readline() == heard
        process.stdin.close()
        assert process.wait(LIMIT_S) == 0


def test_process_that_hears_half_a_line_ends_too_and_says_why() -> None:
    with python(STEERED) as process:
        assert process.stdin and process.stdout and process.stderr
        process.stdout.readline()
        process.stdin.write(b'{"epoch_ns":')
        process.stdin.close()
        assert process.wait(LIMIT_S) == 1
        assert b"steering:" in process.stderr.read()


def test_harness_that_is_killed_leaves_no_process_behind(tmp_path: Path) -> None:
    with python(PARENT, STEERED, str(tmp_path)) as harness:
        assert harness.stdout
        child = psutil.Process(int(harness.stdout.readline()))
        assert child.is_running()
        harness.send_signal(signal.SIGKILL)
        harness.wait(LIMIT_S)
        _, alive = psutil.wait_procs([child], timeout=LIMIT_S)
        for process in alive:
            process.kill()
        assert alive == []


def test_deployment_is_the_same_after_it_was_written_and_read(tmp_path: Path) -> None:
    deployment = Deployment(
        namespace="ns",
        saga="create-order",
        topology="orchestrated",
        urls={"sqs": "http://127.0.0.1:1"},
        region="us-east-1",
        emulator=True,
        deployed=Deployed(queue_urls={"order": "http://q"}, bus="bus", state_machine_arn="arn"),
        mitigations=Mitigations(sweeper="off"),
        policy=RetryPolicy(max_tries=7),
        seed=2**53,
        workers=2,
        storm={"name": "calm", "description": "", "faults": []},
        spool_dir="spool",
        targets_dir="targets",
    )
    path = tmp_path / "deployment.json"
    path.write_bytes(msgspec.json.encode(deployment))
    assert read_deployment(path) == deployment
