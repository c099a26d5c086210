"""How every page is made from its template: all text is escaped, and a name that is not there is an error."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from harness.core.verdict import RunVerdict
from harness.report.wording import plain

HERE = Path(__file__).parent / "html"
SIGNS = {RunVerdict.PASS: "\N{CHECK MARK}", RunVerdict.FAIL: "\N{BALLOT X}", RunVerdict.INCONCLUSIVE: "?"}
"""Of a verdict, beside its word and its color."""


def environment(*folders: Path) -> Environment:
    """For templates in these folders, and in ours."""
    made = Environment(
        loader=FileSystemLoader([*folders, HERE]),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    made.filters["plain"] = lambda value: plain(str(value))
    made.filters["times"] = times
    made.filters["utc"] = utc
    return made


def times(text: str) -> str:
    """``0.77x`` with the sign that print has for it."""
    return text.replace("x", "\N{MULTIPLICATION SIGN}")


def own_file(name: str) -> Markup:
    """A file of ours to be put in unescaped: it holds no text from a run."""
    return Markup((HERE / name).read_text(encoding="utf-8"))


def policy(scripts: Sequence[str]) -> str:
    """A Content Security Policy under which nothing is loaded and no script runs but these, as they stand in the page."""
    hashes = " ".join(f"'sha256-{b64encode(sha256(script.encode()).digest()).decode()}'" for script in scripts)
    return f"default-src 'none'; style-src 'unsafe-inline'; script-src {hashes}; img-src data:; base-uri 'none'"


def utc(moment: str) -> str:
    """``2026-11-23 14:01:09 UTC`` of a moment in ISO 8601, as ``run.json`` has it."""
    return plain(re.sub(r"^(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d)(\+00:00|Z)$", r"\1 \2 UTC", moment))
