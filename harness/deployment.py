"""What every process of a block is told, and how the harness talks to it while it runs.

The file is written once per block; the JWT key travels beside it, in the environment. The harness then steers a
process through its standard input: one JSON line per change, and the end of the input means that the harness is gone.
"""

from __future__ import annotations

import gc
import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from harness.core.mitigations import Mitigations
from harness.measure.exporter import withdraw
from harness.topologies.base import Deployed
from harness.topologies.policy import RetryPolicy


class Deployment(msgspec.Struct, frozen=True, kw_only=True):
    """One block's system under test."""

    namespace: str
    """Names the block's resources, and is the audience of its identities."""
    saga: str
    topology: str
    urls: dict[str, str]
    region: str
    emulator: bool
    deployed: Deployed
    policy: RetryPolicy
    mitigations: Mitigations
    seed: int
    """Of this block's round: what fault decisions and jitter are keyed by."""
    workers: int
    storm: dict[str, Any]
    spool_dir: str
    targets_dir: str


class Control(msgspec.Struct, frozen=True, kw_only=True):
    """What the harness has last said. Each line replaces the one before."""

    epoch_ns: int
    """Monotonic time at which the load starts."""
    storm_on: bool = True
    """False once the faults are lifted."""


def read_deployment(path: Path) -> Deployment:
    """Decode the file that the harness wrote."""
    return msgspec.json.decode(path.read_bytes(), type=Deployment)


def settle_heap() -> None:
    """Call once everything is loaded: botocore's models then stay out of every later garbage collection.

    They are some hundred thousand objects that live for ever, and a full collection would walk all of them.
    """
    gc.collect()
    gc.freeze()


class Steering:
    """A process's view of what the harness says.

    When the harness goes away, however that happens, the process exits at once:
    nothing that it could still do would be recorded.
    """

    def __init__(self) -> None:
        self.control = Control(epoch_ns=time.monotonic_ns())
        threading.Thread(target=self._listen, name="steering", daemon=True).start()

    def now_s(self) -> float:
        """Seconds since the load started; negative before it."""
        return (time.monotonic_ns() - self.control.epoch_ns) / 1e9

    def _listen(self) -> None:
        decode: Callable[[bytes], Control] = msgspec.json.Decoder(Control).decode
        status = 0
        try:
            for line in sys.stdin.buffer:
                self.control = decode(line)
        except msgspec.DecodeError as error:
            # Half a line, from a harness that was killed in the middle of it: no reason to live on without it.
            print(f"steering: {error}", file=sys.stderr, flush=True)
            status = 1
        withdraw()
        os._exit(status)
