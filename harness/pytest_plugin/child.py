"""``sagastorm``, for as long as somebody holds the other end of its standard input.

However pytest ends (Ctrl-C, a timeout, a worker of pytest-xdist that is killed), its run ends with it, and with the run all
that the run has started.
"""

from __future__ import annotations

import os
import signal
import threading
import time

from harness.core.errors import EXIT_INTERRUPTED

PATIENCE_S = 1.0
"""Between the first Ctrl-C, at which a run drains, and the second one, at which it stops at once."""
STOP_LIMIT_S = 20.0
"""For stopping at once. Its processes hold lifelines of their own, and go with it even then."""


def end_with_parent() -> None:
    """Wait for the end of standard input, then interrupt this process as a person would."""
    while os.read(0, 1024):  # not sys.stdin: its lock, held by a thread, is fatal at interpreter shutdown
        pass
    for limit_s in (PATIENCE_S, STOP_LIMIT_S):
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(limit_s)
    os._exit(EXIT_INTERRUPTED)


if __name__ == "__main__":
    threading.Thread(target=end_with_parent, daemon=True).start()
    from harness.cli.main import main

    main()
