"""``run.json``: everything needed to run it again, and what the instrument read before the load."""

from __future__ import annotations

from pathlib import Path

import msgspec

from harness.core.errors import RunNotFound
from harness.settings import RunSettings

SCHEMA = "sagastorm.run/1"


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """One of the backend's own times, with no saga and no fault around it, in milliseconds."""

    p50_ms: float
    p95_ms: float
    samples: int


class Instrument(msgspec.Struct, frozen=True, kw_only=True):
    """What the backend does by itself. Measured in the run, before the first load.

    ``hops`` holds ``queue`` (send to receive), ``bus_to_queue`` (put to receive), ``state_transition`` (one more
    state), ``conditional_write`` (one transaction). ``call_cpu_ms``: CPU time of our process for one bare AWS call.
    """

    hops: dict[str, Reading]
    call_cpu_ms: float


class RunFile(msgspec.Struct, frozen=True, kw_only=True):
    """The content of ``run.json``. ``instrument`` is missing until it has been read."""

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
    backend_name: str
    backend_version: str
    instrument: Instrument | None = None
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
