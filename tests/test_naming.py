"""Rules of naming and placing that a newcomer would otherwise have to know."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ENTRY_POINTS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["entry-points"]
PLUGINS = [
    pytest.param("sagastorm.faults", "chaos/faults", "FAULT", id="fault"),
    pytest.param("sagastorm.sagas", "harness/sagas", "SAGA", id="saga"),
    pytest.param("sagastorm.topologies", "harness/topologies", "TOPOLOGY", id="topology"),
]
FAULTS = sorted((ROOT / "chaos" / "faults").glob("[!_]*.py"))
OURS = sorted(path for package in ("harness", "chaos", "scenarios") for path in (ROOT / package).rglob("*.py"))


def files_with(folder: str, name: str) -> dict[str, Path]:
    """The files of a folder that define ``name`` at their top, by the name that the command line would have."""
    found = {}
    for path in sorted((ROOT / folder).glob("[!_]*.py")):
        assigned = [node for node in ast.parse(path.read_text(encoding="utf-8")).body if isinstance(node, ast.Assign)]
        if any(isinstance(target, ast.Name) and target.id == name for node in assigned for target in node.targets):
            found[path.stem.replace("_", "-")] = path
    return found


def imports(path: Path) -> Iterator[str]:
    """The modules that a file imports, wherever in the file it does so."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield str(node.module)


@pytest.mark.parametrize(("group", "folder", "name"), PLUGINS)
def test_file_is_named_as_on_the_command_line_and_is_an_entry_point(group: str, folder: str, name: str) -> None:
    modules = {
        entry: f"{folder.replace('/', '.')}.{path.stem}:{name}" for entry, path in files_with(folder, name).items()
    }
    assert modules
    assert ENTRY_POINTS[group] == modules


@pytest.mark.parametrize(("group", "folder", "name"), PLUGINS)
def test_every_entry_point_can_be_loaded(group: str, folder: str, name: str) -> None:
    for entry, target in ENTRY_POINTS[group].items():
        module, _, attribute = target.partition(":")
        assert hasattr(import_module(module), attribute), entry


@pytest.mark.parametrize("path", FAULTS, ids=lambda path: path.stem)
def test_file_of_a_fault_is_small_and_holds_one_fault(path: Path) -> None:
    assert path.stem.replace("_", "-") in files_with("chaos/faults", "FAULT")
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 90


@pytest.mark.parametrize("path", FAULTS, ids=lambda path: path.stem)
def test_fault_decides_nothing_by_chance_nor_by_the_clock(path: Path) -> None:
    assert not {"random", "secrets", "time", "datetime", "numpy", "uuid"} & set(imports(path))
    assert "uniform" not in path.read_text(encoding="utf-8")


def test_saga_is_called_what_its_entry_point_is_called() -> None:
    for entry, target in ENTRY_POINTS["sagastorm.sagas"].items():
        module, _, attribute = target.partition(":")
        assert getattr(import_module(module), attribute).name == entry


def test_one_file_makes_the_clients_and_no_other_imports_aioboto3() -> None:
    importing = [path for path in OURS if any(name.split(".")[0] in ("aioboto3", "boto3") for name in imports(path))]
    assert importing == [ROOT / "harness" / "aws" / "clients.py"]


def test_scenarios_are_found_by_file_name_and_imported_by_nobody() -> None:
    outside = [path for path in OURS if path.parent != ROOT / "scenarios"]
    assert [
        path for path in outside if any(name.split(".")[0] in ("scenarios", "locust") for name in imports(path))
    ] == []


@pytest.mark.parametrize("path", sorted((ROOT / "chaos" / "storms").iterdir()), ids=lambda path: path.name)
def test_storm_is_a_toml_file_in_kebab_case(path: Path) -> None:
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*\.toml", path.name)


def test_no_module_is_called_after_what_is_in_no_particular_place() -> None:
    assert [path for path in OURS if path.stem in ("utils", "util", "helpers", "common", "misc")] == []
