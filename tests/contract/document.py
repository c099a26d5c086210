"""``docs/backends.md``, made from the tests' names and pages and from the known deviations.

``python -m tests.contract.document`` writes it. That it is true is what the tests themselves show: a behaviour that is
marked as right passes, and one that is marked as a deviation fails, or the suite does.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Final, NamedTuple

from harness.backends.deviations import DEVIATIONS, callback_retry
from harness.topologies.base import CallbackRetry
from tests.contract.pages import Page, page_of

ROOT: Final = Path(__file__).parents[2]
DOCUMENT: Final = ROOT / "docs" / "backends.md"
MODULES: Final = ("sqs", "dynamodb", "eventbridge", "callbacks", "retries", "states", "executions")
"""The files of the suite, in the order of the document."""
TEST: Final = "test_"

_BACKENDS: Final = ROOT / "harness" / "backends"
_TITLES: Final = {"ministack": "MiniStack", "localstack": "LocalStack"}
_SPELLING: Final = {"kib": "KiB", "mib": "MiB", "json": "JSON"}
_INTRODUCTION: Final = """\
# Backends, and where they deviate from AWS

<!-- Made by `python -m tests.contract.document`; do not edit. -->

What sagas and measurements rely on, as AWS documents it, and whether the backends do it. Every line is a test of
`tests/contract/` that expects what AWS documents: ✓ says that it passes, a number that it fails there, as
it must, for the reason given below. `make test` runs it on the embedded backend, `make test-localstack` on LocalStack.
A run keeps what is known of its backend in `run.json`, and says in its report what weakens its results.
"""


class Behaviour(NamedTuple):
    """One test of the contract; ``name`` is what a deviation calls it by."""

    name: str
    page: Page

    @property
    def words(self) -> str:
        return spelled(self.name)[0].upper() + spelled(self.name)[1:]


def spelled(name: str) -> str:
    """``more_than_1_mib`` is "more than 1 MiB"."""
    return " ".join(_SPELLING.get(word, word) for word in name.split("_"))


def modules() -> list[ModuleType]:
    return [import_module(f"tests.contract.{TEST}{name}") for name in MODULES]


def behaviours(module: ModuleType) -> list[Behaviour]:
    """Those of one file, in its order."""
    marked = ((name, page_of(test)) for name, test in vars(module).items() if name.startswith(TEST))
    return [Behaviour(name.removeprefix(TEST), page) for name, page in marked if page]


def versions() -> dict[str, str]:
    """Product to the version that is installed for the tests."""
    found = {}
    for product, package in (("ministack", "ministack"), ("localstack", "localstack-core")):
        lock = (_BACKENDS / f"{product}.lock").read_text(encoding="utf-8")
        match = re.search(rf"^{package}==([\w.]+)", lock, re.MULTILINE)
        assert match, f"{product}.lock does not pin {package}"
        found[product] = match[1]
    return found


def text() -> str:
    """The whole document."""
    numbers = _numbers()
    parts = [_INTRODUCTION, _products(), "## Behaviours\n", *(_matrix(module, numbers) for module in modules())]
    return "\n".join([*parts, "## Deviations\n", _deviations(numbers)])


def _numbers() -> dict[tuple[str, str], int]:
    """(product, behaviour) to the number of the deviation."""
    known = {(product, each.behaviour) for product, deviations in DEVIATIONS.items() for each in deviations}
    order = [
        (product, behaviour.name)
        for product in DEVIATIONS
        for module in modules()
        for behaviour in behaviours(module)
        if (product, behaviour.name) in known
    ]
    return {deviation: number for number, deviation in enumerate(order, start=1)}


def _products() -> str:
    npm = json.loads((_BACKENDS / "dynamodb_local" / "package.json").read_text(encoding="utf-8"))["dependencies"]
    beside = {"ministack": "", "localstack": f", with DynamoDB Local beside it (npm: {_only(npm)})"}
    forms = {
        CallbackRetry.RETRY: "A callback task that failed is tried again by its own `Retry`.",
        CallbackRetry.REENTER: "A callback task that failed is not tried again by `Retry`, which is wrong here; its "
        "state is entered anew.",
    }
    lines = [
        f"- **{_TITLES[product]} {version}**{beside[product]}: {_withheld(product)} {forms[callback_retry(product)]}"
        for product, version in versions().items()
    ]
    return "\n".join([*lines, ""])


def _only(dependencies: Mapping[str, str]) -> str:
    [(name, version)] = dependencies.items()
    return f"{name} {version}"


def _withheld(product: str) -> str:
    paths = sorted({path for each in DEVIATIONS[product] for path in each.falsifies})
    withheld = (
        f"null in its summaries are {', '.join(f'`{path}`' for path in paths)}" if paths else "falsifies no figure"
    )
    return f"{len(DEVIATIONS[product])} known deviations, {withheld}."


def _matrix(module: ModuleType, numbers: Mapping[tuple[str, str], int]) -> str:
    heads = [f"{_TITLES[product]} {version}" for product, version in versions().items()]
    lines = [f"### {(module.__doc__ or '').splitlines()[0].rstrip('.')}\n"]
    lines += [_row(["Behaviour", *heads, "AWS"]), _row(["---", *[":-:"] * len(heads), "---"])]
    for behaviour in behaviours(module):
        cells = [_cell(numbers.get((product, behaviour.name))) for product in versions()]
        page = f"[{behaviour.page.title}](https://docs.aws.amazon.com/{behaviour.page.path})"
        lines.append(_row([behaviour.words, *cells, page]))
    return "\n".join([*lines, ""])


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cell(number: int | None) -> str:
    return "✓" if number is None else f"[{number}](#deviations)"


def _deviations(numbers: Mapping[tuple[str, str], int]) -> str:
    known = {(product, each.behaviour): each for product, deviations in DEVIATIONS.items() for each in deviations}
    lines = []
    for (product, name), number in numbers.items():
        deviation = known[product, name]
        lines.append(
            f"{number}. {_TITLES[product]}, *{spelled(name)}*: {deviation.what} **Consequence:** {deviation.consequence}"
        )
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    DOCUMENT.write_text(text(), encoding="utf-8")
