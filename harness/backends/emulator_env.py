"""The virtual environment that the embedded emulator runs in: made once from ``ministack.lock``, then reused.

MiniStack pins a botocore that aioboto3 cannot live with, so it gets an environment of its own, at
``$SAGASTORM_EMULATOR_HOME`` or in the cache (see ``environment.py``).

``python -m harness.backends.emulator_env`` builds it beforehand (``make emulator``), for machines that go offline later.

To make the lock again, for another version of MiniStack, in this folder::

    printf 'ministack==1.5.33\\nuvicorn\\nuvloop\\nhttptools\\n' | uv pip compile - --universal --python-version 3.11 \\
        --generate-hashes --no-header --no-annotate --no-emit-index-url --output-file ministack.lock
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import Final

from harness.backends.environment import Environment, Progress, this_interpreter, to_stderr
from harness.core.errors import EXIT_PASS, SagastormError

LOCK: Final = Path(__file__).with_name("ministack.lock")

ENVIRONMENT: Final = Environment(
    what="the embedded emulator (MiniStack)",
    name="ministack",
    home_variable="SAGASTORM_EMULATOR_HOME",
    build_command="make emulator (python -m harness.backends.emulator_env)",
    locks=(LOCK,),
    built_with=this_interpreter(),
)


async def ensure(progress: Progress = to_stderr) -> Path:
    """The emulator's interpreter; builds its environment where there is none yet (10 to 60 s, needs a package index).

    Raises ``EnvironmentFailure``.
    """
    return await asyncio.to_thread(_ensure, progress)


def _ensure(progress: Progress) -> Path:
    return ENVIRONMENT.ensure_at(ENVIRONMENT.home(os.environ), progress, _install)


def _install(target: Path) -> None:
    ENVIRONMENT.make_venv(target, sys.executable, LOCK)


def main() -> int:
    """Build the environment and print the path of its interpreter. Returns an exit code."""
    try:
        print(_ensure(to_stderr))
    except SagastormError as error:
        to_stderr(f"error: {error}")
        return error.exit_code
    return EXIT_PASS


if __name__ == "__main__":
    sys.exit(main())
