"""What a test may ask of its run, and what becomes of the test where there is no answer."""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn

import pytest

from harness.core.verdict import RunVerdict, Verdict
from harness.gate.read import gates_of
from harness.pytest_plugin.saga_run import ATTRIBUTES, TIMES_ONLY, SagaRun
from harness.pytest_plugin.told import told
from harness.report.judge import Check
from harness.report.write import read_report
from tests.pytest_plugin.saved import CHARGED_TWICE, MAKE


class NoAnswerError(Exception):
    """What these tests do where there is none."""


def no_answer(why: str) -> NoReturn:
    raise NoAnswerError(why)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, SagaRun]:
    folder = tmp_path_factory.mktemp("runs")
    made = {name: make(folder / name) for name, make in MAKE.items()}
    return {name: SagaRun(path, read_report(path), None, no_answer) for name, path in made.items()}


def with_unknown(run: SagaRun, rule: str) -> SagaRun:
    """The same run, of which a rule could not be decided."""
    report = read_report(run.folder)
    report.judgement.checks.append(Check(rule, "block 1", Verdict.UNKNOWN, f"it is not known whether {rule}."))
    return SagaRun(run.folder, report, None, no_answer)


def test_figures_are_those_of_the_summary(runs: dict[str, SagaRun]) -> None:
    run = runs["passing"]
    summary = run.report.summary.topologies["orchestrated"]
    assert run.verdict is RunVerdict.PASS
    assert run.p99_ms == pytest.approx(summary.completion_ms.p99, abs=1e-4)
    assert run.completed == summary.completed
    assert run.retry_amplification_sdk == pytest.approx(summary.retry_amplification["sdk"], abs=1e-4)
    assert run.figure("throughput_per_s") == run["orchestrated"].throughput_per_s > 0


def test_every_figure_has_an_attribute_that_is_a_name(runs: dict[str, SagaRun]) -> None:
    assert all(name.isidentifier() for name in ATTRIBUTES)
    assert {"p50_ms", "p95_ms", "p99_ms", "unresolved", "recovery_s"} <= set(ATTRIBUTES)


def test_an_unknown_figure_is_an_error_that_names_the_known_ones(runs: dict[str, SagaRun]) -> None:
    with pytest.raises(AttributeError, match=r"'p98_ms'; figures are: .*p99_ms"):
        _ = runs["passing"].p98_ms
    with pytest.raises(KeyError, match="completion_ms.p98: no figure"):
        runs["passing"].figure("completion_ms.p98")


def test_of_several_topologies_one_must_be_asked(runs: dict[str, SagaRun]) -> None:
    run = runs["both"]
    with pytest.raises(LookupError, match=r"saga_run\['orchestrated'\]\.figure\('completion_ms.p50'\)"):
        _ = run.p50_ms
    assert run["orchestrated"].p50_ms != run["choreographed"].p50_ms
    assert run["choreographed"].faults["duplicate-at-once"]
    with pytest.raises(KeyError, match="which has: orchestrated, choreographed"):
        run["nonesuch"]


def test_a_figure_that_was_not_measured_is_no_answer(runs: dict[str, SagaRun]) -> None:
    with pytest.raises(NoAnswerError, match="orchestrated: recovery_s was not measured: "):
        _ = runs["passing"].recovery_s


def test_what_never_recovered_misses_a_limit_within_the_time_that_was_watched_and_is_no_answer_to_a_later_one(
    runs: dict[str, SagaRun], monkeypatch: pytest.MonkeyPatch
) -> None:
    from harness.pytest_plugin import saga_run as module
    from harness.report.figures import Missing

    monkeypatch.setattr(module, "figure", lambda *_: Missing("not recovered", longer_than_s=45))
    never = runs["passing"].recovery_s
    assert not never < 20 and not never <= 45 and never > 20 and never >= 45
    assert repr(never) == "<not recovered in the 45 s that were watched>"
    for asked in (lambda: never < 60, lambda: never <= 60, lambda: never > 60, lambda: 60 >= never):
        with pytest.raises(NoAnswerError, match="45 s that were watched>: to be held against 60 it must"):
            asked()
    assert not never - 100 < 20
    with pytest.raises(NoAnswerError, match="machine-not-crowded"):
        _ = with_unknown(runs["passing"], "machine-not-crowded").recovery_s


