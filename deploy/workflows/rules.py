"""Our own rules for workflows: what neither the schema of GitHub nor zizmor asks for."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

_PINNED = re.compile(r"[\w.-]+/[\w./-]+@[0-9a-f]{40}")
_USES = re.compile(r"uses: (?P<action>\S+)(?P<said>.*)$", re.MULTILINE)
_VERSION = re.compile(r" # v\d+\.\d+\.\d+")
_IMAGE_PINNED = re.compile(r"\S+@sha256:[0-9a-f]{64}")
_MAKE = re.compile(r"make ((?:[a-z][a-z-]*)(?: [a-z][a-z-]*)*)((?: [A-Z_]+=(?:\"[^\"]*\"|\S+))*)")
_TARGET = re.compile(r"^([a-z][a-z-]*):(?!=)", re.MULTILINE)
_FORBIDDEN_EVENTS = {"pull_request_target", "workflow_run"}

SETTING_UP = (
    r"apt-get update",
    r"apt-get install --yes --no-install-recommends [a-z0-9. -]+",
    r'git config --global --add safe\.directory "\$GITHUB_WORKSPACE"',
    r'gh release create "\$GITHUB_REF_NAME" .+',
)
"""What a step may run beside ``make``: what only a runner needs, and nobody at a keyboard."""


def targets(makefile: str) -> set[str]:
    """The targets of a Makefile that are called by name."""
    return set(_TARGET.findall(makefile))


def faults(path: Path, known: set[str]) -> list[str]:
    """What speaks against a workflow.

    Args:
        path: Its file.
        known: Targets of the Makefile.
    """
    text = path.read_text(encoding="utf-8")
    workflow = yaml.safe_load(text)
    found = [*_about_all(workflow), *_about_pins(text)]
    for name, job in workflow["jobs"].items():
        found += [f"job {name}: {fault}" for fault in _about_job(job, known)]
    return [f"{path.name}: {fault}" for fault in found]


def _about_all(workflow: Mapping[str, Any]) -> Iterator[str]:
    # YAML 1.1 reads `on` as a truth value.
    events = workflow.get("on") or dict(workflow)[True]
    named = {events} if isinstance(events, str) else set(events)
    for event in sorted(named & _FORBIDDEN_EVENTS):
        yield f"{event} gives the rights of this repository to what others send"
    if workflow.get("permissions") not in ({}, {"contents": "read"}):
        yield "permissions of all jobs are more than `{}` or `contents: read`: a job asks for its own"
    own = [job for job in workflow["jobs"].values() if "uses" not in job]
    if "concurrency" not in workflow and not all("concurrency" in job for job in own):
        yield "no concurrency: two runs for one branch get into each other's way"


def _about_pins(text: str) -> Iterator[str]:
    for match in _USES.finditer(text):
        if not match["action"].startswith("./") and not _VERSION.fullmatch(match["said"]):
            yield f"{match['action']} has no comment `# v1.2.3` behind it that says which release it is"


def _about_job(job: Mapping[str, Any], known: set[str]) -> Iterator[str]:
    called = job.get("uses")
    if called:
        yield from _about_action(called)
    elif not isinstance(job.get("timeout-minutes"), int):
        yield "no timeout-minutes"
    if job.get("secrets") == "inherit":
        yield "secrets: inherit: a called workflow gets those that it needs, by name"
    containers = [job["container"]] if "container" in job else []
    for container in (*containers, *job.get("services", {}).values()):
        image = container if isinstance(container, str) else container["image"]
        if not _IMAGE_PINNED.fullmatch(image):
            yield f"image {image} has no digest"
    for step in job.get("steps", ()):
        if "uses" in step:
            yield from _about_action(step["uses"])
        for line in _commands(step.get("run", "")):
            yield from _about_command(line, known)


def _about_action(action: str) -> Iterator[str]:
    if not action.startswith("./") and not _PINNED.fullmatch(action):
        yield f"{action} is not pinned by the hash of a commit"


def _commands(script: str) -> list[str]:
    joined = script.replace("\\\n", " ")
    return [re.sub(r"\s+", " ", line).strip() for line in joined.splitlines() if line.strip()]


def _about_command(line: str, known: set[str]) -> Iterator[str]:
    if "${{" in line:
        yield f"an expression in a script, where its value becomes a command: {line}"
        return
    if any(re.fullmatch(pattern, line) for pattern in SETTING_UP) and not re.search(r"[;&|`]|\$\(", line):
        return
    make = _MAKE.fullmatch(line)
    if make is None:
        yield f"neither `make TARGET` nor what sets a runner up: {line}"
        return
    for target in make[1].split():
        if target not in known:
            yield f"the Makefile has no target {target}: {line}"
    # make expands $(…) in variables of its command line before a shell sees them.
    if "$" in make[2]:
        yield f"a variable goes to make in the environment, not in its command line: {line}"
