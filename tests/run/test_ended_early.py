"""What is left of a run whose backend never answers."""

from __future__ import annotations

import io
from pathlib import Path

from rich.console import Console

from harness.aws.services import SERVICES
from harness.core.verdict import RunVerdict
from harness.history import run_file
from harness.report.write import write_report
from harness.run.locust import locust_load
from harness.run.progress import PlainTeller
from harness.run.run import execute, prepare
from harness.settings import RunSettings

NOBODY = "http://127.0.0.1:1"


async def test_a_run_whose_backend_never_answers_is_saved_and_its_report_says_why(tmp_path: Path) -> None:
    settings = RunSettings(backend="endpoint", endpoints=dict.fromkeys(SERVICES, NOBODY))
    run = prepare(settings, tmp_path, PlainTeller(Console(file=io.StringIO())), "sagastorm run")
    await execute(run, locust_load)
    assert run.failure is not None
    assert run_file.load(run.folder).problem == str(run.failure)
    judgement = write_report(run.folder).judgement
    assert judgement.verdict is RunVerdict.INCONCLUSIVE
    assert NOBODY in judgement.reasons[0]
    assert str(run.failure) in (run.folder / "summary.md").read_text(encoding="utf-8")
