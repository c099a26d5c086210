"""What a report says of its backend."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from harness.backends.embedded import LauncherReport
from harness.history.run_file import BackendFacts, Deviation, RunFile
from harness.report.backend import backend_lines, backend_name
from harness.report.html import render_page
from harness.report.markdown import render_markdown
from harness.report.model import make_report
from harness.report.run_data import RunData
from harness.report.summary import summarize_data
from tests.conftest import Golden
from tests.report import synthetic_run
from tests.report.small import pair
from tests.report.test_terminal import printed

GOLDEN = Path(__file__).parent / "golden"
HARMFUL = Deviation(
    behaviour="events_are_delivered_in_the_background",
    what="PutEvents returns once every target has its message.",
    consequence="A choreographed step waits for its listeners, which AWS would not make it do.",
    weakens=True,
    known_of="4.14.0",
)
HARMLESS = Deviation(
    behaviour="deleting_twice_succeeds",
    what="It is an error.",
    consequence="None: workers take either answer.",
    weakens=False,
    known_of="4.14.0",
)
LOCALSTACK = BackendFacts(
    name="localstack",
    product="localstack",
    version="localstack 4.14.0",
    callback_retry="reenter",
    deviations=(HARMFUL, HARMLESS),
    checked=True,
)


def on(facts: BackendFacts | None, **instrument: object) -> RunData:
    """A run on that backend."""
    data = pair()
    assert data.run.instrument is not None
    changed = msgspec.structs.replace(data.run.instrument, **instrument)
    return RunData(msgspec.structs.replace(data.run, backend=facts, instrument=changed), data.blocks)


def said(facts: BackendFacts | None, **instrument: object) -> list[str]:
    return backend_lines(on(facts, **instrument).run)


def launched(*not_patched: str) -> str:
    """The version as the embedded backend gives it."""
    report = LauncherReport(ministack="1.5.33", python="3.12.9", port=1, patched=[], not_patched=list(not_patched))
    return report.version


@pytest.mark.parametrize(
    ("name", "product", "version", "told"),
    [
        ("embedded", "ministack", launched(), "embedded (ministack 1.5.33, uvicorn, sleeps removed)"),
        (
            "embedded",
            "ministack",
            launched("sfn (no sleep)", "sqs"),
            "embedded (ministack 1.5.33, uvicorn, sleeps NOT removed: sfn (no sleep); sqs)",
        ),
        ("localstack", "localstack", "localstack 4.14.0", "localstack 4.14.0"),
        (
            "localstack",
            "localstack",
            "localstack 4.14.0 (host); dynamodb: DynamoDB Local",
            "localstack 4.14.0 (host); dynamodb: DynamoDB Local",
        ),
        ("endpoint", "ministack", "ministack 1.5.33", "endpoint (ministack 1.5.33)"),
        (
            "endpoint",
            "localstack",
            "sqs,events: localstack 4.14.0; dynamodb: unknown",
            "endpoint (sqs,events: localstack 4.14.0; dynamodb: unknown)",
        ),
        (
            "endpoint",
            "unknown",
            "sqs: ministack 1.5.33; events: localstack 4.14.0",
            "endpoint (sqs: ministack 1.5.33; events: localstack 4.14.0)",
        ),
        ("endpoint", "unknown", "unknown", "endpoint (unknown)"),
    ],
)
def test_a_backend_is_named_with_its_product_and_version_once(name: str, product: str, version: str, told: str) -> None:
    assert (
        backend_name(on(msgspec.structs.replace(LOCALSTACK, name=name, product=product, version=version)).run) == told
    )


def test_of_a_backend_that_does_as_aws_does_nothing_is_said() -> None:
    assert said(msgspec.structs.replace(LOCALSTACK, callback_retry="retry", deviations=())) == []


def test_of_a_run_that_ended_before_its_backend_was_up_nothing_is_said() -> None:
    assert said(None) == []
    assert backend_name(on(None).run) == "not known"


def test_the_form_of_callback_retries_is_told_where_it_is_not_that_of_aws() -> None:
    assert said(LOCALSTACK)[0] == (
        "Failed callback tasks enter their state again, as Retry of such tasks does not work on this backend."
    )


def test_deviations_that_touch_no_result_are_counted_and_not_told() -> None:
    lines = said(LOCALSTACK)
    assert f"Unlike AWS: {HARMFUL.what} {HARMFUL.consequence}" in lines
    assert "Known deviations from AWS that touch no result: 1; see docs/backends.md." in lines
    assert not any(HARMLESS.what in line for line in lines)


def test_of_an_unchecked_product_no_deviation_is_known_and_that_is_said() -> None:
    unknown = msgspec.structs.replace(LOCALSTACK, product="moto", version="moto 5.1", deviations=(), checked=False)
    form, unchecked = said(unknown)
    assert "it is not known whether Retry of such tasks works" in form
    assert unchecked.startswith("The contract suite was never run on this product (moto)")


def test_of_an_unchecked_version_is_told_what_is_known_of_the_checked_one() -> None:
    newer = msgspec.structs.replace(LOCALSTACK, version="localstack 2026.3.0 pro", checked=False)
    form, unchecked, *known = said(newer)
    assert "it is not known whether Retry of such tasks works" in form
    assert "known of 4.14.0; this version was never checked" in unchecked
    assert known == said(LOCALSTACK)[1:]


def test_deviations_of_one_consequence_are_told_together() -> None:
    second = msgspec.structs.replace(HARMFUL, behaviour="another", what="It is slow.")
    lines = said(msgspec.structs.replace(LOCALSTACK, deviations=(HARMFUL, HARMLESS, second)))
    assert f"Unlike AWS: {HARMFUL.what} It is slow. {HARMFUL.consequence}" in lines
    assert sum(line.startswith("Unlike AWS") for line in lines) == 1


def test_capacity_is_told_with_what_it_decided() -> None:
    lines = said(LOCALSTACK, capacity_sagas_per_s={"orchestrated": 7.8, "choreographed": 21.4}, scaled=("rate_per_s",))
    assert lines[1] == (
        "Sagas that it carries with no participant's code, before the load: orchestrated 7.80/s, choreographed 21.4/s."
    )
    assert "As nobody chose it, that capacity decided: rate 12/s." in lines
    assert not any("decided" in line for line in said(LOCALSTACK, capacity_sagas_per_s={"orchestrated": 7.8}))


def test_terminal_page_and_markdown_say_the_same_of_the_backend() -> None:
    data = on(LOCALSTACK, capacity_sagas_per_s={"orchestrated": 7.8})
    report = make_report(data, synthetic_run.audits(data))
    for line in backend_lines(data.run):
        assert line in printed(report, 140).replace("\n  ", " ")
        assert line.replace("'", "&#39;") in render_page(report)
        assert line in render_markdown(report).replace("\\", "")


def test_the_summary_names_the_deviations_that_weaken_a_result() -> None:
    data = on(LOCALSTACK)
    report = make_report(data, synthetic_run.audits(data))
    assert msgspec.to_builtins(report.summary.backend) == {
        "name": "localstack",
        "product": "localstack",
        "version": "localstack 4.14.0",
        "callback_retry": "reenter",
        "unverified": False,
        "deviations": ["events_are_delivered_in_the_background"],
    }
    assert summarize_data(on(None), [], report.judgement).backend.unverified is None


@pytest.mark.parametrize("width", [80, 140])
def test_the_report_of_a_synthetic_run_on_localstack(width: int, golden: Golden) -> None:
    run: RunFile = on(
        LOCALSTACK, capacity_sagas_per_s={"orchestrated": 7.8, "choreographed": 21.4}, scaled=("rate_per_s",)
    ).run
    data = RunData(run, pair().blocks)
    text = printed(make_report(data, synthetic_run.audits(data)), width)
    start = text.index("Backend localstack")
    golden(GOLDEN / f"backend-{width}.txt", text[start : text.index("Comparison\n", start)])
