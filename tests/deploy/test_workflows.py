"""The workflows, and the rules that they keep."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tests.deploy.monitoring_files import ROOT

CHECK = ROOT / "deploy" / "workflows" / "check.py"
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yaml"))
_WITHIN_S = 240
HASH = "0123456789abcdef0123456789abcdef01234567"

_SPEC = importlib.util.spec_from_file_location("workflow_rules", CHECK.with_name("rules.py"))
assert _SPEC is not None
assert _SPEC.loader is not None
rules = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(rules)

GOOD = f"""\
name: Good
on:
  push:
permissions: {{}}
concurrency:
  group: good
jobs:
  one:
    name: One
    runs-on: ubuntu-24.04
    timeout-minutes: 5
    steps:
      - uses: actions/checkout@{HASH} # v6.0.2
        with:
          persist-credentials: false
      - run: |
          apt-get update
          make lint
          make test ARGS="tests/pipeline"
"""


def checked(python: str, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [python, str(CHECK), "--folder", str(folder), *words],
        check=False,
        text=True,
        capture_output=True,
        timeout=_WITHIN_S,
    )


def a_folder(tmp_path: Path, workflow: str) -> Path:
    (tmp_path / "workflows").mkdir()
    (tmp_path / "workflows" / "one.yaml").write_text(workflow, encoding="utf-8")
    return tmp_path


def faults(tmp_path: Path, workflow: str) -> list[str]:
    known = rules.targets((ROOT / "Makefile").read_text(encoding="utf-8"))
    found: list[str] = rules.faults(a_folder(tmp_path, workflow) / "workflows" / "one.yaml", known)
    return found


def test_schema_zizmor_yamllint_and_our_rules_find_nothing(deploy_tool: Callable[[str], str]) -> None:
    python = deploy_tool("python")
    for name in ("check-jsonschema", "zizmor", "yamllint"):
        deploy_tool(name)
    done = checked(python, ROOT / ".github")
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.findall(r"^(\w+) +0 faults", done.stdout, re.MULTILINE) == [
        "rules",
        "schema",
        "zizmor",
        "yamllint",
    ]


def test_each_of_the_four_looks_at_the_workflows(tmp_path: Path, deploy_tool: Callable[[str], str]) -> None:
    folder = a_folder(tmp_path, GOOD.replace("make lint", 'make lint ARGS="${{ github.head_ref }}"'))
    (folder / "workflows" / "two.yaml").write_text(GOOD.replace("one:", "one:\n    colour:  blue"))
    done = checked(deploy_tool("python"), folder)
    assert done.returncode == 1
    assert re.findall(r"^(\w+) +[1-9]\d* faults", done.stdout, re.MULTILINE) == [
        "rules",
        "schema",
        "zizmor",
        "yamllint",
    ]
    assert "template-injection" in done.stdout


def test_a_workflow_that_keeps_the_rules_passes(tmp_path: Path) -> None:
    assert faults(tmp_path, GOOD) == []


@pytest.mark.parametrize(
    ("good", "bad", "complaint"),
    [
        ("make lint", "ruff check .", "neither `make TARGET` nor what sets a runner up: ruff check ."),
        ("make lint", "make lint && curl example.org", "neither `make TARGET`"),
        ("make lint", "make lint; id", "neither `make TARGET`"),
        ("make lint", "apt-get install --yes --no-install-recommends git; id", "neither `make TARGET`"),
        ("make lint", 'gh release create "$GITHUB_REF_NAME" $(id)', "neither `make TARGET`"),
        ("make lint", "make polish", "the Makefile has no target polish"),
        ("make lint", "make lint polish", "the Makefile has no target polish"),
        ("make lint", 'make train CONFIG="$CONFIG"', "a variable goes to make in the environment"),
        ("make lint", "make train CONFIG=${{ inputs.config }}", "an expression in a script"),
        ("  push:", "  pull_request_target:", "pull_request_target gives the rights"),
        ("on:\n  push:", "on: [push, workflow_run]", "workflow_run gives the rights"),
        ("permissions: {}", "permissions: write-all", "permissions of all jobs"),
        ("permissions: {}\n", "", "permissions of all jobs"),
        ("permissions: {}", "permissions: {contents: write}", "permissions of all jobs"),
        ("concurrency:\n  group: good\n", "", "no concurrency"),
        ("    timeout-minutes: 5\n", "", "job one: no timeout-minutes"),
        (f"@{HASH} # v6.0.2", "@v6 # v6.0.2", "actions/checkout@v6 is not pinned"),
        (f"@{HASH} # v6.0.2", f"@{HASH[:7]} # v6.0.2", "is not pinned"),
        (" # v6.0.2", "", "has no comment `# v1.2.3`"),
        (" # v6.0.2", " # main", "has no comment `# v1.2.3`"),
        (
            "    timeout-minutes: 5\n",
            "    timeout-minutes: 5\n    container: {image: 'debian:12'}\n",
            "no digest",
        ),
        ("    timeout-minutes: 5\n", "    timeout-minutes: 5\n    container: debian:12\n", "no digest"),
        ("    timeout-minutes: 5\n", "    timeout-minutes: 5\n    secrets: inherit\n", "secrets: inherit"),
    ],
)
def test_a_workflow_that_breaks_a_rule_is_refused(
    tmp_path: Path, good: str, bad: str, complaint: str
) -> None:
    assert good in GOOD
    found = faults(tmp_path, GOOD.replace(good, bad))
    assert all(fault.startswith("one.yaml: ") for fault in found)
    assert complaint in "".join(found)


def test_a_folder_without_workflows_is_no_success(tmp_path: Path) -> None:
    done = checked(sys.executable, tmp_path)
    assert done.returncode == 1
    assert "has no workflows" in done.stderr


def test_the_page_on_releasing_names_targets_and_workflows_that_exist() -> None:
    page = (ROOT / "docs" / "releasing.md").read_text(encoding="utf-8")
    named = set(re.findall(r"(?:^|`)make ([a-z][a-z-]*)", page, re.MULTILINE))
    assert len(named) > 10
    assert named <= rules.targets((ROOT / "Makefile").read_text(encoding="utf-8"))
    assert set(re.findall(r"^\| `(\w+\.yaml)`", page, re.MULTILINE)) == {path.name for path in WORKFLOWS}


def test_only_jobs_that_publish_may_write() -> None:
    writing = {}
    for path in WORKFLOWS:
        for name, job in yaml.safe_load(path.read_text(encoding="utf-8"))["jobs"].items():
            rights = {right for right, level in job.get("permissions", {}).items() if level == "write"}
            if rights:
                writing[f"{path.stem}/{name}"] = rights
    published = {"packages", "id-token", "attestations"}
    assert writing == {
        "images/publish": published,
        "release/images": published,
        "release/release": published | {"contents"},
    }


def test_a_job_that_may_push_images_builds_none() -> None:
    jobs = yaml.safe_load((ROOT / ".github" / "workflows" / "images.yaml").read_text(encoding="utf-8"))[
        "jobs"
    ]
    commands = {name: {step["run"] for step in job["steps"] if "run" in step} for name, job in jobs.items()}
    assert commands["build"] == {"make images", "make image-archive"}
    assert commands["publish"] == {"make publish"}


def test_a_model_becomes_champion_only_where_somebody_agreed() -> None:
    jobs = yaml.safe_load((ROOT / ".github" / "workflows" / "models.yaml").read_text(encoding="utf-8"))[
        "jobs"
    ]
    promoting = [
        name for name, job in jobs.items() if any(s.get("run") == "make promote" for s in job["steps"])
    ]
    assert promoting == ["promote"]
    assert jobs["promote"]["environment"] == "production"
    assert "VITRINE_CATALOGUE_TOKEN" not in str(jobs["train"])


@pytest.mark.parametrize(
    ("target", "variable"),
    [("train", "CONFIG"), ("promote", "VERSION"), ("publish", "IMAGE"), ("release-check", "VERSION")],
)
def test_what_somebody_typed_into_a_form_is_never_a_command(
    tmp_path: Path, target: str, variable: str
) -> None:
    marks = {name: tmp_path / name for name in ("make", "quote", "shell", "dollar")}
    commands = {name: f"touch {path}" for name, path in marks.items()}
    typed = '$(shell {make})`{quote}`"; {shell}; "$({dollar})'.format(**commands)
    stamps = [word for name in (".ready-dev", "bin/python") for word in ("--old-file", f".venv/{name}")]
    done = subprocess.run(
        ["make", *stamps, target],
        check=False,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        cwd=ROOT,
        env={**os.environ, variable: typed, "REGISTRY": "127.0.0.1:9"},
        timeout=_WITHIN_S,
    )
    assert done.returncode != 0
    # It reached the program as it was typed.
    assert commands["make"] in done.stdout
    assert not any(path.exists() for path in marks.values())
