"""The report in the terminal: what it says, at which width, with and without color."""

from __future__ import annotations

import re
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from harness.audit.auditor import Anomaly
from harness.report.model import Report, make_report
from harness.report.terminal import print_report
from tests.conftest import Golden
from tests.report import synthetic_run
from tests.report.small import block, pair, run, saga, sagas

GOLDEN = Path(__file__).parent / "golden"


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    data = synthetic_run.read(synthetic_run.build(tmp_path_factory.mktemp("run")))
    return make_report(data, synthetic_run.audits(data, {2: [synthetic_run.CHARGED_TWICE]}))


def printed(report: Report, width: int = 80, *, force_terminal: bool = False, no_color: bool = False) -> str:
    file = StringIO()
    # An environment of its own: NO_COLOR and FORCE_COLOR of whoever runs the tests are not what is tested.
    console = Console(file=file, width=width, force_terminal=force_terminal, no_color=no_color, _environ={})
    print_report(console, report, "runs/synthetic-7/report.html")
    return file.getvalue()


@pytest.mark.parametrize("width", [80, 140])
def test_the_report_of_a_synthetic_run(report: Report, width: int, golden: Golden) -> None:
    golden(GOLDEN / f"terminal-{width}.txt", printed(report, width))


@pytest.mark.parametrize("width", [80, 100, 140])
@pytest.mark.parametrize("terminal", [True, False])
def test_no_line_is_wider_than_the_terminal_or_ends_in_spaces(report: Report, width: int, terminal: bool) -> None:
    lines = re.sub(r"\x1b\[[0-9;]*m", "", printed(report, width, force_terminal=terminal)).splitlines()
    assert max(map(len, lines)) <= width
    assert [line for line in lines if line != line.rstrip()] == []


def test_rows_of_blocks_fit_into_one_line_of_80_columns_with_color_as_without(report: Report) -> None:
    for terminal in (True, False):
        assert re.search(r"choreographed +233 +201 +1,495 +11.6 +6.0 +2.5", printed(report, force_terminal=terminal))


def test_without_a_terminal_there_is_no_escape_and_no_box(report: Report) -> None:
    assert printed(report).isascii()
    assert "\x1b" not in printed(report)


def test_where_no_color_is_wanted_a_terminal_gets_the_words_alone(report: Report) -> None:
    text = printed(report, force_terminal=True, no_color=True)
    assert "FAIL" in text
    assert "\N{BOX DRAWINGS LIGHT HORIZONTAL}" not in text
    assert "\x1b[3" not in text


def test_a_terminal_with_color_gets_the_word_too(report: Report) -> None:
    text = printed(report, force_terminal=True)
    assert "\x1b[1;31mFAIL" in text


def test_control_characters_and_markup_in_a_witness_are_shown_and_not_obeyed() -> None:
    evil = Anomaly(name="effect-twice", count=1, sagas=("s",), witness="[red]saga\x1b[2J\x07[/red] was done twice")
    data = pair()
    text = printed(make_report(data, synthetic_run.audits(data, {0: [evil]})), width=140, force_terminal=True)
    assert "[red]saga\\x1b[2J\\x07[/red] was done twice" in text
    assert "\x1b[2J" not in text


@pytest.mark.parametrize("verdict", ["PASS", "INCONCLUSIVE"])
def test_the_verdict_is_a_word(verdict: str) -> None:
    data = pair() if verdict == "PASS" else pair(drained=False)
    assert verdict in printed(make_report(data, synthetic_run.audits(data)))


def test_a_run_without_blocks_can_be_shown() -> None:
    data = run(interleave="AB")
    assert "No block was audited." in printed(make_report(data, []))


def test_what_was_not_measured_is_a_dash_with_its_reason_below() -> None:
    lost = [saga(number, number / 3, None) for number in range(60)]
    data = run(block(0, rows=sagas(60)), block(1, "choreographed", rows=lost))
    text = printed(make_report(data, synthetic_run.audits(data)), width=140)
    (line,) = [line for line in text.splitlines() if line.startswith("  completion p99 ")]
    assert line.split() == ["completion", "p99", "-", "-", "-"]
    assert "orchestrated: completion_ms.p99 is null: 60 sagas ended, p99 needs 100." in text
    assert "completion p50: not compared: 0 sagas ended in one of the topologies, 2 are needed." in text