def test_of_an_inconclusive_run_no_figure_is_an_answer(runs: dict[str, SagaRun]) -> None:
    run = runs["undecided"]
    assert run.verdict is RunVerdict.INCONCLUSIVE
    with pytest.raises(NoAnswerError, match=r"orchestrated: completion_ms.p50: block 1 .* the audit cannot tell"):
        _ = run.p50_ms
    with pytest.raises(NoAnswerError, match="the audit: block 1"):
        _ = run.audit.valid
    assert "tables were not collected" in run.reasons[0]


@pytest.mark.parametrize("rule", sorted(TIMES_ONLY))
def test_what_spoils_times_leaves_the_audit_its_answer(runs: dict[str, SagaRun], rule: str) -> None:
    run = with_unknown(runs["passing"], rule)
    assert run.audit.valid
    with pytest.raises(NoAnswerError, match=rule):
        _ = run.p50_ms


def test_the_rules_that_only_times_depend_on_are_rules(runs: dict[str, SagaRun]) -> None:
    known = {check.rule for check in runs["both"].report.judgement.checks}
    assert known >= TIMES_ONLY


def test_a_fault_that_never_struck_proves_nothing_of_the_audit(runs: dict[str, SagaRun]) -> None:
    with pytest.raises(NoAnswerError, match="fault-fired:request-lost"):
        _ = with_unknown(runs["passing"], "fault-fired:request-lost").audit.valid


def test_an_anomaly_is_an_answer_and_its_run_fails_where_something_else_has_none(runs: dict[str, SagaRun]) -> None:
    run = runs["failing"]
    assert run.audit.valid is False
    assert run["orchestrated"].audit.anomalies["effect-twice"] == 1
    assert "1 x effect-twice" in repr(run.audit)
    with pytest.raises(pytest.fail.Exception, match=r"the run failed: .*effect-twice"):
        _ = run.recovery_s


def gated(run: SagaRun, *limits: str) -> SagaRun:
    entries = [{"metric": text.split()[0], "limit": " ".join(text.split()[1:])} for text in limits]
    return SagaRun(run.folder, run.report, gates_of({"gate": entries}, "gates"), no_answer)


def test_gates_that_pass_and_gates_that_nobody_asked_end_no_test(runs: dict[str, SagaRun]) -> None:
    gated(runs["passing"], "completion_ms.p99 < 60 s").check_gates()
    runs["failing"].check_gates()


def test_a_gate_that_fails_is_a_failure_even_beside_one_that_cannot_tell(runs: dict[str, SagaRun]) -> None:
    both = gated(runs["passing"], "completion_ms.p99 < 1 ms", "recovery_s < 5 s")
    with pytest.raises(pytest.fail.Exception, match=r"gate failed: completion_ms.p99 < 1 ms \(orchestrated\): "):
        both.check_gates()
    with pytest.raises(NoAnswerError, match="recovery_s < 5 s"):
        gated(runs["passing"], "recovery_s < 5 s").check_gates()


def test_with_any_gate_invariants_are_asked_too(runs: dict[str, SagaRun]) -> None:
    with pytest.raises(pytest.fail.Exception, match="effect-twice"):
        gated(runs["failing"]).check_gates()


def test_what_is_told_of_a_failure_is_the_witness_and_its_journey(runs: dict[str, SagaRun]) -> None:
    text = told(runs["failing"])
    assert text.startswith("FAIL\n")
    assert f"saga {CHARGED_TWICE}: orchestrated, block 1, round 1, arrival 10; " in text
    steps = [line for line in text.splitlines() if " payment charge done" in line]
    assert len(steps) == 1  # the sagas whose books do not match show nothing
    assert str(Path("failing") / "report.html") in text
    assert "again:  sagastorm replay " in text


def test_of_a_run_that_passed_the_verdict_is_told_and_no_journey(runs: dict[str, SagaRun]) -> None:
    text = told(runs["passing"])
    assert text.startswith("PASS: its own checks are all valid\n\nreport: ")
    assert "witness" not in text
