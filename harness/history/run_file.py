"""``run.json``: everything needed to run it again, and what the instrument read before the load."""

from __future__ import annotations

from pathlib import Path

import msgspec

from harness.core.errors import RunNotFound
from harness.settings import RunSettings

SCHEMA = "sagastorm.run/2"


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """One of the backend's own times, with no saga and no fault around it, in milliseconds."""

    p50_ms: float
    p95_ms: float
    samples: int


class Instrument(msgspec.Struct, frozen=True, kw_only=True):
    """What the backend does by itself. Measured in the run, before the first load, on a backend of its own.

    ``hops`` holds ``queue`` (send to receive), ``bus_to_queue`` (put to receive), ``state_transition`` (one more
    state), ``conditional_write`` (one transaction). ``call_cpu_ms``: CPU time of our process for one bare AWS call.
    """

    hops: dict[str, Reading]
    call_cpu_ms: float
    idle_call: Reading | None = None
    """The call that every block times once a second, on the idle backend: what the load is judged against."""
    capacity_sagas_per_s: dict[str, float] = {}
    """Sagas that it carries in the shape of each topology, with no participant's code around the calls."""
    scaled: tuple[str, ...] = ()
    """Settings that nobody chose and that the capacity decided; in the settings they are concrete."""

    def capacity_of(self, topology: str) -> float | None:
        """Sagas a second; of a topology whose shape is not known, no more than of any."""
        return self.capacity_sagas_per_s.get(topology, min(self.capacity_sagas_per_s.values(), default=None))


class Deviation(msgspec.Struct, frozen=True, kw_only=True):
    """Where a backend does not do what AWS documents."""

    behaviour: str
    """The test of the contract suite (``tests/contract/``) that expects AWS's behaviour, without its ``test_``."""
    what: str
    """What the backend does instead, in one sentence."""
    consequence: str
    """What that means for a result, in one sentence."""
    weakens: bool = True
    """Whether it means anything for one: if so, the report tells it."""
    known_of: str = ""
    """The version of the product that the suite showed it on."""
    falsifies: tuple[str, ...] = ()
    """Metrics of ``summary.json`` that would be wrong on this backend, by their path below a topology, such as
    ``retry_amplification.delivery``; they are ``null``, with the consequence as the reason."""


class BackendFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What a run was made on."""

    name: str
    """As on the command line."""
    product: str
    """Which emulator answered: what the known deviations go by. ``unknown`` where it would not say."""
    version: str
    callback_retry: str
    """The form in which a failed callback task was tried again, see :class:`harness.topologies.base.CallbackRetry`."""
    deviations: tuple[Deviation, ...]
    checked: bool
    """Whether the contract suite was ever run on this version of this product. If not, deviations are those of the
    version that it was run on, and that there are none means nothing."""


class RunFile(msgspec.Struct, frozen=True, kw_only=True):
    """The content of ``run.json``. ``backend`` and ``instrument`` are missing until there was one to ask."""

    run_id: str
    settings: RunSettings
    storm: dict[str, object]
    """The storm as resolved from its file, so that a later edit of the file does not change a replay."""
    started_at: str
    """UTC, ISO 8601."""
    command: str
    commit: str | None
    versions: dict[str, str]
    machine: dict[str, str | int]
    backend: BackendFacts | None = None
    instrument: Instrument | None = None
    problem: str | None = None
    """What ended the run before its last block did."""
    schema: str = SCHEMA


def save(folder: Path, run: RunFile) -> None:
    """Write ``run.json`` whole or not at all."""
    part = folder / "run.json.part"
    part.write_bytes(msgspec.json.format(msgspec.json.encode(run), indent=2) + b"\n")
    part.replace(folder / "run.json")


def load(folder: Path) -> RunFile:
    """Read ``run.json``; :class:`RunNotFound` where the folder holds none, or one that cannot be read."""
    try:
        run = msgspec.json.decode((folder / "run.json").read_bytes(), type=RunFile)
    except FileNotFoundError:
        raise RunNotFound(f"{folder}: no run here (no run.json)") from None
    except msgspec.DecodeError as error:
        raise RunNotFound(f"{folder / 'run.json'}: {error}") from None
    if run.schema != SCHEMA:
        raise RunNotFound(f"{folder / 'run.json'}: schema {run.schema!r}, this version reads {SCHEMA!r}")
    return run
