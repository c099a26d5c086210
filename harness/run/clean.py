"""Removes what earlier runs left on a backend that is not theirs: a run that was killed cannot do it itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from prometheus_client import CollectorRegistry

from harness.aws.clients import open_clients
from harness.aws.gateway import TRANSIENT, Gateway
from harness.aws.namespaces import NAMESPACE, find, remove
from harness.backends.base import Backend
from harness.core.errors import EnvironmentFailure
from harness.measure.metrics import Metrics
from harness.run.under_way import is_under_way

MAY_BE_UNDER_WAY = timedelta(hours=1)
"""A run that started less than this ago and has no folder here is taken for one that goes on elsewhere."""
UNDER_WAY = "its run is under way"
ELSEWHERE = "its run may be under way elsewhere"
NOT_NAMED = "not named"


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
    backend: Backend,
    runs: Path,
    say: Callable[[str], None],
    *,
    named: Mapping[str, str] | None = None,
    dry_run: bool = False,
) -> None:
    """List what runs left on the backend, one line a block, and remove it; ``dry_run`` only lists.

    A run that is under way keeps what it has. One whose folder is in ``runs`` is over otherwise, killed or ended; one
    of which nothing is here is taken for over after an hour, or where it is named. ``named`` gives what names begin
    with (:func:`~harness.run.redrive.prefix_of`) by what a person called it; all else is left alone then.

    Raises :class:`EnvironmentFailure` where something could not be removed.
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
            going = _chosen(found, runs, say, named or {})
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


def _chosen(found: list[Left], runs: Path, say: Callable[[str], None], named: Mapping[str, str]) -> list[Left]:
    """Those that are to go, after a line for each."""
    going: list[Left] = []
    elsewhere = 0
    for each in found:
        reason = _why_not(each, runs, named)
        say(f"  {each}{f'  (left alone: {reason})' if reason else ''}")
        elsewhere += reason == ELSEWHERE
        if not reason:
            going.append(each)
    for name, prefix in sorted(named.items()):
        if not any(_is_of(each, prefix) for each in found):
            say(f"  {name} has left nothing here.")
    if not found:
        say("No run has left anything here.")
    if elsewhere:
        say(
            f"{elsewhere} of {len(found)} left alone: their runs started within the hour, have no folder in {runs}, and "
            "may be under way, whoever runs them. Name a run's id to remove what it left all the same."
        )
    return going


def _why_not(each: Left, runs: Path, named: Mapping[str, str]) -> str | None:
    """Why this is left alone, if it is."""
    folder = runs / each.run_id
    callers = [name for name, prefix in named.items() if _is_of(each, prefix)]
    if named and not callers:
        return NOT_NAMED
    # A run may be named by a folder that is not in ``runs``.
    if any(is_under_way(place) for place in (folder, *map(Path, callers))):
        return UNDER_WAY
    if callers or folder.is_dir() or each.age >= MAY_BE_UNDER_WAY:
        return None
    return ELSEWHERE


def _is_of(each: Left, prefix: str) -> bool:
    return f"{each.namespace}-".startswith(prefix)


async def _remove(gateway: Gateway, going: list[Left], say: Callable[[str], None]) -> None:
    problems = await remove(gateway, [each.namespace for each in going])
    for problem in problems:
        say(f"  {problem}")
    if problems:
        raise EnvironmentFailure(f"{len(problems)} problems while removing; the rest is gone")
    say(f"{len(going)} removed.")


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
