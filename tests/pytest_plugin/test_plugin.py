"""The plugin as its users meet it: in pytests of their own, whose runs were made before."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.pytest_plugin import runs, told  # what a pytest in this process would import, it would forget again
from tests.pytest_plugin.saved import MAKE

pytest_plugins = ["pytester"]
ROOT = Path(__file__).resolve().parents[2]
assert runs
assert told

CONFTEST = """
import json, shutil
from pathlib import Path
import pytest

@pytest.fixture(autouse=True, scope="session")
def saved_runs():
    from harness.pytest_plugin import runs

    def make_run(arguments, root):
        with (root / "asked.jsonl").open("a") as asked:
            asked.write(json.dumps(arguments) + "\\n")
        folder = root / arguments[-1]
        shutil.copytree({saved!r}, folder / f"run-{{len(list(folder.iterdir()))}}")
        return runs.Ended(0, "")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runs, "make_run", make_run)
        yield
"""


class Project:
    """A project with tests of its own."""

    def __init__(self, pytester: pytest.Pytester, saved: Path) -> None:
        self._pytester = pytester
        self._saved = saved
        self.path = pytester.path

    def of(self, saved: str, test: str, ini: str = "") -> Project:
        """Its tests, and the run that each of their runs is a copy of."""
        self._pytester.makeconftest(CONFTEST.format(saved=str(self._saved / saved)))
        self._pytester.makepyfile(test_it=f"import pytest\nstorm = pytest.mark.storm\n{test}")
        self._pytester.makeini(f"[pytest]\nasyncio_default_fixture_loop_scope = function\n{ini}")
        return self

    def tested(self, *arguments: str) -> pytest.RunResult:
        """In this process."""
        return self._pytester.runpytest_inprocess("-p", "no:cacheprovider", *arguments)

    def tested_apart(self, *arguments: str) -> pytest.RunResult:
        """In a process of its own, where plugins are loaded as they are for users."""
        return self._pytester.runpytest_subprocess("-p", "no:cacheprovider", *arguments)

    @property
    def runs_made(self) -> int:
        """How many runs were asked for."""
        path = self.path / "asked.jsonl"
        return len(path.read_text(encoding="utf-8").splitlines()) if path.exists() else 0


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("saved")
    for name, make in MAKE.items():
        make(folder / name)
    return folder


@pytest.fixture
def project(pytester: pytest.Pytester, saved: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    return Project(pytester, saved)


def test_figures_and_audit_of_a_run_that_passes_are_asserted_and_the_report_is_named(project: Project) -> None:
    project.of("passing", """
@storm("calm", topology="orchestrated", gates=["completion_ms.p99 < 60 s"])
def test_it(saga_run):
    assert saga_run.audit.valid
    assert 0 < saga_run.p50_ms < saga_run.p99_ms < 60_000
    assert saga_run.report_path.parent.is_dir()
""")  # fmt: skip
    result = project.tested()
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["*sagas under storms*", "pass: *runs?pytest?run-0?report.html"])


def test_tests_that_ask_the_same_share_a_run(project: Project) -> None:
    project.of("passing", """
@storm("calm", seed=1)
class TestIt:
    def test_one(self, saga_run): assert saga_run.verdict == "pass"
    def test_two(self, saga_run): assert saga_run.unresolved == 0
    @storm("calm", seed=2)
    def test_three(self, saga_run): assert saga_run.completed > 0
""")  # fmt: skip
    project.tested().assert_outcomes(passed=3)
    assert project.runs_made == 2


def test_a_failure_shows_what_was_asserted_the_witness_its_journey_and_the_report(project: Project) -> None:
    project.of("failing", """
@storm("calm")
def test_it(saga_run):
    assert saga_run.audit.valid
""")  # fmt: skip
    result = project.tested()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines([
        "*where False = <audit: invalid: 1 x effect-twice, *>.valid",
        "*- sagastorm run synthetic-7 -*",
        "FAIL",
        "witness: saga s-0-10: charge was expected to be done once, it was done 2 times*",
        "* ms  payment charge done",
        "report: *report.html",
        "again:  sagastorm replay *",
    ])  # fmt: skip


def test_a_gate_that_fails_is_a_failure_of_a_test_that_needs_no_argument_for_it(project: Project) -> None:
    project.of("passing", """
@storm("calm", gates=["completion_ms.p99 < 1 ms"])
def test_it():
    raise AssertionError("gates come first")
""")  # fmt: skip
    result = project.tested()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["gate failed: completion_ms.p99 < 1 ms (orchestrated): *", "FAILED *gate failed: completion_ms.p99 *"]
    )
    result.stdout.no_fnmatch_line("*gates come first*")


UNDECIDED = """
@storm("calm", gates=[])
def test_gates(): pass

@storm("calm")
def test_figure(saga_run): assert saga_run.p99_ms < 60_000

@storm("calm")
def test_audit(saga_run): assert saga_run.audit.valid
"""


@pytest.mark.parametrize(
    ("arguments", "ini", "outcome"),
    [
        ((), "", "failed"),
        ((), "sagastorm_inconclusive = skip", "skipped"),
        (("--storm-inconclusive=xfail",), "sagastorm_inconclusive = skip", "xfailed"),
    ],
    ids=["by default", "by the ini file", "by the command line"],
)
def test_what_is_inconclusive_is_never_a_pass(
    project: Project, arguments: tuple[str, ...], ini: str, outcome: str
) -> None:
    result = project.of("undecided", UNDECIDED, ini).tested("-rA", *arguments)
    result.assert_outcomes(**{outcome: 3})
    result.stdout.fnmatch_lines(["*inconclusive: *tables were not collected*"])


def test_what_an_inconclusive_test_becomes_is_one_of_three(project: Project) -> None:
    result = project.of("passing", UNDECIDED, "sagastorm_inconclusive = pass").tested()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*sagastorm_inconclusive must be one of: fail, skip, xfail"])


def test_a_run_that_failed_is_no_skip_where_something_else_is_not_known(project: Project) -> None:
    project.of("failing", """
