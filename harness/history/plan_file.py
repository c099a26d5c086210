"""The plan of something that takes many runs, in a file of its folder: begun once, and gone on with as it was."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

import msgspec

from harness.core.errors import Problem, RunNotFound, UsageError


class PlanFile(msgspec.Struct, frozen=True, kw_only=True):
    """What every plan says of itself."""

    schema: str


P = TypeVar("P", bound=PlanFile)


def begin(plan: P, path: Path, what: str, different: Callable[[P, P], Iterable[Problem]]) -> P:
    """Keep the plan, or go on with the same one that is kept there, which is returned then.

    ``different``: how what is asked now (the second) differs from what is kept. Raises
    :class:`~harness.core.errors.UsageError` if it does, or where the folder holds something else; ``what`` it should be.
    """
    folder = path.parent
    if path.exists():
        kept = load(path, type(plan), plan.schema)
        if problems := list(different(kept, plan)):
            raise UsageError(problems)
        return kept
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError([Problem("--out", str(folder), f"the folder of {what}, an empty one, or a new path")])
    folder.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    part.write_bytes(msgspec.json.format(msgspec.json.encode(plan), indent=2) + b"\n")
    part.replace(path)
    return plan


def load(path: Path, kind: type[P], schema: str) -> P:
    """The plan; :class:`~harness.core.errors.RunNotFound` where there is none, or none of this version."""
    try:
        plan = msgspec.json.decode(path.read_bytes(), type=kind)
    except FileNotFoundError:
        raise RunNotFound(f"{path.parent}: no {path.name} here") from None
    except msgspec.DecodeError as error:
        raise RunNotFound(f"{path}: {error}") from None
    if plan.schema != schema:
        raise RunNotFound(f"{path}: schema {plan.schema!r}, this version reads {schema!r}")
    return plan
