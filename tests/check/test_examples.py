"""The action and the examples of ``docs/ci.md``: valid, and run step by step.

What is not ours in them is stood in for: ``pip`` (it is told of real files), ``gh``, and what runs measure. The gates, the
matrix, the base's work tree and environment, and all files are real.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from ruamel.yaml import YAML

from harness.check.base import HOME_VARIABLE
from harness.cli.check import planned
from tests.check.conftest import Built
from tests.check.made_up import ROOT
from tests.check.repositories import git

ACTION = ROOT / "action.yml"
PAGE = (ROOT / "docs" / "ci.md").read_text(encoding="utf-8")
BASH = ("bash", "--noprofile", "--norc", "-e", "-o", "pipefail", "-c")
"""As GitHub runs a step's ``run``; the other systems stop at the first command that fails as well."""
PIP = """#!/bin/sh
# Every requirement and every project that it is told to install must be there.
echo "$@" >> "$STUBS/pip.log"
shift 3
for given in "$@"; do case "$given" in --*) ;; *) [ -e "$given" ] || exit 9 ;; esac; done
"""
SAGASTORM = f"""#!/bin/sh
PYTHONPATH="{ROOT}" exec "{sys.executable}" -m tests.check.made_up "$@"
"""
GH = f"""#!{sys.executable}
# What the action asks of GitHub's comments: list those that begin with a mark, add one, write one anew.
import json, os, pathlib, re, sys
store = pathlib.Path(os.environ["STUBS"], "comments.json")
comments = json.loads(store.read_text()) if store.exists() else []
words = sys.argv[1:]
assert words.pop(0) == "api" and os.environ["GH_TOKEN"] == "secret"
def after(flag):
    return words[words.index(flag) + 1] if flag in words else None
method = after("--method") or "GET"
if method == "GET":
    assert words[1] == "repos/owner/shop/issues/7/comments"
    mark = re.fullmatch(r'\\.\\[\\] \\| select\\(\\.body \\| startswith\\("(.*)"\\)\\) \\| \\.id', after("--jq"))[1]
    print(*[each["id"] for each in comments if each["body"].startswith(mark)], sep="\\n")
else:
    name, _, file = after("--field").partition("=@")
    assert name == "body"
    body = pathlib.Path(file).read_text()
    if method == "POST":
        assert words[3] == "repos/owner/shop/issues/7/comments"
        comments.append({{"id": 100 + len(comments), "body": body}})
    else:
        [one] = [each for each in comments if words[3] == f"repos/owner/shop/issues/comments/{{each['id']}}"]
        one["body"] = body
    store.write_text(json.dumps(comments))
"""


def fenced(language: str, first: str) -> str:
    """The example of the page whose first line is this."""
    [found] = [code for code in re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL) if code.startswith(first)]
    return str(found)


def parsed(text: str) -> Any:
    return YAML(typ="safe").load(text)


WORKFLOW, GITLAB = fenced("yaml", "# .github/workflows/"), fenced("yaml", "# .gitlab-ci.yml")
SHELL, MATRIX = fenced("sh", "# from a checkout"), fenced("toml", "# gates.toml")


class Job:
    """A fresh clone of a change, as a CI system would make it, and a folder of stubs that comes first on the path."""

    def __init__(self, folder: Path, built: Built) -> None:
        self.stubs = folder / "stubs"
        self.stubs.mkdir()
        for name, content in (("python", PIP), ("sagastorm", SAGASTORM), ("gh", GH)):
            (self.stubs / name).write_text(content, encoding="utf-8")
            (self.stubs / name).chmod(0o755)
        self.tree = folder / "tree"
        git(folder, "clone", "--quiet", "--branch", "topic", str(built.here.root), str(self.tree))
        self.environ = {
            "PATH": f"{self.stubs}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(folder),
            "STUBS": str(self.stubs),
            HOME_VARIABLE: str(built.cache),
            "GITHUB_OUTPUT": str(folder / "output"),
        }

    def run(self, script: str, variables: Mapping[str, str]) -> tuple[int, str]:
        """Exit code and output."""
        done = subprocess.run(
            [*BASH, script], cwd=self.tree, env=self.environ | variables, capture_output=True, text=True, check=False
        )
        return done.returncode, done.stdout + done.stderr


@pytest.fixture
def job(tmp_path: Path, built: Built) -> Job:
    return Job(tmp_path, built)