@storm("calm")
def test_it(saga_run): assert saga_run.recovery_s < 10
""")  # fmt: skip
    result = project.tested("--storm-inconclusive=skip")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*Failed: the run failed: *effect-twice*"])


BAD = """
@storm("calm", rate=-1, colour="red")
def test_one(saga_run): pass

@storm("nonesuch", gates=["completion_ms.p98 < 1 ms"])
def test_two(): pass

@storm("calm")
def test_three(): pass

@storm("calm")
def test_good(saga_run): pass
"""
TOLD = [
    "*test_it.py::test_one: colour: 'red' is not valid; *",
    "*test_it.py::test_one: rate: '-1' is not valid; *",
    "*test_it.py::test_two: storm: 'nonesuch' is not valid; one of: blackout, *",
    "*test_it.py::test_two: gates: gate 1: metric: 'completion_ms.p98' is not valid; *",
    "*test_it.py::test_three: it asks nothing of its run; *",
]


def test_bad_markers_are_refused_all_at_once_before_anything_runs(project: Project) -> None:
    result = project.of("passing", BAD).tested()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: bad @pytest.mark.storm", *TOLD])
    assert project.runs_made == 0


def test_of_what_is_not_selected_nothing_is_asked(project: Project) -> None:
    project.of("passing", BAD).tested("-k", "good").assert_outcomes(passed=1, deselected=3)


def test_a_test_without_a_storm_is_told_to_name_one(project: Project) -> None:
    result = project.of("passing", "def test_it(saga_run): pass\n").tested()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["saga_run needs to be told of a storm: @pytest.mark.storm('default')"])


def test_a_backend_that_nobody_knows_is_refused_and_one_that_is_missing_is_an_error(
    project: Project, pytester: pytest.Pytester
) -> None:
    test = "@storm('calm')\ndef test_it(saga_run): pass\n@storm('calm')\ndef test_again(saga_run): pass\n"
    refused = project.of("passing", test).tested("--storm-backend", "nonesuch")
    assert refused.ret == pytest.ExitCode.USAGE_ERROR
    refused.stderr.fnmatch_lines(["*test_it: backend: 'nonesuch' is not valid; one of: embedded, endpoint, localstack"])

    (pytester.path / "conftest.py").unlink()  # really run, on a backend at a port where nothing listens
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
        missing = project.tested("--storm-backend", "endpoint")
    missing.assert_outcomes(errors=2)
    missing.stdout.fnmatch_lines(["the run was not made: `sagastorm run * --backend endpoint*` ended with 4:"])


def test_workers_of_xdist_share_runs_and_refuse_bad_markers(project: Project) -> None:
    tests = "".join(
        f"@storm('calm', seed={n % 2})\ndef test_{n}(saga_run): assert saga_run.audit.valid\n" for n in range(6)
    )
    result = project.of("passing", tests).tested_apart("-n", "2")
    result.assert_outcomes(passed=6)
    result.stdout.fnmatch_lines(["pass: *runs?pytest?run-?*report.html"])
    assert project.runs_made == 2

    refused = project.of("passing", BAD).tested_apart("-n", "1")
    refused.assert_outcomes(errors=4)
    refused.stdout.fnmatch_lines(TOLD)
    assert project.runs_made == 2


def test_runs_are_kept_where_the_ini_file_says(project: Project) -> None:
    test = "@storm('calm')\ndef test_it(saga_run): assert saga_run.folder.name == 'run-0'\n"
    project.of("passing", test, "sagastorm_runs = storms").tested().assert_outcomes(passed=1)
    assert (project.path / "storms" / "run-0").is_dir()


def test_who_uses_no_storm_imports_nothing_of_it(project: Project, pytester: pytest.Pytester) -> None:
    project.of("passing", """
import sys
@storm("nonesuch")
def test_storm(saga_run): pass
def test_it():
    assert "harness.pytest_plugin.plugin" in sys.modules
    assert [name for name in sys.modules if name.startswith(("harness.", "chaos"))] == [
        "harness.pytest_plugin", "harness.pytest_plugin.plugin"
    ]
    assert not {"aiohttp", "numpy", "typer", "msgspec", "rich", "locust", "aioboto3"} & set(sys.modules)
""")  # fmt: skip
    (pytester.path / "conftest.py").unlink()
    result = project.tested_apart("--strict-markers", "-m", "not storm", "-p", "no:randomly")
    result.assert_outcomes(passed=1, deselected=1)


def test_without_the_plugin_a_project_that_needs_none_is_tested_as_ever(project: Project) -> None:
    project.of("passing", "def test_it(): pass\ndef test_storm(saga_run): pass\n")
    (project.path / "conftest.py").unlink()
    result = project.tested_apart("-p", "no:sagastorm")
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*fixture 'saga_run' not found"])


def test_options_and_marker_are_found_where_users_look(project: Project) -> None:
    helped = project.of("passing", "").tested("--help")
    helped.stdout.fnmatch_lines([
        "sagastorm (sagas under storms):",
        "*--storm-backend=NAME*",
        "*--storm-runs=FOLDER*",
        "*--storm-inconclusive={fail,skip,xfail}*",
        "*sagastorm_inconclusive (string):*",
    ])  # fmt: skip
    project.tested("--markers").stdout.fnmatch_lines(
        ["@pytest.mark.storm(name='default', *): run a saga under this storm *"]
    )
    project.tested("--fixtures").stdout.fnmatch_lines(["saga_run*", "*The run that ``@pytest.mark.storm`` asks for*"])
