"""Backends: what the sagas run on. ``embedded`` starts an emulator of its own; the others use what is there."""

from __future__ import annotations

from harness.backends.base import Backend, Endpoints

__all__ = ["Backend", "Endpoints"]
