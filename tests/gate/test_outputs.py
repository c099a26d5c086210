"""What CI users look at: whole, escaped, and no longer than is shown."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path
from xml.etree import ElementTree

import jsonschema
import msgspec
import pytest
from rich.console import Console

from harness.audit.auditor import Anomaly
from harness.core.errors import EXIT_PASS
from harness.core.verdict import RunVerdict
from harness.gate import annotations
from harness.gate.badge import badge_json, badge_svg
from harness.gate.judge import judge_gates
from harness.gate.junit import render_junit
from harness.gate.markdown import COMMENT_BYTES, MARKER, SUMMARY_BYTES, render_markdown
from harness.gate.model import GateReport
from harness.gate.outputs import GATES, write_outputs
from harness.gate.published import encode
from harness.gate.read import read_gates
from harness.gate.schemas import schemas
from harness.gate.series import write_series
from harness.gate.terminal import print_gates
from harness.report.write import encode_summary
from tests.conftest import Golden
from tests.gate.job import block, pairs, run
from tests.report import small

HOSTILE = "s-1|<img src=x>@all`%0A::error::\n::add-mask::x]]>"
TWICE = Anomaly(name="effect-twice", count=2, sagas=(HOSTILE,), witness=f"saga {HOSTILE}: charged twice")
ACTIONS = {"GITHUB_ACTIONS": "true"}


def report(*, hostile: bool = True) -> GateReport:
    """A fail with a hostile witness, an inconclusive, passes, and something left out."""
    asked = read_gates(
        {
            "invariants": {"except": ["late-step"]},
            "gate": [
                {"metric": "completion_ms.p50", "limit": "< 300 ms"},
                {"name": "dead | letters", "metric": "dead_letters", "limit": "== 0"},
            ],
        }
    )
    return judge_gates(asked, [run(block(dead_letters=None), anomalies={0: [TWICE]} if hostile else {})])


def many(count: int) -> GateReport:
    """A report with so many failures."""
    one = report()
    [failed] = one.of(RunVerdict.FAIL)
    return msgspec.structs.replace(one, findings=(failed,) * count)


def test_junit_has_a_case_for_each_finding_with_what_was_observed() -> None:
    judged = report()
    suites = ElementTree.fromstring(render_junit(judged))
    cases = {case.get("name"): case for case in suites.iter("testcase")}
    assert len(cases) == len(judged.findings) + 1
    failure = cases["effect-twice"].find("failure")
    assert failure is not None and "The audit found 2" in str(failure.get("message"))
    told = {each.get("name"): each.get("value") for each in cases["effect-twice"].iter("property")}
    assert (told["observed"], told["limit"]) == ("2", "none")
    assert "block 1" in str(told["witness"])
    assert cases["dead | letters"].find("error") is not None
    assert cases["completion_ms.p50 < 300 ms"].find("failure") is None
    assert cases["late-step"].find("skipped") is not None
    assert [suite.get("failures") for suite in suites] == ["1", "0"]
    assert [suite.get("errors") for suite in suites] == ["1", "0"]


def test_junit_of_a_relative_gate_tells_its_interval_and_pairs() -> None:
    asked = read_gates({"gate": [{"metric": "completion_ms.p50", "tolerance": "5%", "against": "base"}]})
    suites = ElementTree.fromstring(render_junit(judge_gates(asked, *pairs(3, 1.5))))
    [case] = [each for each in suites.iter("testcase") if "within 5%" in str(each.get("name"))]
    told = {each.get("name"): str(each.get("value")) for each in case.iter("property")}
    assert re.fullmatch(r"1\.\d+x to 1\.\d+x", told["interval"])
    assert told["pairs"] == "3"
    assert told["limit"] == "ratio <= 1.05x against base"


def test_markdown_leads_with_what_broke_and_shows_nothing_hostile() -> None:
    text = render_markdown(report(), COMMENT_BYTES)
    assert text.startswith(f"{MARKER}\n## sagastorm: FAIL: 1 of ")
    assert text.index("FAIL effect-twice") < text.index("INCONCLUSIVE dead") < text.index("15 invariants")
    assert "<img" not in text and "@all" not in text
    assert r"dead \| letters" in text
    assert "Left out by name: late-step." in text


@pytest.mark.parametrize("limit", [COMMENT_BYTES, SUMMARY_BYTES])
def test_markdown_stays_under_the_limit_and_says_what_was_cut(limit: int) -> None:
    text = render_markdown(many(10_000), limit)
    assert 0.9 * limit < len(text.encode()) <= limit
    assert re.search(r"And [\d]+ more, in `gates.json`", text)
    assert "Gates: a table" in text


def test_annotations_are_one_line_each_and_hold_no_command_of_their_own() -> None:
    lines = annotations.annotated(report())
    assert [line.split(" ")[0] for line in lines] == ["::error", "::warning"]
    assert not any("\n" in line for line in lines)
    assert lines[0].startswith("::error title=fail%3A effect-twice (create-order%2C small%2C orchestrated)::")
    assert "%250A" in lines[0]


def test_no_more_annotations_are_made_than_are_kept() -> None:
    lines = annotations.annotated(many(25))
    assert len(lines) == annotations.MOST
    assert lines[-1] == "::error title=sagastorm::And 16 more, in gates.json."


def test_github_is_told_in_actions_only(tmp_path: Path) -> None:
    summary = tmp_path / "summary.md"
    judged = report()
    assert annotations.tell_github(judged, {"GITHUB_STEP_SUMMARY": str(summary)}) == []
    assert not summary.exists()
    assert annotations.tell_github(judged, ACTIONS) == annotations.annotated(judged)
    summary.write_text("another step's\n")
    annotations.tell_github(judged, ACTIONS | {"GITHUB_STEP_SUMMARY": str(summary)})
    assert summary.read_text().startswith(f"another step's\n{MARKER}\n## sagastorm: FAIL")


def test_what_is_printed_in_actions_is_no_command(capsys: pytest.CaptureFixture[str]) -> None:
    with annotations.no_commands(ACTIONS):
        print("::error::planted")
    first, planted, last = capsys.readouterr().out.splitlines()
    assert planted == "::error::planted"
    assert first == f"::stop-commands::{last.strip(':')}"
    with annotations.no_commands({}):
        print("plain")
    assert capsys.readouterr().out == "plain\n"


@pytest.mark.parametrize(("hostile", "message", "color"), [(True, "fail", "red"), (False, "inconclusive", "lightgrey")])
def test_the_badge_tells_the_verdict(hostile: bool, message: str, color: str) -> None:
    judged = report(hostile=hostile)
    assert json.loads(badge_json(judged)) == {
        "schemaVersion": 1,
        "label": "saga gates",
        "message": message,
        "color": color,
    }
    assert ElementTree.fromstring(badge_svg(judged)).get("aria-label") == f"saga gates: {message}"


def test_the_terminal_shows_the_verdict_first_and_steers_nothing() -> None:
    out = io.StringIO()
    print_gates(Console(file=out, width=100, color_system=None), report())
    text = out.getvalue()
    assert text.startswith("sagastorm gate   FAIL: 1 of ")
    assert "\n::add-mask" not in text
    assert "15 invariants" in text


def test_a_series_grows_from_job_to_job_and_has_numbers_in_every_row(tmp_path: Path) -> None:
    first, second = run(block(), run_id="one"), run(block(rows=small.sagas(40)), run_id="two")
    [path] = write_series(tmp_path, [first])
    assert write_series(tmp_path, [first, second]) == [path]
    assert path.name == "history-create-order-small.csv"
    rows = list(csv.DictReader(path.read_text().splitlines()))
    assert [row["run_id"] for row in rows] == ["one", "two"]
    assert [row["orchestrated.completion_ms.p50"] for row in rows] == ["200", "200"]
    assert [row["orchestrated.completion_ms.p99"] for row in rows] == ["200", "nan"]
    for row in rows:
        numbers = {name: value for name, value in row.items() if "." in name}
        assert numbers and all(isinstance(float(value), float) for value in numbers.values())


def test_storms_and_mitigations_have_series_of_their_own(tmp_path: Path) -> None:
    runs = [run(block(), run_id="on"), run(block(), run_id="off", mitigations={"sweeper": "off"})]
    names = {path.name for path in write_series(tmp_path, runs)}
    assert names == {"history-create-order-small.csv", "history-create-order-small-sweeper=off.csv"}


def test_all_files_are_written_and_the_schemas_hold(tmp_path: Path) -> None:
    clean = run(block())
    judged = judge_gates(read_gates({}), [clean])
    written = write_outputs(tmp_path / "out", judged, [clean])
    assert {path.name for path in written} == {path.name for path in (tmp_path / "out").iterdir()}
    content = json.loads((tmp_path / "out" / GATES).read_text())
    assert (content["verdict"], content["exit_code"]) == ("pass", EXIT_PASS)
    of_summary, of_gates = (json.loads(schema) for schema in schemas().values())
    jsonschema.validate(content, of_gates)
    jsonschema.validate(json.loads(encode_summary(clean.summary)), of_summary)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(content | {"schema": "sagastorm.gates/2"}, of_gates)


def test_a_report_with_all_kinds_of_findings_keeps_to_the_schema() -> None:
    asked = read_gates({"gate": [{"metric": "completion_ms.p50", "tolerance": "5%", "against": "base"}]})
    _, of_gates = (json.loads(schema) for schema in schemas().values())
    for judged in (report(), judge_gates(asked, *pairs(3, 1.5))):
        jsonschema.validate(json.loads(encode(judged)), of_gates)


@pytest.mark.parametrize("path", schemas(), ids=lambda path: path.name)
def test_the_published_schema_is_what_the_types_say(path: Path, golden: Golden) -> None:
    golden(path, schemas()[path].decode())
