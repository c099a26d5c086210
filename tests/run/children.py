"""Tiny processes for a fleet to keep."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

SERVE = """
import os, pathlib, signal, sys
target = pathlib.Path(sys.argv[1]) / f"{sys.argv[2]}-{os.getpid()}.json"
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
print("serving", flush=True)
target.write_text("[]")
for line in sys.stdin:
    print("told", line.strip(), flush=True)
"""
"""Announces itself, repeats what it is told, and ends with its standard input or on SIGTERM."""

STUBBORN = SERVE.replace("lambda *_: sys.exit(0)", "signal.SIG_IGN")
"""Does not end on SIGTERM."""

SLOW_TO_STOP = SERVE.replace("lambda *_: sys.exit(0)", "lambda *_: (__import__('time').sleep(0.2), sys.exit(0))")
"""Has something in hand when SIGTERM comes."""

FAIL = """
import sys
print("first line", flush=True)
sys.exit("the last line says why")
"""
"""Ends before it serves, with 1."""

FAIL_SECOND = (
    """
import os, pathlib, sys
folder = pathlib.Path(sys.argv[1])
if any(folder.glob("*.begun")):
    sys.exit(3)
(folder / f"{os.getpid()}.begun").touch()
"""
    + SERVE
)
"""Serves the first time that it is started, and ends with 3 every time after that."""


def arguments(code: str, targets_dir: Path, role: str = "worker") -> Sequence[str]:
    """The command line of such a process; without site packages it starts in a moment."""
    return [sys.executable, "-I", "-S", "-c", code, str(targets_dir), role]
