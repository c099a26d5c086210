"""A repository with a base that was built once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from harness.check.base import HOME_VARIABLE, base_revision
from harness.check.revision import Repository, repository
from tests.check.repositories import commit, git, shop

GATES = """
[check]
storms = ["calm"]
rate = 12
duration = "6s"

[[gate]]
name = "no slower"
metric = "completion_ms.p50"
against = "base"
tolerance = "10%"
"""


@dataclass(frozen=True)
class Built:
    """``base`` is the repository's first commit, and stands in ``cache``."""

    here: Repository
    base: str
    cache: Path


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """A repository whose branch ``topic`` has gone on since its base, which is ``main``."""
    folder, cache = tmp_path_factory.mktemp("shop"), tmp_path_factory.mktemp("cache")
    base = shop(folder, GATES)
    git(folder, "checkout", "--quiet", "-b", "topic")
    commit(folder, slower__txt="1.5")
    here = repository(folder)
    assert here
    with base_revision(here, base, "requirements.lock", {HOME_VARIABLE: str(cache)}, lambda _: None):
        pass
    return Built(here, base, cache)
