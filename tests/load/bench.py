"""A bench for the load generator: the stub ingress, and Locust as it is run in earnest, each a process of its own."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import msgspec

from harness.history.records import EventRow, SagaRow
from harness.history.spool import SpoolReader
from harness.load.plan import LoadPlan, write_plan
from tests.load.stub_ingress import Behaviour, Seen

ROOT = Path(__file__).resolve().parents[2]
SCENARIOS = ROOT / "scenarios"
KEY = "a key that is long enough for HS256, and secret to nobody"
LIMIT_S = 60.0
"""Of any wait: what takes longer has failed."""


def free_port() -> int:
    """A port that nobody has at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def processes(number: int) -> list[str]:
    """Locust's options for that many processes that make arrivals."""
    port = str(free_port())
    return [] if number == 1 else ["--processes", str(number), "--master-port", port, "--master-bind-port", port]


def is_alive(pid: int) -> bool:
    """Whether the process runs: a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def statuses(rows: dict[int, SagaRow]) -> Counter[str]:
    """How many arrivals came to what."""
    return Counter(row.outcome or row.status for row in rows.values())


class Generator:
    """One run of Locust, with everything it printed."""

    def __init__(self, arguments: list[str], environment: dict[str, str], folder: Path) -> None:
        self._output_path = folder / "locust.log"
        with self._output_path.open("wb") as output:
            self.process = subprocess.Popen(
                arguments,
                env=environment,
                cwd=folder,
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    @property
    def output(self) -> str:
        """Standard output and error so far."""
        return self._output_path.read_text(errors="replace")

    def exit_code(self) -> int:
        """Wait for its end."""
        return self.process.wait(LIMIT_S)

    def close(self) -> None:
        """Leave nothing behind: its whole process group is this test's own."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(LIMIT_S)
        assert self.process.stdin is not None
        with suppress(BrokenPipeError):
            self.process.stdin.close()


class Bench:
    """Starts stubs and generators for one test, and reads what they left."""

    def __init__(self, folder: Path, plugin: Path, stack: ExitStack) -> None:
        self.folder = folder
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("SAGASTORM_", "LOCUST_"))},
            "SAGASTORM_JWT_KEY": KEY,
            "PYTHONPATH": os.pathsep.join([str(ROOT), str(plugin)]),
        }
        self._stack = stack
        self._ingress_url = ""

    def ingress(self, **behaviour: Any) -> str:
        """Start a stub; its URL, which plans made from now on name."""
        stub = subprocess.Popen(
            [sys.executable, str(ROOT / "tests/load/stub_ingress.py"), json.dumps(behaviour)],
            env=self.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self._stack.callback(stub.wait, LIMIT_S)
        assert stub.stdin is not None and stub.stdout is not None
        self._stack.callback(stub.stdout.close)
        self._stack.callback(stub.stdin.close)
        self._ingress_url = f"http://127.0.0.1:{json.loads(stub.stdout.readline())['port']}"
        return self._ingress_url

    def plan(self, **changes: Any) -> LoadPlan:
        """A plan of 50 arrivals in 2 s, unless changed."""
        values: dict[str, Any] = {
            "saga": "create-order",
            "topology": "orchestrated",
            "ingress_url": self._ingress_url or "http://127.0.0.1:1",
            "audience": Behaviour().audience,
            "seed": 7,
            "rate_per_s": 25.0,
            "duration_s": 2.0,
            "spool_dir": str(self.folder / "spool"),
            "targets_dir": str(self.folder / "targets"),
            "outcome_wait_s": 5.0,
        }
        return LoadPlan(**(values | changes))

    def generator(
        self,
        plan: LoadPlan | None,
        *arguments: str,
        scenario: Path = SCENARIOS / "create_order.py",
        **environment: str,
    ) -> Generator:
        """Start Locust."""
        command = [sys.executable, "-m", "locust", "-f", str(scenario), "--only-summary", *arguments]
        if plan is not None:
            write_plan(self.folder / "plan.json", plan)
            command += ["--headless", "--sagastorm-plan", str(self.folder / "plan.json")]
        generator = Generator(command, self.environment | environment, self.folder)
        self._stack.callback(generator.close)
        return generator

    def records(self) -> list[SagaRow]:
        """All rows so far, in the order of writing within each process."""
        return [row for row in SpoolReader(self.folder / "spool").read() if isinstance(row, SagaRow)]

    def rows(self) -> dict[int, SagaRow]:
        """The last row of each arrival."""
        return {row.arrival: row for row in self.records()}

    def events(self) -> list[EventRow]:
        """What the load processes remember of the load as a whole."""
        return [row for row in SpoolReader(self.folder / "spool").read() if isinstance(row, EventRow)]

    def pids(self) -> list[int]:
        """Of the processes that make arrivals."""
        return [int(path.stem.rpartition("-")[2]) for path in (self.folder / "spool").glob("load-*.jsonl")]

    def seen(self) -> Seen:
        """What reached the stub."""
        with urllib.request.urlopen(f"{self._ingress_url}/seen", timeout=LIMIT_S) as answer:
            return msgspec.json.decode(answer.read(), type=Seen)

    def wait_for(self, condition: Callable[[], bool], what: str) -> None:
        """Look every few milliseconds until it is so."""
        deadline = time.monotonic() + LIMIT_S
        while not condition():
            assert time.monotonic() < deadline, f"waited in vain for {what}"
            time.sleep(0.02)
