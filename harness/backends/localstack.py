"""LocalStack (being written)."""

from __future__ import annotations

from harness.backends.endpoint import EndpointKind


class LocalStackKind(EndpointKind):
    """``--backend localstack``."""


KIND = LocalStackKind()
