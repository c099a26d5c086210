"""What the start form of Locust's web UI says where a test cannot be started."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from flask import Response, jsonify, request
from locust.runners import STATE_RUNNING, STATE_SPAWNING

from harness.core.errors import UsageError

UNDER_WAY = (STATE_SPAWNING, STATE_RUNNING)
OWN_PAGE = "same-origin"
"""What a browser says of a request by Locust's own page. Any page that is open in it may send a form here, and a test starts
processes, and loads what the form names. Who is no browser says nothing."""


def refuse_in_form(environment: Any, check: Callable[[Mapping[str, str]], str | None]) -> None:
    """Ask ``check`` before each test, with what the form says: what it returns, or raises, is why there is none.

    The form shows it, and Locust hears nothing of it. Otherwise Locust would call a test started, and clear the statistics
    of the one before, before it is refused.
    """
    if environment.web_ui is None:
        return
    app = environment.web_ui.app
    # The fields in our order, not in that of the alphabet.
    app.jinja_env.policies["json.dumps_kwargs"] = {"sort_keys": False}

    def refusal() -> Response | None:
        if not (request.method == "POST" and request.path.endswith("/swarm")):
            return None
        if request.headers.get("Sec-Fetch-Site", OWN_PAGE) != OWN_PAGE:
            return refused("another site's page asks for this test, not this one")
        if environment.runner.state in UNDER_WAY:
            # Locust would take the values over, and start nothing.
            return refused("a test is under way: stop it before you start another")
        try:
            why = check(request.form)
        except UsageError as error:
            why = str(error)
        return refused(why) if why else None

    def refused(why: str) -> Response:
        return jsonify({"success": False, "message": why, "host": environment.host})

    app.before_request(refusal)
