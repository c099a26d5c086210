"""``@pytest.mark.storm`` and the fixture ``saga_run``.

Every pytest loads this module in whose environment sagastorm is installed, so it imports pytest and the standard
library only: the rest comes with the first test that carries the marker. ``-p no:sagastorm`` leaves it out.

What a session shares: the installed emulator and the runs, one for all tests that ask the same, under pytest-xdist too.
Each run starts emulators, workers and load of its own, as ``sagastorm run`` does.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

if TYPE_CHECKING:
    from harness.pytest_plugin.asked import Asked
    from harness.pytest_plugin.runs import Runs
    from harness.pytest_plugin.saga_run import SagaRun

MARKER, FIXTURE = "storm", "saga_run"
OUTCOMES = ("fail", "skip", "xfail")
VERDICT, REPORT = "sagastorm_verdict", "sagastorm_report"
"""What a test that has a run is given as properties: JUnit files and pytest-xdist carry them."""
ASKED: pytest.StashKey[Asked] = pytest.StashKey()
RUN: pytest.StashKey[SagaRun] = pytest.StashKey()
REFUSED = pytest.StashKey[str]()
"""What is wrong with the markers, in a worker of pytest-xdist: to raise it there would be an internal error."""

MARKER_HELP = (
    f"{MARKER}(name='default', *, topology='both', saga, rate, duration, seed, interleave, mitigations, gates, ...): "
    "run a saga under this storm before the test, which asks its figures of the fixture saga_run. Every setting of "
    "`sagastorm run` is an argument (drain_limit=30); mitigations may be a dict, gates are such as "
    "'completion_ms.p99 < 800 ms', and with any (even []) the invariants are checked too."
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Each option with the ini key of the same meaning."""
    group = parser.getgroup("sagastorm", "sagastorm (sagas under storms)")
    group.addoption(
        "--storm-backend",
        metavar="NAME",
        help="backend of the runs: embedded, localstack, endpoint [ini sagastorm_backend, else as `sagastorm run` finds it]",
    )
    group.addoption(
        "--storm-runs",
        metavar="FOLDER",
        help="where runs and their reports are kept, below rootdir [ini sagastorm_runs: runs/pytest]",
    )
    group.addoption(
        "--storm-inconclusive",
        choices=OUTCOMES,
        help="what becomes of a test whose question a run cannot answer; never a pass [ini sagastorm_inconclusive: fail]",
    )
    parser.addini("sagastorm_backend", "backend of runs for tests that are marked storm", default="")
    parser.addini("sagastorm_runs", "folder of these runs, below rootdir", default="runs/pytest")
    parser.addini("sagastorm_inconclusive", f"one of {', '.join(OUTCOMES)}: see --storm-inconclusive", default="fail")


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker; refuse an ini value that means nothing."""
    config.addinivalue_line("markers", MARKER_HELP)
    if _option(config, "inconclusive") not in OUTCOMES:
        raise pytest.UsageError(f"sagastorm_inconclusive must be one of: {', '.join(OUTCOMES)}")


@pytest.hookimpl(trylast=True)  # when -k and -m have deselected: of what does not run, nothing is asked
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Refuse bad markers, all at once and before anything runs."""
    marked = [item for item in items if item.get_closest_marker(MARKER)]
    if not marked:
        return
    from harness.pytest_plugin.asked import ask

    problems: list[str] = []
    for item in marked:
        asked = ask(item, _option(config, "backend"), problems)
        if asked is None:
            continue
        item.stash[ASKED] = asked
        if asked.gates is not None and FIXTURE not in _fixtures(item):
            _fixtures(item).append(FIXTURE)
        if FIXTURE not in _fixtures(item):
            problems.append(f"{item.nodeid}: it asks nothing of its run; take {FIXTURE} as an argument, or name gates")
    if problems:
        told = "\n".join(["bad @pytest.mark.storm", *(f"  {problem}" for problem in problems)])
        if not hasattr(config, "workerinput"):
            raise pytest.UsageError(told)
        config.stash[REFUSED] = told


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """In a worker of pytest-xdist, what is wrong with any marker stops every test that has one."""
    if item.get_closest_marker(MARKER) and (told := item.config.stash.get(REFUSED, None)):
        pytest.fail(told, pytrace=False)


@pytest.fixture(scope="session")
def _storm_runs(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Runs:
    """The runs of this session."""
    from harness.pytest_plugin.runs import Runs

    config = request.config
    shared = tmp_path_factory.getbasetemp() / "sagastorm"
    worker = getattr(config, "workerinput", None)
    if worker is not None:  # beside the folders of all workers; the id keeps another session's runs apart
        shared = shared.parents[1] / f"sagastorm-{worker['testrunuid']}"
    return Runs(config.rootpath, Path(_option(config, "runs")), shared)


@pytest.fixture
def saga_run(request: pytest.FixtureRequest) -> SagaRun:
    """The run that ``@pytest.mark.storm`` asks for: its audit, its figures, its report.

    Made once in a session for all tests that ask the same. See :class:`harness.pytest_plugin.saga_run.SagaRun`.
    """
    if ASKED not in request.node.stash:
        pytest.fail(f"{FIXTURE} needs to be told of a storm: @pytest.mark.{MARKER}('default')", pytrace=False)
    from harness.core.errors import SagastormError
    from harness.pytest_plugin.saga_run import SagaRun

    asked = request.node.stash[ASKED]
    try:
        folder, report = request.getfixturevalue("_storm_runs").of(asked)
    except SagastormError as error:
        pytest.fail(f"the run was not made: {error}", pytrace=False)

    outcome = _option(request.config, "inconclusive")

    def undecided(why: str) -> NoReturn:
        __tracebackhide__ = True
        getattr(pytest, outcome)(f"inconclusive: {why}")
        raise AssertionError(outcome)  # all of them raise

    run = SagaRun(folder, report, asked.gates, undecided)
    request.node.stash[RUN] = run
    request.node.user_properties.extend([(VERDICT, run.verdict.value), (REPORT, str(run.report_path))])
    return run


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> None:
    """Gates come before the test's own questions; here, and not in the fixture, a failing one is a failure and no error."""
    if run := item.stash.get(RUN, None):
        run.check_gates()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """With a failure, what happened in the run."""
    report = yield
    run = item.stash.get(RUN, None)
    if run is not None and report.when == "call" and report.failed:
        from harness.pytest_plugin.told import told

        report.sections.append((f"sagastorm run {run.run_id}", told(run)))
    return report


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Where the reports are."""
    runs = dict.fromkeys(_runs_of(report for reports in terminalreporter.stats.values() for report in reports))
    if runs:
        terminalreporter.section("sagas under storms", "-")
    for report, verdict in runs:
        terminalreporter.write_line(f"{verdict}: {report}")


def _runs_of(reports: Iterable[Any]) -> Iterable[tuple[str, str]]:
    for report in reports:
        told = dict(getattr(report, "user_properties", ()))
        if REPORT in told:
            yield str(told[REPORT]), str(told[VERDICT])


def _option(config: pytest.Config, name: str) -> str:
    """From the command line, else from the ini file."""
    return str(config.getoption(f"storm_{name}") or config.getini(f"sagastorm_{name}"))


def _fixtures(item: pytest.Item) -> list[str]:
    names: list[str] = getattr(item, "fixturenames", [])
    return names
