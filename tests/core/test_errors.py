"""The tree of errors: what the command line exits with, and what its docstring promises."""

from __future__ import annotations

import inspect

import pytest

from harness.core import errors
from harness.core.errors import (
    BackendDied,
    EnvironmentFailure,
    Problem,
    RunNotFound,
    SagastormError,
    UsageError,
)

TREE = [error for _, error in inspect.getmembers(errors, inspect.isclass) if issubclass(error, Exception)]


@pytest.mark.parametrize("error", TREE)
def test_every_error_stands_in_the_tree_of_the_docstring(error: type[Exception]) -> None:
    assert issubclass(error, SagastormError)
    assert f" {error.__name__} " in f" {errors.__doc__} "


@pytest.mark.parametrize(
    ("error", "exit_code"),
    [(UsageError, 2), (RunNotFound, 2), (EnvironmentFailure, 4), (BackendDied, 4)],
)
def test_exit_code_is_the_one_that_is_documented(error: type[SagastormError], exit_code: int) -> None:
    assert error.exit_code == exit_code
    line = next(line for line in str(errors.__doc__).splitlines() if f" {error.__name__} " in line)
    assert str(exit_code) in line.split()


def test_whoever_handles_an_environment_failure_handles_a_dead_backend() -> None:
    assert issubclass(BackendDied, EnvironmentFailure)


def test_usage_error_tells_every_problem_with_its_field_its_value_and_what_would_be_valid() -> None:
    problems = [Problem("--rate", "fast", "a number above 0"), Problem("--saga", "", "one of: create-order")]
    text = str(UsageError(problems))
    assert text.splitlines() == [
        "--rate: 'fast' is not valid; a number above 0",
        "--saga: '' is not valid; one of: create-order",
    ]