def filled(text: str, known: Mapping[str, str]) -> str:
    """With the value of every expression, which must be known."""
    return re.sub(r"\$\{\{ *([\w.-]+) *\}\}", lambda found: known[found[1]], text)


@pytest.mark.parametrize(
    ("schema", "document"),
    [
        ("vendor.github-actions", ACTION.read_text(encoding="utf-8")),
        ("vendor.github-workflows", WORKFLOW),
        ("vendor.gitlab-ci", GITLAB),
    ],
    ids=lambda text: text if text.startswith("vendor") else "",
)
def test_what_ci_systems_read_is_valid_by_their_schema(schema: str, document: str, tmp_path: Path) -> None:
    path = tmp_path / "document.yml"
    path.write_text(document, encoding="utf-8")
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_workflow_gives_the_action_nothing_but_inputs_that_it_has() -> None:
    inputs = parsed(ACTION.read_text(encoding="utf-8"))["inputs"]
    [use] = [step for step in parsed(WORKFLOW)["jobs"]["check"]["steps"] if "sagastorm" in step["uses"]]
    assert use["with"].keys() <= inputs.keys()


def test_no_step_has_an_expression_in_its_script_where_a_branch_name_would_be_run_as_code() -> None:
    scripts = [step["run"] for step in parsed(ACTION.read_text(encoding="utf-8"))["runs"]["steps"] if "run" in step]
    assert len(scripts) == 3
    assert not [script for script in scripts if "${{" in script]


def test_the_matrix_of_the_page_is_one_that_can_be_run(
    built: Built, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "gates.toml").write_text(MATRIX, encoding="utf-8")
    monkeypatch.chdir(built.here.root)
    asked = planned(tmp_path / "gates.toml", built.base, None, None, "sagastorm check", built.here.root)
    assert [cell.name for cell in asked.plan.cells] == ["create-order calm", "create-order default"]
    assert (asked.pacing.budget_s, asked.gates.need_base) == (2400.0, True)


def test_the_action_checks_against_a_base_and_tells_the_pull_request_in_one_comment(job: Job, built: Built) -> None:
    action = parsed(ACTION.read_text(encoding="utf-8"))
    given = {"base": built.base, "out": "check", "gates": "gates.toml", "comment": "true"}
    inputs = {name: str(each.get("default", "")) for name, each in action["inputs"].items()} | given
    known = {f"inputs.{name}": value for name, value in inputs.items()} | {
        "inputs.token": "secret", "github.action_path": str(ROOT), "github.repository": "owner/shop",
        "github.event.pull_request.number": "7",
    }  # fmt: skip
    steps = {step["name"]: step for step in action["runs"]["steps"] if "run" in step}
    assert list(steps) == ["Install", "Check", "Comment"]
    for name in (*steps, "Comment"):
        variables = {key: filled(value, known) for key, value in steps[name]["env"].items()}
        code, said = job.run(steps[name]["run"], variables)
        assert code == 0, said
    assert len((job.stubs / "pip.log").read_text(encoding="utf-8").splitlines()) == 2
    assert Path(job.environ["GITHUB_OUTPUT"]).read_text(encoding="utf-8") == "exit-code=0\n"
    [comment] = json.loads((job.stubs / "comments.json").read_bytes())
    assert comment["body"] == (job.tree / "check" / "comment.md").read_text(encoding="utf-8")
    assert "no slower" in comment["body"]


def test_the_gitlab_job_fails_for_a_build_that_is_slower_and_its_report_says_which_gate(job: Job) -> None:
    example = parsed(GITLAB)["resilience"]
    script = "\n".join(example["script"]).replace("--budget 40m", "--repeats 4")
    variables = {"CI_MERGE_REQUEST_TARGET_BRANCH_NAME": "main", "MADE_UP_SLOWER": "1.3"}
    code, said = job.run(script, variables)
    assert code == 1, said
    report = ElementTree.parse(job.tree / example["artifacts"]["reports"]["junit"])
    failed = {case.attrib["name"] for case in report.iter("testcase") if case.find("failure") is not None}
    assert failed == {"no slower"}


def test_the_plain_example_exits_with_what_the_check_found(job: Job) -> None:
    code, said = job.run(SHELL.replace("--budget 40m", "--repeats 4"), {})
    assert (code, said.splitlines()[-1]) == (0, "as resilient as it was"), said
    code, said = job.run(SHELL.replace("origin/main", "no-such"), {})
    assert code == 2, said
