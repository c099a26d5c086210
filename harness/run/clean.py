"""Removes what earlier runs left on a backend that is not theirs: a run that was killed cannot do it itself."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
from prometheus_client import CollectorRegistry

from harness.aws.clients import open_clients
from harness.aws.gateway import TRANSIENT, Gateway
from harness.aws.namespaces import NAMESPACE, find, remove
from harness.backends.base import Backend
from harness.core.errors import EnvironmentFailure, RunNotFound
from harness.history import run_file
from harness.history.history import FILE_NAME, History
from harness.measure.metrics import Metrics

MAY_BE_UNDER_WAY = timedelta(hours=1)
"""A run that started less than this ago and is not known to have ended is taken for one that goes on."""


@dataclass(frozen=True)
class Left:
    """What one block left: how many resources of each kind, by the kind's name."""

    namespace: str
    run_id: str
    age: timedelta
    """Of the run; its id tells when it started."""
    counts: Mapping[str, int]

    def __str__(self) -> str:
        told = ", ".join(f"{count} x {label}" for label, count in self.counts.items())
        return f"{self.namespace}  {_aged(self.age)} old  {told}"


async def clean(
    backend: Backend, runs: Path, say: Callable[[str], None], *, run_ids: Sequence[str] = (), dry_run: bool = False
) -> None:
    """List what runs left on the backend, one line a block, and remove it; ``dry_run`` only lists.

    A run of the last hour is left alone unless it is named or its folder in ``runs`` says that it has ended: one that
    is under way looks the same. Where runs are named the others are left alone. Raises :class:`EnvironmentFailure` where something could not be removed.
    """
    endpoints = await backend.start()
    try:
        async with open_clients(endpoints.urls, endpoints.region, emulator=endpoints.emulator) as clients:
            gateway = Gateway(clients, Metrics(CollectorRegistry(), topology="", saga=""))
            try:
                found = left(await find(gateway), datetime.now(UTC))
            except TRANSIENT as error:
                raise EnvironmentFailure(f"what is left could not be listed: {error}") from error
            say(f"{endpoints.version} at {', '.join(sorted(set(endpoints.urls.values())))}")
            going = _chosen(found, runs, say, run_ids)
            if dry_run:
                say("Nothing was removed: --dry-run.")
            elif going:
                await _remove(gateway, going, say)
    finally:
        await backend.stop()


def left(found: Mapping[str, Mapping[str, int]], now: datetime) -> list[Left]:
    """What :func:`~harness.aws.namespaces.find` found, with ages; without names that only look like a run's."""
    told = []
    for namespace, counts in found.items():
        named = NAMESPACE.match(f"{namespace}-")
        if named and (started := _started(named["run_id"])):
            told.append(Left(namespace, named["run_id"], now - started, counts))
    return told


def _chosen(found: list[Left], runs: Path, say: Callable[[str], None], run_ids: Sequence[str]) -> list[Left]:
    """Those that are to go, after a line for each."""
    if run_ids:
        going = [each for each in found if each.run_id in run_ids]
    else:
        going = [each for each in found if each.age >= MAY_BE_UNDER_WAY or _has_ended(runs / each.run_id)]
    for each in found:
        say(f"  {each}{'' if each in going else '  (left alone)'}")
    for run_id in sorted(set(run_ids) - {each.run_id for each in going}):
        say(f"  {run_id} has left nothing here.")
    if not found:
        say("No run has left anything here.")
    if len(going) < len(found) and not run_ids:
        say(
            f"{len(found) - len(going)} of {len(found)} left alone: their runs started within the hour and may be under "
            "way, whoever runs them. Name a run's id to remove what it left all the same."
        )
    return going


async def _remove(gateway: Gateway, going: list[Left], say: Callable[[str], None]) -> None:
    problems = await remove(gateway, [each.namespace for each in going])
    for problem in problems:
        say(f"  {problem}")
    if problems:
        raise EnvironmentFailure(f"{len(problems)} problems while removing; the rest is gone")
    say(f"{len(going)} removed.")


def _has_ended(folder: Path) -> bool:
    """Whether the run's own record says so: all of its blocks are complete, or one was aborted."""
    if not (folder / FILE_NAME).is_file():
        return False
    try:
        planned = len(run_file.load(folder).settings.interleave)
        with History(folder / FILE_NAME) as history:
            states = [block.state for block in history.blocks()]
    except (RunNotFound, sqlite3.Error, msgspec.DecodeError):
        return False
    return "aborted" in states or states.count("complete") >= planned


def _started(run_id: str) -> datetime | None:
    try:
        return datetime.strptime(run_id.rpartition("-")[0], "%Y%m%d-%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        return None


def _aged(age: timedelta) -> str:
    minutes = max(0, int(age.total_seconds() // 60))
    hours, days = minutes // 60, age.days
    if days > 1:
        return f"{days} days"
    return f"{hours} h {minutes % 60} min" if hours else f"{minutes} min"
