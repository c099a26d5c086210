"""Whether a run is under way: its harness holds a lock on the run's folder, which the kernel lifts however it dies.

On the folder itself, so that nothing is left in it. ``history.sqlite`` is SQLite's to lock, and ``run.json`` is replaced.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def under_way(folder: Path) -> Iterator[None]:
    """The run of this folder is under way for as long as this is open, and this process lives."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        # Shared is enough to be seen, and can be had everywhere of what is open for reading only.
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        yield
    finally:
        os.close(descriptor)


def is_under_way(folder: Path) -> bool:
    """Whether a live process holds this folder; a folder that cannot be asked is taken for held, one not there is not."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False
