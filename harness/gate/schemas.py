"""The published JSON Schemas, generated from the types that are encoded: ``python -m harness.gate.schemas`` writes them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

import harness.gate
import harness.report
from harness.gate import published
from harness.report import summary

_HERE, _REPORT = (Path(str(package.__file__)).parent for package in (harness.gate, harness.report))


def schemas() -> dict[Path, bytes]:
    """Each file, and what is to be in it."""
    return {
        _REPORT / "summary.schema.json": _schema(summary.Summary, summary.SCHEMA),
        _HERE / "gates.schema.json": _schema(published.Published, published.SCHEMA),
    }


def _schema(of: type[msgspec.Struct], name: str) -> bytes:
    schema: dict[str, Any] = msgspec.json.schema(of)
    whole = schema["$defs"][of.__name__]
    # The one field with a default, and the one that must never be missing: it says what all the others mean.
    whole["properties"]["schema"] = {"const": name}
    whole["required"] = ["schema", *(field for field in whole["required"] if field != "schema")]
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": f"urn:{name.replace('/', ':')}"}
    return msgspec.json.format(msgspec.json.encode(head | schema), indent=2) + b"\n"


def main() -> None:
    """Write them."""
    for path, content in schemas().items():
        path.write_bytes(content)


if __name__ == "__main__":
    main()
