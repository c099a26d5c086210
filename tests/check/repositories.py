"""Small git repositories whose package brings a ``sagastorm`` of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.check.made_up import ROOT

PYPROJECT = """
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]

[project]
name = "made-up-shop"
version = "1"
"""
# A wheel by hand: a package index is not needed, and the script says which revision it is of.
BACKEND = '''
import pathlib, zipfile

SCRIPT = """#!/bin/sh
export MADE_UP_SLOWER="{slower}" PYTHONPATH="{root}"
exec "{python}" -m tests.check.made_up "$@"
"""

def build_editable(wheel_directory, config_settings=None, metadata_directory=None):
    name, info = "made_up_shop-1-py3-none-any.whl", "made_up_shop-1.dist-info"
    slower = pathlib.Path("slower.txt").read_text().strip()
    script = SCRIPT.format(slower=slower, root={root!r}, python={python!r})
    with zipfile.ZipFile(pathlib.Path(wheel_directory) / name, "w") as wheel:
        wheel.writestr(info + "/METADATA", "Metadata-Version: 2.1\\nName: made-up-shop\\nVersion: 1\\n")
        wheel.writestr(info + "/WHEEL", "Wheel-Version: 1.0\\nGenerator: x\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        executable = zipfile.ZipInfo("made_up_shop-1.data/scripts/sagastorm")
        executable.external_attr = 0o100755 << 16
        wheel.writestr(executable, script)
        wheel.writestr(info + "/RECORD", "")
    return name
'''


def git(folder: Path, *arguments: str) -> str:
    """What a git command prints, as nobody, and whatever the developer has configured."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")} | {
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_SYSTEM": os.devnull,
    }
    who = ("-c", "user.name=Nobody", "-c", "user.email=nobody@example.invalid", "-c", "init.defaultBranch=main")
    done = subprocess.run(
        ["git", *who, *arguments], cwd=folder, env=environ, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


def commit(folder: Path, **files: str) -> str:
    """Write files (``__`` is a dot in their names), commit everything, and return the commit."""
    for name, content in files.items():
        (folder / name.replace("__", ".")).write_text(content, encoding="utf-8")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "--message", "a change")
    return git(folder, "rev-parse", "HEAD")


def shop(folder: Path, gates: str, slower: str = "1.0") -> str:
    """A repository of a package whose runs are so much slower; its first commit."""
    folder.mkdir(parents=True, exist_ok=True)
    git(folder, "init", "--quiet")
    backend = BACKEND.replace("{root!r}", repr(str(ROOT))).replace("{python!r}", repr(sys.executable))
    return commit(
        folder, pyproject__toml=PYPROJECT, backend__py=backend, slower__txt=slower, gates__toml=gates,
        requirements__lock="# nothing\n",
    )  # fmt: skip
