"""The image's recipe: what it copies is there and sent, and its user can write where volumes are mounted."""

from __future__ import annotations

import re
import tomllib
from fnmatch import fnmatch
from pathlib import PurePosixPath

from tests.compose.compose_file import IMAGE, ROOT, mounts, services

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
TEXT = (ROOT / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
LINES = [tuple(line.split(maxsplit=1)) for line in TEXT.splitlines() if line and not line.startswith("#")]
STAGES = [rest.partition(" AS ")[::2] for instruction, rest in LINES if instruction == "FROM"]
"""Image and name of each."""


def last_stage() -> list[tuple[str, ...]]:
    """Its lines."""
    start = max(index for index, line in enumerate(LINES) if line[0] == "FROM")
    return LINES[start:]


def copies(*, from_context: bool) -> list[tuple[list[str], str]]:
    """(sources, destination) of every COPY: from our tree, or from another stage."""
    found = [rest.split() for instruction, rest in LINES if instruction == "COPY"]
    wanted = [words for words in found if words[0].startswith("--from=") is not from_context]
    return [(words[0 if from_context else 1 : -1], words[-1]) for words in wanted]


def is_sent(path: str) -> bool:
    """Whether Docker gets to see it: the last line of .dockerignore that speaks of it decides."""
    decision = True
    for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines():
        pattern = line.removeprefix("!")
        if line and not line.startswith("#") and fnmatch(path, pattern):
            decision = line.startswith("!")
    return decision


def test_what_is_copied_is_there_and_sent_and_nothing_else_is_sent() -> None:
    copied = {source for sources, _ in copies(from_context=True) for source in sources}
    assert all((ROOT / source).exists() for source in copied)
    assert {path.name for path in ROOT.iterdir() if is_sent(path.name)} == copied
    assert not is_sent(".env")


def test_packages_of_the_wheel_and_files_that_it_names_are_copied() -> None:
    copied = {source for sources, _ in copies(from_context=True) for source in sources}
    assert set(PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]) <= copied
    assert {PROJECT["project"]["readme"], *PROJECT["project"]["license-files"], "requirements.lock"} <= copied


def test_stages_are_of_one_pinned_python_that_we_support_and_later_ones_copy_from_named_ones() -> None:
    (image,) = {image for image, _ in STAGES}
    version = re.fullmatch(r"python:(\d+\.\d+)\.\d+-slim-\w+", image)
    assert version is not None
    assert version[1] == "3.13" and PROJECT["project"]["requires-python"] == ">=3.11,<3.14"
    assert set(re.findall(r"COPY --from=(\S+)", TEXT)) <= {name for _, name in STAGES[:-1]}


def test_every_install_checks_hashes_or_takes_what_was_just_built() -> None:
    installs = re.findall(r"pip install [^&\n]*", TEXT)
    assert len(installs) == 3
    assert all("--require-hashes" in line or "--no-deps /dist/*.whl" in " ".join(line.split()) for line in installs)


def test_image_runs_as_a_user_of_its_own_who_owns_what_volumes_are_mounted_on() -> None:
    instructions = [line[0] for line in last_stage()]
    users = [rest for instruction, rest in last_stage() if instruction == "USER"]
    assert users == ["sagastorm"]
    assert instructions.index("USER") > max(index for index, name in enumerate(instructions) if name == "RUN")
    assert re.search(r"useradd .*--uid [1-9]\d+ .*sagastorm", TEXT)
    owned = re.search(r"install --directory --owner sagastorm --group sagastorm (.*)", TEXT)
    assert owned is not None
    folders = {str(PurePosixPath("/app", name)) for name in owned[1].split()}
    for service in services().values():
        if service["image"] == IMAGE:
            assert {mount.target for mount in mounts(service)} <= folders


def test_working_folder_is_where_the_tree_is_and_its_programs_are_found() -> None:
    assert ("WORKDIR", "/app") in last_stage()
    assert copies(from_context=False) == [(["/venv"], "/venv"), (["/app"], "/app")]
    (environment,) = (rest for instruction, rest in last_stage() if instruction == "ENV")
    assert environment.startswith("PATH=/venv/bin:")
