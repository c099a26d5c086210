"""What a report leaves in the run's folder, and what pipelines read in it."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from pathlib import Path
from xml.etree import ElementTree

import msgspec
import pytest

from harness.audit.auditor import Anomaly
from harness.core.errors import RunNotFound
from harness.core.verdict import Verdict
from harness.history.history import History
from harness.report import write
from harness.report.junit import render_junit
from harness.report.markdown import render_markdown
from harness.report.model import make_report
from harness.report.summary import Summary
from harness.report.write import write_report
from harness.sagas.create_order import SAGA
from tests.report import synthetic_run
from tests.report.small import pair

FILES = {"summary.json", "report.html", "summary.md", "junit.xml"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = synthetic_run.build(tmp_path_factory.mktemp("run"))
    write_report(folder, SAGA)
    return folder


def test_a_saved_run_is_audited_judged_and_reported_offline(folder: Path) -> None:
    assert FILES <= {path.name for path in folder.iterdir()}
    assert list(folder.glob("*.part")) == []
    summary = msgspec.json.decode((folder / "summary.json").read_bytes(), type=Summary)
    assert (summary.verdict, summary.reasons) == ("pass", [])


def test_the_same_run_gives_the_same_files(folder: Path) -> None:
    before = {name: (folder / name).read_bytes() for name in FILES}
    write_report(folder, SAGA)
    assert {name: (folder / name).read_bytes() for name in FILES} == before


def test_a_lost_effect_in_the_saved_tables_fails_the_run(tmp_path: Path) -> None:
    folder = synthetic_run.build(tmp_path, synthetic_run.Spec(interleave="AB"))
    with History(folder / "history.sqlite") as history:
        accounts = history.accounts(1)
        short = msgspec.structs.replace(accounts[0], final=accounts[0].final - 1)
        history.add_collected(1, history.ledger(1), [short, *accounts[1:]], history.endings(1))
    report = write_report(folder, SAGA)
    assert report.summary.verdict == "fail"
    assert report.topologies["choreographed"].anomalies == {"money-or-stock-mismatch": 1}
    assert report.topologies["orchestrated"].anomalies == {}


def test_a_file_that_cannot_be_made_leaves_no_summary_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(report: object) -> bytes:
        raise RuntimeError("no")

    folder = synthetic_run.build(tmp_path, synthetic_run.Spec(interleave="AB"))
    monkeypatch.setattr(write, "render_junit", broken)
    with pytest.raises(RuntimeError):
        write_report(folder, SAGA)
    assert not (folder / "summary.json").exists()


def test_a_folder_without_a_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunNotFound):
        write_report(tmp_path, SAGA)


@pytest.mark.parametrize("damage", ["no database", "no block record"])
def test_a_history_that_cannot_be_read_is_refused_with_its_folder(tmp_path: Path, damage: str) -> None:
    folder = synthetic_run.build(tmp_path, synthetic_run.Spec(interleave="AB"))
    if damage == "no database":
        (folder / "history.sqlite").write_bytes(b"not a database" * 100)
    else:
        with closing(sqlite3.connect(folder / "history.sqlite")) as database, database:
            database.execute("UPDATE blocks SET record = '{'")
    with pytest.raises(RunNotFound, match=re.escape(f"{folder}: history.sqlite cannot be read: ")):
        write_report(folder, SAGA)


def cases(text: bytes) -> dict[tuple[str, str], ElementTree.Element]:
    suites = ElementTree.fromstring(text)
    return {(str(case.get("classname")), str(case.get("name"))): case for case in suites.iter("testcase")}


def test_junit_has_a_case_for_each_check_and_each_kind_of_anomaly_of_a_topology() -> None:
    data = pair()
    found = cases(render_junit(make_report(data, synthetic_run.audits(data))))
    for topology in ("orchestrated", "choreographed"):
        assert (f"sagastorm.{topology}", "no-anomaly:effect-twice") in found
    assert ("sagastorm.block 1 (orchestrated)", "drained") in found
    assert ("sagastorm.run", "verdict") in found
    assert [case for case in found.values() if len(case)] == []


def test_junit_tells_an_anomaly_as_a_failure_with_its_witness() -> None:
    data = pair()
    evil = Anomaly(name="effect-twice", count=1, sagas=(), witness="saga <\x1b> & was done twice")
    text = render_junit(make_report(data, synthetic_run.audits(data, {1: [evil]})))
    found = cases(text)
    failure = found["sagastorm.choreographed", "no-anomaly:effect-twice"].find("failure")
    assert failure is not None
    assert "saga <\\x1b> & was done twice" in str(failure.get("message"))
    assert found["sagastorm.orchestrated", "no-anomaly:effect-twice"].find("failure") is None
    assert found["sagastorm.run", "verdict"].find("failure") is not None
    (suite,) = ElementTree.fromstring(text).iter("testsuite")
    assert suite.get("failures") == "3"


def test_junit_tells_what_is_unknown_as_an_error() -> None:
    data = pair(drained=False)
    unknown = msgspec.structs.replace(
        synthetic_run.audit(1, "choreographed"),
        verdict=Verdict.UNKNOWN,
        checks={"effect-twice": Verdict.UNKNOWN},
        notes=["tables were not collected"],
    )
    found = cases(render_junit(make_report(data, [synthetic_run.audit(0, "orchestrated"), unknown])))
    error = found["sagastorm.choreographed", "no-anomaly:effect-twice"].find("error")
    assert error is not None
    assert error.get("message") == "block 2: tables were not collected"
    assert found["sagastorm.block 2 (choreographed)", "drained"].find("error") is not None
    assert found["sagastorm.run", "verdict"].find("error") is not None


def test_markdown_tells_verdict_reasons_differences_and_the_command() -> None:
    data = pair(drained=False)
    text = render_markdown(make_report(data, synthetic_run.audits(data)))
    assert text.startswith("# sagastorm: create-order under small: inconclusive\n")
    assert "- block 2 (choreographed): queues or executions still held work" in text
    assert "- completion p50: 200 ms against 200 ms, 1.00x (1.00 to 1.00): no clear difference." in text
    assert "| completion p50 | 200 ms | 200 ms | \\~ 1.00x (1.00 to 1.00) |" in text
    assert f"    {data.run.command}\n" in text


def test_markdown_shows_text_of_the_run_as_it_is() -> None:
    data = pair()
    evil = Anomaly(name="effect-twice", count=1, sagas=(), witness="saga <img src=x> @team `a|b` [x](y)\n# no")
    text = render_markdown(make_report(data, synthetic_run.audits(data, {1: [evil]})))
    assert "&lt;img src=x> &#64;team \\`a\\|b\\` \\[x\\](y)\\\\n\\# no" in text
