"""What stands behind a run: a backend answers AWS's protocols for SQS, DynamoDB, Step Functions and EventBridge.

One backend is one file, whose name is its name on the command line; nothing outside it asks which one it is. What the
rest needs to know of it, it is told once, as ``Endpoints``.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final, Protocol

import msgspec

DEFAULT_REGION: Final = "us-east-1"


class Endpoints(msgspec.Struct, frozen=True, kw_only=True):
    """Where a started backend is reached and what it is. Goes into ``run.json`` as it stands."""

    urls: dict[str, str]
    """The endpoint URL of every service in :data:`harness.aws.services.SERVICES`."""
    region: str
    emulator: bool
    """Not the real AWS: client settings that only an emulator tolerates (no signature, for one) may be used."""
    name: str
    product: str
    """Which emulator answers, in lower case: ``ministack``, ``localstack``; ``unknown`` where it would not say."""
    version: str
    """For reading and for comparing runs, not for parsing; ``unknown`` where the backend would not say."""
    pid: int | None
    """The process whose CPU time is the emulator's, where it is one and on this machine."""


class Backend(Protocol):
    """Start it once, stop it once; a stopped backend is not started again (its state would not be the same)."""

    name: str

    async def start(self) -> Endpoints:
        """Make it answer. Raises ``EnvironmentFailure``, and then has left nothing behind to stop."""

    async def stop(self) -> None:
        """Let go of everything that ``start`` took. Safe to call again, and on a backend that has died."""

    async def died(self) -> str:
        """Wait until the backend is gone, and say what became of it, in one line to print.

        Waits for ever while all is well: the caller watches it beside the run and cancels it before ``stop``.
        """


class Kind(Protocol):
    """A backend that can be named on the command line: what an entry point of ``sagastorm.backends`` stands for."""

    rate_per_s: float | None
    """The arrival rate of a run that names none; ``None``: a share of the capacity that the run measures first."""

    def resolve(self, endpoint_url: str | None, environ: Mapping[str, str]) -> dict[str, str] | None:
        """Where each service is to be found, from settings alone; ``None`` where the backend is started for the run.

        Raises ``UsageError`` with every setting that will not do.
        """

    def backend(self, urls: Mapping[str, str] | None, log_path: Path) -> Backend:
        """One to start; ``urls`` is what ``resolve`` gave, ``log_path`` receives what a process of its own prints."""
