"""Every error that sagastorm raises on purpose, and the exit code each one becomes.

::

    SagastormError                 exit code of the command that meets it
    ├── UsageError                 2    bad input: refused before any I/O, nothing written
    ├── EnvironmentFailure         4    the backend, a process or the machine let the run down
    │   └── BackendDied            4    the emulator or endpoint went away in mid-run
    ├── RunNotFound                2    no run with that name, or not a run folder
    └── StepError                       a participant could not finish a step; never reaches the command line
        └── Indefinite                  unknown: the effect may or may not have happened

Exit codes of the command line: ``EXIT_PASS``, ``EXIT_FAIL`` (a gate failed or an invariant broke), ``EXIT_USAGE``,
``EXIT_INCONCLUSIVE`` (the run cannot answer the question), ``EXIT_ENVIRONMENT``, ``EXIT_INTERRUPTED``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

EXIT_PASS = 0
EXIT_FAIL = 1
EXIT_USAGE = 2
EXIT_INCONCLUSIVE = 3
EXIT_ENVIRONMENT = 4
EXIT_INTERRUPTED = 130
T = TypeVar("T")


class SagastormError(Exception):
    """Base of all; ``exit_code`` is what the command line exits with."""

    exit_code = EXIT_FAIL


@dataclass(frozen=True)
class Problem:
    """One thing wrong with the input: the field, the value that was given, and what would be valid."""

    field: str
    value: object
    valid: str

    def __str__(self) -> str:
        return f"{self.field}: {self.value!r} is not valid; {self.valid}"


class UsageError(SagastormError):
    """The input is not usable. Carries every problem found, so that one attempt shows them all."""

    exit_code = EXIT_USAGE

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


def attempt(problems: list[Problem], make: Callable[[], T]) -> T | None:
    """What is made; or nothing, and its problems are added to these: so that one attempt shows them all."""
    try:
        return make()
    except UsageError as error:
        problems += error.problems
        return None


class RunNotFound(SagastormError):
    """The named run does not exist or its folder holds no run."""

    exit_code = EXIT_USAGE


class EnvironmentFailure(SagastormError):
    """What the run stands on failed: no emulator, no network, a port taken, a process that would not start."""

    exit_code = EXIT_ENVIRONMENT


class BackendDied(EnvironmentFailure):
    """The backend went away while it was in use."""


class StepError(SagastormError):
    """A participant could not finish a step."""


class Indefinite(StepError):
    """The step's effect may or may not have happened (a timeout, a lost response, a conflict). Only a retry can tell."""
