"""Where a Prometheus server beside the processes finds them."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

from harness.measure.exporter import BESIDE_VARIABLE
from tests.compose.compose_file import ROOT
from tests.load.bench import free_port

ANNOUNCE = """
import sys
from pathlib import Path
from harness.measure.exporter import announce
announce(Path(sys.argv[1]), "load-0-1", 1001, "ss-20261123-095452-12e9-3")
announce(Path(sys.argv[2]), "load-0-1", 1001, "ss-20261123-095452-12e9-3")
print(*(path.name for path in Path(sys.argv[3]).iterdir()), (Path(sys.argv[3]) / "1001.json").read_text())
"""

LABELS = {"process": "load-0-1", "run": "20261123-095452-12e9", "block": "3"}
STEERED = """
import sys, time
from pathlib import Path
from harness.deployment import Steering
from harness.measure.exporter import announce
announce(Path(sys.argv[1]), "worker-1", 1002, "ss-r-4")
Steering()
time.sleep(60)
"""


def announced(tmp_path: Path, environ: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """A process that takes part in two blocks, and ends."""
    folders = [str(tmp_path / name) for name in ("first", "second", "beside")]
    return subprocess.run(
        [sys.executable, "-c", ANNOUNCE, *folders],
        cwd=ROOT,
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_process_is_announced_in_one_folder_for_all_blocks_for_as_long_as_it_lives(tmp_path: Path) -> None:
    beside = tmp_path / "beside"
    beside.mkdir()
    (beside / f"{free_port()}.json").write_text("of one that was killed")

    done = announced(tmp_path, {BESIDE_VARIABLE: str(beside)})

    assert done.returncode == 0, done.stderr
    name, _, content = done.stdout.partition(" ")
    assert name == "1001.json"
    assert json.loads(content) == [{"targets": ["127.0.0.1:1001"], "labels": LABELS}]
    assert list(beside.iterdir()) == []  # it has ended
    assert [len(list((tmp_path / block).iterdir())) for block in ("first", "second")] == [1, 1]


def test_process_that_still_listens_stays_announced_when_another_comes(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as alive:
        file = tmp_path / "beside" / f"{alive.getsockname()[1]}.json"
        file.parent.mkdir()
        file.write_text("of one that lives")
        announced(tmp_path, {BESIDE_VARIABLE: str(file.parent)})
        assert list(file.parent.iterdir()) == [file]


def test_without_the_variable_nobody_beside_the_run_is_told(tmp_path: Path) -> None:
    (tmp_path / "beside").mkdir()
    assert announced(tmp_path, {BESIDE_VARIABLE: ""}).returncode != 0  # there is no file that it could read
    assert list((tmp_path / "beside").iterdir()) == []
    assert (tmp_path / "first" / "load-0-1.json").exists()


def test_process_whose_harness_is_gone_takes_what_both_have_announced_with_it(tmp_path: Path) -> None:
    beside = tmp_path / "beside"
    left = {"env": {**os.environ, BESIDE_VARIABLE: str(beside)}, "cwd": ROOT, "stdin": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", STEERED, str(tmp_path / "targets")], **left) as worker:
        while not (beside / "1002.json").exists():
            assert worker.poll() is None
            time.sleep(0.02)
        (beside / f"{free_port()}.json").write_text("of the harness, which was killed")
        (beside / "mine.json").write_text("of somebody else, who watches more than us")
        worker.communicate(timeout=60)  # closes its lifeline
    assert [path.name for path in beside.iterdir()] == ["mine.json"]
