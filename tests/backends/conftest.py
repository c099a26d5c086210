"""Modules of source text, to be patched as the emulator's are."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

Importer = Callable[[str, str], Any]


@pytest.fixture
def imported(tmp_path: Path) -> Importer:
    """Makes a module of source text, in a file: what the launcher reads of a function is its source."""

    def importer(name: str, source: str) -> ModuleType:
        path = tmp_path / f"{name}.py"
        path.write_text(source)
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return importer
