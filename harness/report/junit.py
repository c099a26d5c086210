"""``junit.xml``: one test case for each thing that was checked, for CI systems that show test results."""

from __future__ import annotations

from collections.abc import Iterator
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from harness.audit.auditor import Audit
from harness.core.verdict import Verdict, worst
from harness.report.faults import storm_name
from harness.report.model import Report
from harness.report.wording import plain


def render_junit(report: Report) -> bytes:
    """The whole file. Invalid is a failure, unknown is an error: neither is a pass."""
    cases = [*_anomaly_cases(report), *_check_cases(report)]
    suite = Element(
        "testsuite",
        name=plain(f"sagastorm {report.run.settings.saga} under {storm_name(report.run)}"),
        tests=str(len(cases)),
        failures=str(sum(case.find("failure") is not None for case in cases)),
        errors=str(sum(case.find("error") is not None for case in cases)),
    )
    suite.extend(cases)
    suites = Element("testsuites")
    suites.append(suite)
    indent(suites)
    return f'<?xml version="1.0" encoding="utf-8"?>\n{tostring(suites, encoding="unicode")}\n'.encode()


def _anomaly_cases(report: Report) -> Iterator[Element]:
    """One for each topology and kind of anomaly, over all of its blocks."""
    for topology in report.topologies:
        audits = [audit for audit in report.audits if audit.topology == topology]
        for name in sorted({name for audit in audits for name in audit.checks}):
            verdict = worst([audit.checks[name] for audit in audits if name in audit.checks])
            yield _case(f"no-anomaly:{name}", topology, verdict, _told(name, audits))


def _told(name: str, audits: list[Audit]) -> str:
    found = [
        f"block {audit.block + 1}: {anomaly.count} x {name}, first: {anomaly.witness}"
        for audit in audits
        for anomaly in audit.anomalies
        if anomaly.name == name
    ]
    notes = [f"block {audit.block + 1}: {note}" for audit in audits for note in audit.notes]
    return "\n".join(found or notes or ["the audit could not tell"])


def _check_cases(report: Report) -> Iterator[Element]:
    for check in report.judgement.checks:
        yield _case(check.rule, check.about, check.verdict, check.says or "")
    verdict = report.judgement.verdict
    worst_check = worst([check.verdict for check in report.judgement.checks])
    yield _case("verdict", "run", worst_check, f"{verdict.value}: {' '.join(report.judgement.reasons)}")


def _case(name: str, about: str, verdict: Verdict, says: str) -> Element:
    case = Element("testcase", name=plain(name), classname=plain(f"sagastorm.{about}"))
    if verdict is not Verdict.VALID:
        kind = "failure" if verdict is Verdict.INVALID else "error"
        lines = [plain(line) for line in says.splitlines()] or [str(verdict)]
        SubElement(case, kind, message=lines[0]).text = "\n".join(lines)
    return case
