"""Finds what can be named on the command line: sagas, topologies, faults and backends, ours and other packages'.

Each kind is an entry point group; the entry point's name is the name on the command line.
"""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any, cast

from harness.core.errors import Problem, UsageError

if TYPE_CHECKING:
    from harness.backends.base import Kind
    from harness.core.saga import Saga
    from harness.topologies.base import Topology

GROUPS = {
    "saga": "sagastorm.sagas",
    "topology": "sagastorm.topologies",
    "fault": "sagastorm.faults",
    "backend": "sagastorm.backends",
}


def names(kind: str) -> list[str]:
    """The names known for a kind (a key of :data:`GROUPS`), sorted."""
    return sorted({point.name for point in entry_points(group=GROUPS[kind])})


def lookup(kind: str, name: str) -> Any:
    """The object registered under ``name``; :class:`~harness.core.errors.UsageError` names the valid ones."""
    for point in entry_points(group=GROUPS[kind]):
        if point.name == name:
            return point.load()
    raise UsageError([Problem(kind, name, f"one of: {', '.join(names(kind)) or 'none is installed'}")])


def saga(name: str) -> Saga:
    """The saga definition of that name."""
    return cast("Saga", lookup("saga", name))


def topology(name: str) -> Topology:
    """The topology of that name."""
    return cast("Topology", lookup("topology", name))


def backend(name: str) -> Kind:
    """The backend of that name."""
    return cast("Kind", lookup("backend", name))
