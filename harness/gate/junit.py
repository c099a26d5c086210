"""``junit.xml``: one test case for each finding, for CI systems that show test results."""

from __future__ import annotations

from xml.etree.ElementTree import Element, SubElement, indent, tostring

from harness.core.verdict import RunVerdict
from harness.gate.model import Finding, GateReport
from harness.gate.wording import facts
from harness.report.wording import plain

KINDS = {RunVerdict.FAIL: "failure", RunVerdict.INCONCLUSIVE: "error"}
"""Inconclusive is an error: no pass, and not the saga's fault. JUnit has no third word that CI systems do not let pass."""


def render_junit(report: GateReport) -> bytes:
    """The whole file: a suite for each case, and what was left out by name as skipped."""
    suites = Element("testsuites", name="sagastorm gate")
    for case in dict.fromkeys(finding.case for finding in report.findings):
        found = [_case(finding) for finding in report.findings if finding.case == case]
        suites.append(_suite(case.told, found))
    if report.left_out:
        suites.append(_suite("left out", [_left_out(name) for name in report.left_out]))
    indent(suites)
    return f'<?xml version="1.0" encoding="utf-8"?>\n{tostring(suites, encoding="unicode")}\n'.encode()


def _suite(name: str, cases: list[Element]) -> Element:
    suite = Element("testsuite", name=plain(name), tests=str(len(cases)))
    for counted, kind in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        suite.set(counted, str(sum(case.find(kind) is not None for case in cases)))
    suite.extend(cases)
    return suite


def _case(finding: Finding) -> Element:
    where = f"sagastorm.{finding.case.saga}.{finding.case.storm}.{finding.case.topology}"
    case = Element("testcase", name=plain(finding.gate.name), classname=plain(where))
    properties = SubElement(case, "properties")
    told = facts(finding)
    for name, value in told:
        SubElement(properties, "property", name=name, value=plain(value))
    if kind := KINDS.get(finding.outcome):
        lines = [finding.why, *(f"{name}: {value}" for name, value in told)]
        SubElement(case, kind, message=plain(finding.why)).text = "\n".join(map(plain, lines))
    return case


def _left_out(name: str) -> Element:
    case = Element("testcase", name=plain(name), classname="sagastorm.left-out")
    SubElement(case, "skipped", message="left out by name")
    return case
