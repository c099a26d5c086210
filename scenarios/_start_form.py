"""What the start form of Locust's web UI says where a test cannot be started."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Response, jsonify, request

from harness.core.errors import UsageError


def refuse_in_form(environment: Any, check: Callable[[], None]) -> None:
    """Ask ``check`` before each test: where it raises, the form shows why and Locust hears nothing of it.

    Without this Locust would call a test started, and clear the statistics of the one before, before it is refused.
    """
    if environment.web_ui is None:
        return

    def refusal() -> Response | None:
        if not request.path.endswith("/swarm"):
            return None
        try:
            check()
        except UsageError as error:
            return jsonify({"success": False, "message": str(error), "host": environment.host})
        return None

    environment.web_ui.app.before_request(refusal)
