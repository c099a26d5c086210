"""The cells of an ablation: everything on, and what is removed in each of the others."""

from __future__ import annotations

from collections.abc import Collection, Iterator

import msgspec

from harness.core.errors import Problem, UsageError
from harness.core.mitigations import Mitigations, values

EVERYTHING_ON = "everything on"
ALL = "all"
SEVERAL = {"idempotency": ("none", "naive")}
"""Mitigations that are removed in more than one way: each way fails by itself, and differently."""
MOST_CELLS = 100


class Cell(msgspec.Struct, frozen=True):
    """One set of mitigations. ``changed``: option to value of those that are not at their default, in the order of the
    options, so that the same set is the same cell however it was written."""

    changed: dict[str, str] = {}

    @property
    def name(self) -> str:
        """``backoff=none + sweeper=off``, as tables call it."""
        return " + ".join(self._parts()) or EVERYTHING_ON

    @property
    def folder(self) -> str:
        """What its folder is called."""
        return "+".join(self._parts()) or "everything-on"

    @property
    def mitigations(self) -> Mitigations:
        """The value of each mitigation."""
        return msgspec.convert({name.replace("-", "_"): value for name, value in self.changed.items()}, Mitigations)

    def applies(self, inapplicable: Collection[str]) -> bool:
        """Whether any of what is changed means anything where these mitigations mean nothing."""
        return not self.changed or not self.changed.keys() <= set(inapplicable)

    def _parts(self) -> list[str]:
        return [f"{name}={value}" for name, value in self.changed.items()]


def chosen(without: str | None, combinations: str | None) -> tuple[Cell, ...]:
    """Everything on, then a cell for each mitigation in ``without``, then those in ``combinations``; each once.

    ``without`` holds names, or names with values, with commas; ``all`` of them where neither is given. A name alone
    means its weakest value. Raises :class:`~harness.core.errors.UsageError` with all that is wrong.
    """
    problems: list[Problem] = []
    if without is None and combinations is None:
        without = ALL
    cells = [Cell()]
    for part in _parts(without, ","):
        names = values() if part == ALL else [part]
        cells += [Cell(dict([setting])) for name in names for setting in _settings("--without", name, problems)]
    for part in _parts(combinations, ","):
        # One cell has one value of each; removed for good, where there are several ways, is the first of them.
        firsts = [setting for one in _parts(part, "+") for setting in _settings("--cells", one, problems)[:1]]
        if len(dict(firsts)) < len(firsts):
            problems.append(Problem("--cells", part, "each mitigation once in a cell"))
        cells.append(Cell({name: dict(firsts)[name] for name in values() if name in dict(firsts)}))
    made = tuple({cell.folder: cell for cell in cells}.values())
    if not problems and not 2 <= len(made) <= MOST_CELLS:
        problems.append(
            Problem("--without, --cells", len(made) - 1, f"1 to {MOST_CELLS - 1} cells beside {EVERYTHING_ON}")
        )
    if problems:
        raise UsageError(problems)
    return made


def _parts(text: str | None, separator: str) -> Iterator[str]:
    return filter(None, (part.strip() for part in (text or "").split(separator)))


def _settings(source: str, text: str, problems: list[Problem]) -> list[tuple[str, str]]:
    """What ``name`` or ``name=value`` changes; what it means in several ways, in each."""
    name, _, value = (part.strip() for part in text.partition("="))
    known = values()
    if name not in known:
        problems.append(Problem(source, text, f"{ALL}, or a name, or name=value, with names of: {', '.join(known)}"))
        return []
    default, *others = known[name]
    if not value and "=" not in text:
        return [(name, weakest) for weakest in SEVERAL.get(name, (others[-1],))]
    if value not in others:
        why = f" ({default} is what {EVERYTHING_ON} has)" if value == default else ""
        problems.append(Problem(source, text, f"{name}= one of: {', '.join(others)}{why}"))
        return []
    return [(name, value)]
