"""Load processes must not outlive the harness that started them: they would go on loading nothing, or something else.

The harness keeps the other end of their standard input open and never closes it while it lives; the operating system
closes it when the harness is gone, however it went. Forked load processes share that input.
"""

from __future__ import annotations

import os
from contextlib import suppress

import gevent
from gevent import socket

from harness.core.errors import EXIT_ENVIRONMENT
from harness.measure.exporter import withdraw

VARIABLE = "SAGASTORM_LIFELINE"


def watch_lifeline() -> None:
    """Exit at once when standard input ends, if the harness asks for it (``SAGASTORM_LIFELINE=stdin``)."""
    if os.environ.get(VARIABLE) == "stdin":
        os.set_blocking(0, False)
        gevent.spawn(_watch)


def _watch() -> None:
    while True:
        socket.wait_read(0)
        # Another process that shares the input may have been faster.
        with suppress(BlockingIOError):
            if not os.read(0, 4096):
                withdraw()
                os._exit(EXIT_ENVIRONMENT)
