"""What a report says of the backend: which one it was, and what of it weakens a result."""

from __future__ import annotations

import re

import msgspec

from harness.history.run_file import BackendFacts, Deviation, RunFile
from harness.report.wording import count, number

DETAILS = "docs/backends.md"


def backend_name(run: RunFile) -> str:
    """``embedded (ministack 1.5.33)``; not known where the run ended before the backend was up."""
    facts = run.backend
    if facts is None:
        return "not known"
    if facts.version.startswith(f"{facts.name} "):
        return facts.version
    is_named = facts.product == "unknown" or facts.product in facts.version
    version = facts.version if is_named else f"{facts.product} {facts.version}"
    return f"{facts.name} ({_without_brackets(version)})"


def _without_brackets(version: str) -> str:
    """``1.5.33, uvicorn`` for ``1.5.33 (uvicorn)``: it comes to stand in brackets itself."""
    return re.sub(r"^([^()]*) \((.*)\)$", r"\1, \2", version)


def weakening(facts: BackendFacts) -> list[Deviation]:
    """The deviations that mean something for a result."""
    return [each for each in facts.deviations if each.weakens]


def backend_lines(run: RunFile) -> list[str]:
    """A sentence for each thing that a reader must know of the backend; nothing where there is nothing to say."""
    if run.backend is None:
        return []
    return [*_form(run.backend), *_capacity(run), *_deviations(run.backend)]


def _form(facts: BackendFacts) -> list[str]:
    if facts.callback_retry != "reenter":
        return []
    why = (
        "Retry of such tasks does not work on this backend"
        if facts.checked
        else "it is not known whether Retry of such tasks works on this backend"
    )
    return [f"Failed callback tasks enter their state again, as {why}."]


def _capacity(run: RunFile) -> list[str]:
    instrument = run.instrument
    if instrument is None or not instrument.capacity_sagas_per_s:
        return []
    told = ", ".join(f"{topology} {number(rate)}/s" for topology, rate in instrument.capacity_sagas_per_s.items())
    lines = [f"Sagas that it carries with no participant's code, before the load: {told}."]
    if instrument.scaled:
        settings = msgspec.to_builtins(run.settings)
        chosen = ", ".join(_setting(name, settings[name]) for name in instrument.scaled)
        lines.append(f"As nobody chose it, that capacity decided: {chosen}.")
    return lines


def _setting(name: str, value: float) -> str:
    for ending, unit in (("_per_s", "/s"), ("_s", " s")):
        if name.endswith(ending):
            return f"{name.removesuffix(ending)} {value:g}{unit}"
    return f"{name.replace('_', ' ')} {value:g}"


def _deviations(facts: BackendFacts) -> list[str]:
    if not facts.checked and not facts.deviations:
        unknown = (
            f"The contract suite was never run on this product ({facts.product}): how it differs from AWS, and what "
            "that means for these results, is not known."
        )
        return [unknown]
    told = weakening(facts)
    lines = [] if facts.checked else [_of_another_version(facts)]
    # Several of one consequence are told together: it is the longer part.
    for consequence in dict.fromkeys(each.consequence for each in told):
        whats = " ".join(each.what for each in told if each.consequence == consequence)
        lines.append(f"Unlike AWS: {whats} {consequence}")
    if others := len(facts.deviations) - len(told):
        lines.append(f"Known deviations from AWS that touch no result: {count(others)}; see {DETAILS}.")
    return lines


def _of_another_version(facts: BackendFacts) -> str:
    versions = " and ".join(sorted({each.known_of for each in facts.deviations}))
    return (
        f"How {facts.product} differs from AWS is known of {versions}; this version was never checked, so what follows "
        "may be out of date."
    )
