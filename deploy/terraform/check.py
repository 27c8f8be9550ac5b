"""Check Terraform as ``make terraform`` does: ``python deploy/terraform/check.py [--short]``.

Everything is formatted; every module and root is valid; the modules' own tests pass, with a provider that is
mocked; checkov has nothing to say. Then both environments are applied to moto, planned again (there must be
nothing to do), their values go through the chart, and they are destroyed. Without a real account one can look
no further.

Without Terraform 1.11 or the provider hashicorp/aws it says so and ends with 0; with ``REQUIRE_SERVICES=1``
with 1.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import chart_values
from rehearsal import ENVIRONMENTS, Rehearsal
from stand_in import running
from terraforming import (
    HERE,
    MissingToolError,
    RefusedError,
    Terraform,
    essence,
    folders,
    has_ephemeral_outputs,
    program,
)

_AT_A_TIME = 2


@dataclass
class Stage:
    """What a stage has looked at, and what it found."""

    checked: int = 0
    faults: list[str] = field(default_factory=list)
    skipped: str = ""


def main() -> int:
    """Returns 1 if anything was found, or if a program is missing that has to be there, else 0."""
    parser = argparse.ArgumentParser(description="Check deploy/terraform.")
    parser.add_argument("--short", action="store_true", help="no rehearsal: nothing is applied")
    parser.add_argument("--keep", type=Path, help="folder to work in, which then stays")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="vitrine-terraform-") as temporary:
        work = asked.keep.resolve() if asked.keep else Path(temporary)
        work.mkdir(parents=True, exist_ok=True)
        try:
            found = _check(work, short=asked.short)
        except MissingToolError as error:
            found = [Stage(skipped=str(error))]
    for stage in found:
        for fault in stage.faults:
            _say(f"\n{fault}")
    missing = sorted({stage.skipped for stage in found if stage.skipped})
    for reason in missing:
        _say(f"\nskipped: {reason}")
    required = os.environ.get("REQUIRE_SERVICES") == "1"
    return int(any(stage.faults for stage in found) or (bool(missing) and required))


def _check(work: Path, *, short: bool) -> list[Stage]:
    terraform = Terraform.prepared(work)
    # Asked first: without the provider there is nothing to be said but that.
    terraform.init("modules/bucket")
    _say(f"provider from {terraform.plugins or 'the registry'}; {len(folders())} folders")
    _say(f"{'stage':<10}{'checked':>9}  {'what':<76}{'faults':>7}{'seconds':>9}")
    lanes: list[Callable[[], list[Stage]]] = [lambda: _examine(terraform)]
    if not short:
        # A rehearsal waits for its turn most of the time: beside it the processor has room for the rest.
        lanes.append(lambda: _rehearse(terraform, work))
    with ThreadPoolExecutor(len(lanes)) as pool:
        return [stage for done in [pool.submit(lane) for lane in lanes] for stage in done.result()]


def _stage(name: str, what: str, check: Callable[[], Stage]) -> Stage:
    began = time.monotonic()
    try:
        stage = check()
    except MissingToolError as error:
        stage = Stage(skipped=f"{name}: {error}")
    except RefusedError as error:
        stage = Stage(faults=[str(error)])
    seconds = time.monotonic() - began
    found = "skipped" if stage.skipped else str(len(stage.faults))
    _say(f"{name:<10}{stage.checked:>9}  {what:<76}{found:>7}{seconds:>9.1f}")
    return stage


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _examine(terraform: Terraform) -> list[Stage]:
    return [
        _stage("fmt", "files as terraform fmt writes them", lambda: formatted(terraform)),
        _stage("validate", "modules and roots that are valid", lambda: valid(terraform)),
        _stage("test", "runs of terraform test, the provider mocked", lambda: tested(terraform)),
        _stage("checkov", "checks of resources", checkov),
    ]


def formatted(terraform: Terraform) -> Stage:
    """``terraform fmt`` would change nothing."""
    done = terraform.call(".", "fmt", "-check", "-diff", "-recursive", "-no-color")
    files = [path for end in ("tf", "tfvars", "hcl") for path in terraform.tree.rglob(f"*.{end}")]
    said = f"terraform fmt -recursive:\n{done.stdout}{done.stderr}"
    return Stage(len(files), [said] if done.returncode else [])


def valid(terraform: Terraform) -> Stage:
    """Every folder by itself; one with ephemeral outputs as part of what calls it, for alone it cannot be."""
    asked = [folder for folder in folders() if not has_ephemeral_outputs(folder)]

    def one(folder: str) -> list[str]:
        terraform.init(folder)
        done = terraform.call(folder, "validate", "-no-color")
        return [f"terraform validate in {folder}:\n{essence(done)}"] if done.returncode else []

    return _each(one, asked)


def tested(terraform: Terraform) -> Stage:
    """The tests of every module that has some, and none that has none."""
    modules = [folder for folder in folders() if folder.startswith("modules/")]
    untested = [
        f"{folder} has no tests"
        for folder in modules
        if not has_ephemeral_outputs(folder) and not list((HERE / folder / "tests").glob("*.tftest.hcl"))
    ]
    counted: list[int] = []

    def one(folder: str) -> list[str]:
        done = terraform.call(folder, "test", "-no-color")
        told = re.search(r"(\d+) passed, (\d+) failed", done.stdout)
        counted.append(int(told[1]) if told else 0)
        return [] if done.returncode == 0 else [f"terraform test in {folder}:\n{done.stdout}{done.stderr}"]

    stage = _each(one, [folder for folder in modules if (HERE / folder / "tests").is_dir()])
    return Stage(sum(counted), untested + stage.faults)


def _each(check: Callable[[str], list[str]], names: Sequence[str]) -> Stage:
    with ThreadPoolExecutor(_AT_A_TIME) as pool:
        return Stage(len(names), [fault for faults in pool.map(_told(check), names) for fault in faults])


def _told(check: Callable[[str], list[str]]) -> Callable[[str], list[str]]:
    def telling(name: str) -> list[str]:
        try:
            return check(name)
        except RefusedError as error:
            return [str(error)]

    return telling


def checkov() -> Stage:
    """The roots with all that they call; ``checkov.yaml`` says what need not be looked for, and why."""
    words = ("--config-file", str(HERE / "checkov.yaml"), "--directory", ".", "--output", "json")
    done = subprocess.run((program("checkov"), *words), capture_output=True, text=True, check=False, cwd=HERE)
    try:
        told = json.loads(done.stdout)
        stage = Stage(told["summary"]["passed"] + told["summary"]["failed"])
    except (ValueError, KeyError, TypeError):
        return Stage(0, [f"checkov looked at nothing:\n{done.stdout}{done.stderr}"])
    failed: dict[str, set[str]] = {}
    for one in told["results"]["failed_checks"]:
        said = f"{one['check_id']} {one['check_name']}"
        failed.setdefault(said, set()).add(f"{one['resource']} ({one['file_path'].removeprefix('/')})")
    stage.faults += [f"{said}: {', '.join(sorted(places))}" for said, places in failed.items()]
    return stage


def _rehearse(terraform: Terraform, work: Path) -> list[Stage]:
    """Both environments in moto, step by step; a step that fails is the last."""
    stages: list[Stage] = []
    with running(work / "moto.log") as moto:
        rehearsal = Rehearsal(terraform.apart(), moto, work / "backend.hcl")
        for name, what, check in _steps(rehearsal, work):
            stages.append(_stage(name, what, check))
            if stages[-1].faults or stages[-1].skipped:
                break
    return stages


def _steps(rehearsal: Rehearsal, work: Path) -> Iterator[tuple[str, str, Callable[[], Stage]]]:
    both = tuple(ENVIRONMENTS)

    def values() -> Stage:
        return _each(lambda one: chart_values.faults(rehearsal, one, work), both)

    def state() -> Stage:
        return Stage(rehearsal.make_state_bucket())

    def gone(environment: str) -> int:
        # In staging everything goes; in prod the database has to stay.
        return (rehearsal.destroy if environment == "staging" else rehearsal.database_stays)(environment)

    yield "bucket", "resources of state/, applied and planned again", state
    yield "apply", "resources of staging and prod, applied to moto", lambda: _sum(rehearsal.apply, both)
    yield "again", "resources without a change in the second plan", lambda: _sum(rehearsal.again, both)
    yield "chart", "values of staging and prod in the chart: accounts, buckets, images, secrets", values
    yield "destroy", "resources: all of staging gone, the database of prod refuses", lambda: _sum(gone, both)


def _sum(step: Callable[[str], int], environments: Iterable[str]) -> Stage:
    with ThreadPoolExecutor(_AT_A_TIME) as pool:
        return Stage(sum(pool.map(step, environments)))


if __name__ == "__main__":
    sys.exit(main())
