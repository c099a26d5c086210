"""The load of a block by Locust, in a process of its own: importing Locust changes a process for good."""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
import time
from pathlib import Path

from harness.core.errors import EnvironmentFailure
from harness.core.identity import KEY_VARIABLE
from harness.load.plan import write_plan
from harness.run import scenarios
from harness.run.block import SystemUnderTest
from harness.run.processes import Child, spawn
from harness.run.run import Run

LOAD_LEAD_S = 3.0
"""From starting the load generator to the first arrival: importing Locust takes a second or two."""
LOOK_EVERY_S = 0.5
GIVE_UP_S = 1.0
"""How long a load generator that is no longer wanted may take to end: what it knows, it has already written."""


async def locust_load(run: Run, system: SystemUnderTest, interrupted: asyncio.Event) -> None:
    """Runs the scenario, headless, on the block's plan."""
    turn = system.turn
    epoch_ns = time.monotonic_ns() + int(LOAD_LEAD_S * 1e9)
    write_plan(turn.plan_path, turn.plan(system.ingress_url, epoch_ns))
    child = await spawn("load", _locust_command(run, turn.plan_path), _locust_environment(run), turn.logs)
    system.begin(epoch_ns)
    try:
        await system.guard(asyncio.ensure_future(_watch(run, system, child, interrupted)))
    finally:
        await child.stop(GIVE_UP_S)
    if child.process.returncode and not interrupted.is_set():
        raise EnvironmentFailure(f"the load generator: {child.end()}")


async def _watch(run: Run, system: SystemUnderTest, child: Child, interrupted: asyncio.Event) -> None:
    """Until the load generator has ended: lift the faults in time, pass an interruption on, tell how it goes."""
    ended = asyncio.ensure_future(child.process.wait())
    told = False
    label = f"{system.turn.topology}, {run.storm.name}"
    while not ended.done():
        if system.now_s() >= run.settings.duration_s:
            system.heal()
        if interrupted.is_set() and not told:
            told = True
            system.heal()
            child.signal(signal.SIGINT)
        run.teller.at(label, max(0.0, system.now_s()), run.settings.duration_s, system.counts())
        await asyncio.wait({ended}, timeout=LOOK_EVERY_S)


def _locust_command(run: Run, plan_path: Path) -> list[str]:
    command = [
        sys.executable,
        "-m",
        "locust",
        "-f",
        str(scenarios.locate(run.settings.scenario)),
        "--headless",
        "--only-summary",
    ]
    command += ["--sagastorm-plan", str(plan_path)]
    if run.settings.load_processes > 1:
        port = str(free_port())
        command += ["--processes", str(run.settings.load_processes)]
        command += ["--master-port", port, "--master-bind-port", port]
    return command


def _locust_environment(run: Run) -> dict[str, str]:
    return {KEY_VARIABLE: run.key, "SAGASTORM_LIFELINE": "stdin"}


def free_port() -> int:
    """A port for Locust's processes to meet at: its default would be shared by all runs of the machine."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
