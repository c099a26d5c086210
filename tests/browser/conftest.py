"""One browser for all, saved runs, and a server that shows them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from harness.history.history import FILE_NAME, History
from harness.history.records import LedgerRow
from harness.report.write import PAGE, write_report
from tests.browser.servers import past_runs
from tests.browser.visit import AXE, NAMES, Visit, executable, launch
from tests.report import synthetic_run
from tests.serve.saved import save

WITNESS = "s-2-41"
BROKEN = "broken"
Open = Callable[..., Visit]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """No longer than a file's tests: while Playwright is there, its event loop runs, and tests of coroutines cannot."""
    if executable() is None:
        pytest.skip(f"no browser: none of {', '.join(NAMES)}; on Debian apt-get install chromium")
    with sync_playwright() as playwright:
        browser = launch(playwright)
        yield browser
        browser.close()


@pytest.fixture
def visit(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Open]:
    """Opens windows; a complaint in any of them fails the test, whatever it was about."""
    opened: list[Visit] = []

    def open_window(**options: object) -> Visit:
        number = f"-{len(opened)}" if opened else ""
        opened.append(
            Visit(browser, f"{request.path.stem}-{request.node.name}{number}".replace("test_", ""), **options)
        )
        return opened[-1]

    yield open_window
    for each in opened:
        each.close()
    assert [complaint for each in opened for complaint in each.complaints] == []


@pytest.fixture
def axe() -> None:
    """What asks for it does without where npm is not."""
    if not AXE.is_file():
        pytest.skip("no axe-core: npm ci brings it")


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs that are alike but for their commit, and one in which the auditor found a customer charged twice."""
    folder = tmp_path_factory.mktemp("runs")
    save(folder, "first")
    save(folder, "second", commit="fedcba9876543210fedcba9876543210fedcba98")
    broken = synthetic_run.build(folder / BROKEN)
    again = LedgerRow(participant="payment", saga_id=WITNESS, step="charge", result="done", at_ns=0, movements={})
    with History(broken / FILE_NAME) as history:
        history.add_collected(2, [*history.ledger(2), again], history.accounts(2), history.endings(2))
    write_report(broken)
    return folder


@pytest.fixture(scope="session")
def report(runs: Path) -> str:
    """The address of the broken run's report, as a file: that is how most are opened."""
    return (runs / BROKEN / PAGE).as_uri()


@pytest.fixture(scope="session")
def served(runs: Path) -> Iterator[str]:
    """Where ``sagastorm serve`` shows the runs."""
    with past_runs(runs) as address:
        yield address
