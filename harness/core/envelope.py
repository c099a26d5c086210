"""What every message of a saga carries, whichever way it travels."""

from __future__ import annotations

import secrets
from typing import Literal

import msgspec


class Envelope(msgspec.Struct, frozen=True, kw_only=True):
    """Who the saga is, on whose behalf it runs, and what it is about.

    ``arrival`` is the number of the arrival in the seeded schedule and ``scheduled_s`` its due time in seconds from the
    start of the load: both topologies see the same pair for the same saga, which is what lets faults strike alike.
    Requests that come from no schedule carry ``arrival=-1``.
    """

    saga: str
    saga_id: str
    arrival: int
    scheduled_s: float
    traceparent: str
    """W3C trace context, level 1: ``00-<trace id>-<parent id>-01``."""
    identity: str
    """The caller's signed identity (a JWT), checked again by every participant."""
    request: msgspec.Raw
    v: Literal[1] = 1
    """Of this type; a message of another version is one that cannot be read."""
    repairs: int = 0
    """How often the sweeper had asked for the saga again before this message."""


def new_traceparent(trace_id: str | None = None) -> str:
    """A traceparent with a new parent id, in a new trace unless ``trace_id`` (32 hex digits) names one."""
    return f"00-{trace_id or secrets.token_hex(16)}-{secrets.token_hex(8)}-01"
