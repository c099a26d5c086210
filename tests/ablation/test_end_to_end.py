"""A whole ablation on the embedded emulator, killed between two cells and gone on with."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from harness.core.errors import EXIT_PASS, EXIT_USAGE

pytestmark = [pytest.mark.embedded, pytest.mark.end_to_end]

LIMIT_S = 180.0
COMMAND = [
    sys.executable, "-m", "harness.cli.main", "ablate", "--storm", "calm", "--topology", "choreographed", "--rate", "8",
    "--duration", "3", "--without", "tombstones", "--out", "small",
]  # fmt: skip


def ended(folder: Path, cell: str) -> list[Path]:
    return sorted((folder / "small" / "round-1" / cell).glob("*/summary.json"))


def test_an_ablation_that_was_killed_after_a_cell_goes_on_with_the_next_one(tmp_path: Path) -> None:
    with (tmp_path / "output.txt").open("wb") as output:
        first = subprocess.Popen(
            [*COMMAND, "--interleave", "A"], cwd=tmp_path, stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )
    try:
        deadline = time.monotonic() + LIMIT_S
        while not ended(tmp_path, "everything-on"):
            assert first.poll() is None, (tmp_path / "output.txt").read_text(encoding="utf-8")
            assert time.monotonic() < deadline
            time.sleep(0.05)
    finally:
        first.kill()
        first.wait()
    kept = ended(tmp_path, "everything-on")
    assert ended(tmp_path, "tombstones=off") == []

    other = subprocess.run(
        [*COMMAND, "--interleave", "A", "--seed", "2"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert other.returncode == EXIT_USAGE
    assert "--seed" in other.stderr

    again = subprocess.run(
        [*COMMAND, "--interleave", "A"], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=LIMIT_S
    )
    assert again.returncode == EXIT_PASS, again.stdout + again.stderr
    assert "1 of 2 runs are finished already" in again.stdout
    assert ended(tmp_path, "everything-on") == kept
    assert len(ended(tmp_path, "tombstones=off")) == 1

    table = json.loads((tmp_path / "small" / "table.json").read_bytes())
    base, without = table["topologies"]["choreographed"]
    assert (base["blocks"], without["blocks"]) == (1, 1)
    assert without["changes"]["zombies"]["mark"] == "same"
    shown = subprocess.run(
        [sys.executable, "-m", "harness.cli.main", "ablate", "--table", "small"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert shown.returncode == EXIT_PASS
    assert shown.stdout.splitlines()[-1] == again.stdout.splitlines()[-1]
    assert "tombstones=off" in shown.stdout
