"""That the suite, the deviations and the document name the same things."""

from __future__ import annotations

import pytest

from harness.aws.gateway import Gateway
from harness.backends.base import Endpoints
from harness.backends.deviations import CHECKED_VERSIONS, DEVIATIONS, RETRY_OF_CALLBACKS, is_checked
from harness.report.metrics import FIGURES
from tests.conftest import Golden
from tests.contract.document import DOCUMENT, MODULES, TEST, behaviours, modules, text, versions

NAMES = [behaviour.name for module in modules() for behaviour in behaviours(module)]


def test_document_is_what_the_suite_says(golden: Golden) -> None:
    golden(DOCUMENT, text())


def test_document_knows_every_file_of_the_suite() -> None:
    files = {path.stem.removeprefix(TEST) for path in DOCUMENT.parents[1].glob(f"tests/contract/{TEST}*.py")}
    assert files == {*MODULES, "document"}


def test_every_test_of_the_suite_names_its_page_and_no_two_have_one_name() -> None:
    tests = [name for module in modules() for name in vars(module) if name.startswith(TEST)]
    assert tests == [TEST + name for name in NAMES]
    assert len(set(tests)) == len(tests)


@pytest.mark.parametrize("product", DEVIATIONS)
def test_every_deviation_names_a_behaviour_of_the_suite_and_none_twice(product: str) -> None:
    known = [deviation.behaviour for deviation in DEVIATIONS[product]]
    assert sorted(set(known)) == sorted(known)
    assert set(known) <= set(NAMES)


@pytest.mark.parametrize("product", DEVIATIONS)
def test_deviation_says_what_in_one_sentence_and_falsifies_figures_that_exist(product: str) -> None:
    for deviation in DEVIATIONS[product]:
        assert deviation.what.endswith(".")
        assert deviation.consequence.endswith(".")
        assert set(deviation.falsifies) <= set(FIGURES)


@pytest.mark.parametrize("product", DEVIATIONS)
def test_deviation_weakens_results_unless_its_consequence_is_none(product: str) -> None:
    for deviation in DEVIATIONS[product]:
        assert deviation.weakens != deviation.consequence.startswith("None")
        assert deviation.weakens or not deviation.falsifies


@pytest.mark.parametrize("product", DEVIATIONS)
def test_deviations_are_known_of_the_version_that_the_lock_pins(product: str) -> None:
    assert CHECKED_VERSIONS[product] == versions()[product]
    assert {deviation.known_of for deviation in DEVIATIONS[product]} == {versions()[product]}


@pytest.mark.parametrize(
    ("product", "version", "checked"),
    [
        ("ministack", "{ministack} (uvicorn, sleeps removed)", True),
        ("ministack", "{ministack} (uvicorn, sleeps NOT removed: one (1); another)", True),
        ("ministack", "ministack {ministack}", True),
        ("ministack", "ministack {ministack}1", False),
        ("ministack", "1.5 (uvicorn, sleeps removed)", False),
        ("localstack", "localstack {localstack}", True),
        ("localstack", "localstack {localstack} (host); dynamodb: DynamoDB Local", True),
        ("localstack", "localstack {localstack} community (docker, localstack/localstack:{localstack})", True),
        ("localstack", "sqs,stepfunctions,events: localstack {localstack}; dynamodb: unknown", True),
        ("localstack", "sqs: localstack {localstack}; events: localstack 2026.3.0 pro", False),
        ("localstack", "localstack 2026.3.0 pro", False),
        ("localstack", "localstack 2026.3.0 pro (docker, localstack/localstack:{localstack})", False),
        ("localstack", "localstack {localstack}.dev7", False),
        ("localstack", "localstack of no known version", False),
        ("moto", "moto {localstack}", False),
        ("unknown", "unknown", False),
    ],
)
def test_only_the_version_that_the_suite_is_run_on_is_checked(product: str, version: str, *, checked: bool) -> None:
    assert is_checked(product, version.format_map(versions())) is checked


def test_form_in_which_callback_tasks_are_retried_depends_on_behaviours_of_the_suite() -> None:
    assert set(NAMES) >= RETRY_OF_CALLBACKS


@pytest.mark.asyncio(loop_scope="session")
async def test_backend_is_the_version_that_the_document_is_about(backend: tuple[Endpoints, Gateway]) -> None:
    endpoints, _ = backend
    assert is_checked(endpoints.product, endpoints.version), endpoints.version
