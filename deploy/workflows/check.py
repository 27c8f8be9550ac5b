"""Check the workflows as ``make workflows`` does: ``python deploy/workflows/check.py [--folder FOLDER]``.

Workflows and dependabot.yml fit GitHub's schemas, which check-jsonschema brings; zizmor, pedantic and without
asking GitHub, finds nothing; yamllint is content; every workflow keeps our own rules (rules.py):
commands of the project are targets of the Makefile, actions are pinned, jobs have no right without need.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import yaml
from rules import faults, targets

ROOT = Path(__file__).resolve().parents[2]
_TOOLS = ROOT / ".venv-deploy" / "bin"
_YAMLLINT = ROOT / "deploy" / "k8s" / "yamllint.yaml"


class MissingToolError(Exception):
    """A program is not installed; the message says how to get it."""


def main() -> int:
    """Returns 1 if anything was found or a program is missing, else 0."""
    parser = argparse.ArgumentParser(description="Check the workflows.")
    parser.add_argument("--folder", type=Path, default=ROOT / ".github", help="workflows/ and dependabot.yml")
    parser.add_argument("--only", choices=STAGES, metavar="STAGE", help=", ".join(STAGES))
    asked = parser.parse_args()
    folder = asked.folder.resolve()
    workflows = sorted((folder / "workflows").glob("*.y*ml"))
    if not workflows:
        sys.stderr.write(f"error: {folder} has no workflows\n")
        return 1
    failed = False
    for name, stage in STAGES.items():
        if asked.only not in {None, name}:
            continue
        began = time.monotonic()
        try:
            found = list(stage(folder, workflows))
        except (MissingToolError, yaml.YAMLError) as error:
            found = [str(error)]
        sys.stdout.write(f"{name:<10}{len(found):>3} faults  {time.monotonic() - began:5.1f} s\n")
        for fault in found:
            sys.stdout.write(f"  {fault}\n")
        failed = failed or bool(found)
    return int(failed)


def rules(_folder: Path, workflows: list[Path]) -> Iterator[str]:
    """Our own rules."""
    known = targets((ROOT / "Makefile").read_text(encoding="utf-8"))
    for path in workflows:
        yield from faults(path, known)


def schema(folder: Path, workflows: list[Path]) -> Iterator[str]:
    """GitHub's schemas."""
    words = ("--no-cache", "--builtin-schema")
    yield from _said("check-jsonschema", *words, "vendor.github-workflows", *map(str, workflows))
    dependabot = folder / "dependabot.yml"
    if dependabot.exists():
        yield from _said("check-jsonschema", *words, "vendor.dependabot", str(dependabot))


def zizmor(folder: Path, workflows: list[Path]) -> Iterator[str]:
    """Known ways to attack a repository through its workflows."""
    config = ROOT / ".github" / "zizmor.yml"
    words = (
        "--offline",
        "--no-progress",
        "--quiet",
        "--pedantic",
        "--color",
        "never",
        "--config",
        str(config),
    )
    # By name: what it finds in a folder depends on what the folder is called.
    dependabot = [path for path in (folder / "dependabot.yml",) if path.exists()]
    yield from _said("zizmor", *words, *map(str, [*workflows, *dependabot]))


def yamllint(folder: Path, _workflows: list[Path]) -> Iterator[str]:
    """The form of YAML that the chart has too."""
    yield from _said("yamllint", "--strict", "--format", "parsable", "-c", str(_YAMLLINT), str(folder))


def _said(name: str, *words: str) -> Iterator[str]:
    program = shutil.which(name, path=str(_TOOLS)) or shutil.which(name)
    if program is None:
        raise MissingToolError(f"{name} is not installed: make deploy-tools")
    # Nothing is asked of GitHub, and no token is looked for.
    environment = {
        key: value for key, value in os.environ.items() if not re.fullmatch(r"G(H|ITHUB)_TOKEN", key)
    }
    done = subprocess.run(
        [program, *words], check=False, capture_output=True, text=True, env=environment, timeout=300
    )
    if done.returncode != 0:
        yield f"{name}: {(done.stdout + done.stderr).strip()}"


STAGES: dict[str, Callable[[Path, list[Path]], Iterator[str]]] = {
    "rules": rules,
    "schema": schema,
    "zizmor": zizmor,
    "yamllint": yamllint,
}


if __name__ == "__main__":
    sys.exit(main())
