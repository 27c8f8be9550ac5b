"""Check the chart as ``make chart`` does: ``python deploy/k8s/check.py [--short] [--skip-missing]``.

Copies and README are fresh; ``helm lint --strict`` passes with every case; every case and every overlay is
rendered for each of three versions of Kubernetes; every object fits the closed schema of that version;
checkov and yamllint have nothing to say. What was rendered stays in ``build/k8s/``. Without a cluster one can
look no further.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from crds import faults_of, is_custom
from rendering import (
    CHART,
    HERE,
    ROOT,
    MissingToolError,
    Rendered,
    RenderingError,
    call,
    cases,
    objects_of,
    overlays,
    render_case,
    render_overlay,
)

KUBERNETES = ("1.29", "1.33", "1.37")
"""The oldest that Chart.yaml promises, the newest that the schemas know, and one between."""
SHORT_CASES = ("all-on", "minimal")


@dataclass
class Stage:
    """What a stage has looked at, and what it found."""

    checked: int = 0
    faults: list[str] = field(default_factory=list)
    skipped: str = ""
    seconds: float = 0.0


@dataclass(frozen=True)
class Asked:
    """Which part of it all."""

    cases: tuple[str, ...]
    overlays: tuple[str, ...]
    versions: tuple[str, ...]
    to: Path
    """Where what was rendered is kept: ``VERSION/NAME.yaml``."""

    def rendered(self, version: str) -> list[Path]:
        """What a cluster of that version is given."""
        return sorted((self.to / version).glob("*.yaml"))


def main() -> int:
    """Returns 1 if anything was found or a program is missing, else 0."""
    parser = argparse.ArgumentParser(description="Check the chart and its overlays.")
    parser.add_argument("--short", action="store_true", help="two cases, the newest Kubernetes, no overlays")
    parser.add_argument("--skip-missing", action="store_true", help="go on without a program that is missing")
    parser.add_argument("--to", type=Path, default=ROOT / "build" / "k8s", help="folder of what was rendered")
    asked = parser.parse_args()
    to = asked.to.resolve()
    part = (
        Asked(SHORT_CASES, (), KUBERNETES[-1:], to)
        if asked.short
        else Asked(tuple(cases()), tuple(overlays()), KUBERNETES, to)
    )
    for version in KUBERNETES:
        shutil.rmtree(to / version, ignore_errors=True)
    _say(f"Kubernetes {', '.join(part.versions)}; {', '.join((*part.cases, *part.overlays))}")
    _say(f"{'stage':<12}{'checked':>9}  {'what':<72}{'faults':>7}{'seconds':>9}")
    found = [_stage(*one, part) for one in STAGES]
    for stage in found:
        for fault in stage.faults:
            _say(f"\n{fault}")
    missing = sorted({stage.skipped for stage in found if stage.skipped})
    for reason in missing:
        _say(f"\nskipped: {reason}")
    return int(any(stage.faults for stage in found) or (bool(missing) and not asked.skip_missing))


def _stage(name: str, what: str, check: Callable[[Asked], Stage], part: Asked) -> Stage:
    began = time.monotonic()
    try:
        stage = check(part)
    except MissingToolError as error:
        stage = Stage(skipped=f"{name}: {error}")
    stage.seconds = time.monotonic() - began
    found = "skipped" if stage.skipped else str(len(stage.faults))
    _say(f"{name:<12}{stage.checked:>9}  {what:<72}{found:>7}{stage.seconds:>9.1f}")
    return stage


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def copies(_part: Asked) -> Stage:
    """``chart/files`` equals ``deploy/monitoring``."""
    return _script("sync.py", sum(path.is_file() for path in (CHART / "files").rglob("*")))


def readme(_part: Asked) -> Stage:
    """The chart's README is what ``values.yaml`` says."""
    return _script("readme.py", 1)


def _script(name: str, checked: int) -> Stage:
    done = call(sys.executable, str(HERE / name), "--check")
    return Stage(checked, [done.stdout + done.stderr] if done.returncode else [])


def lint(part: Asked) -> Stage:
    """``helm lint --strict`` with the chart's own values and those of every case."""
    stage = Stage()
    for name in part.cases:
        done = call("helm", "lint", "--strict", "--quiet", str(CHART), "--values", str(cases()[name]))
        stage.checked += 1
        if done.returncode:
            stage.faults.append(f"helm lint, case {name}:\n{done.stdout}{done.stderr}")
    return stage


def template(part: Asked) -> Stage:
    """Every case and overlay, rendered for each version into ``build/k8s/VERSION/NAME.yaml``."""
    wanted: list[tuple[str, Callable[[str, str], Rendered], str]] = [
        (version, how, name)
        for version in part.versions
        for how, names in ((render_case, part.cases), (render_overlay, part.overlays))
        for name in names
    ]
    stage = Stage(len(wanted))
    for version, how, name in wanted:
        try:
            rendered = how(name, version)
        except RenderingError as error:
            stage.faults.append(f"{name}, Kubernetes {version}: {error}")
            continue
        folder = part.to / version
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{rendered.name}.yaml").write_text(rendered.text, encoding="utf-8")
    return stage


def schemas(part: Asked) -> Stage:
    """kubernetes-validate, strict, on every object that Kubernetes itself knows; each distinct one once."""
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(lambda version: _validated(part, version), part.versions))
    return Stage(sum(count for count, _ in found), [fault for _, faults in found for fault in faults])


def _validated(part: Asked, version: str) -> tuple[int, list[str]]:
    seen: set[str] = set()
    folder = part.to / version / "distinct"
    folder.mkdir(parents=True, exist_ok=True)
    for path in (*part.rendered(version), *_examples()):
        new = []
        for one in objects_of(path.read_text(encoding="utf-8")):
            key = json.dumps({**one, "metadata": {**one["metadata"], "namespace": ""}}, sort_keys=True)
            if not is_custom(one) and key not in seen:
                seen.add(key)
                new.append(one)
        if new:
            text = yaml.safe_dump_all(new, sort_keys=False)
            (folder / path.name).write_text(text, encoding="utf-8")
    names = [path.name for path in sorted(folder.iterdir())]
    if not names:
        return 0, []
    words = ("--kubernetes-version", version, "--strict", "--quiet", *names)
    done = call("kubernetes-validate", *words, cwd=folder)
    # A kind of which it has no schema is no more than a warning to it.
    said = done.stdout + done.stderr
    shutil.rmtree(folder)
    return len(seen), [f"{said}"] if done.returncode or "WARN" in said else []


def custom(part: Asked) -> Stage:
    """``crds.yaml`` on every object of an operator."""
    stage = Stage()
    rendered = [path for version in part.versions for path in part.rendered(version)]
    for path in (*rendered, *_examples()):
        for one in objects_of(path.read_text(encoding="utf-8")):
            if is_custom(one):
                stage.checked += 1
                stage.faults += [f"{path}: {fault}" for fault in faults_of(one)]
    return stage


def _examples() -> list[Path]:
    return sorted((HERE / "examples").glob("*.yaml"))


def checkov(part: Asked) -> Stage:
    """What the newest version is given; ``checkov.yaml`` says what need not be looked for, and why.

    Pods of ``helm test`` are left out: they end by themselves, and need no probes.
    """
    version = part.versions[-1]
    folder = part.to / version / "lasting"
    folder.mkdir(parents=True, exist_ok=True)
    for path in part.rendered(version):
        lasting = [one for one in objects_of(path.read_text(encoding="utf-8")) if not _is_test(one)]
        (folder / path.name).write_text(yaml.safe_dump_all(lasting, sort_keys=False), encoding="utf-8")
    words = ("--config-file", str(HERE / "checkov.yaml"), "--directory", ".", "--output", "json")
    done = call("checkov", *words, cwd=folder)
    shutil.rmtree(folder)
    try:
        told = json.loads(done.stdout)
        stage = Stage(told["summary"]["passed"] + told["summary"]["failed"])
    except (ValueError, KeyError, TypeError):
        return Stage(0, [f"checkov looked at nothing:\n{done.stdout}{done.stderr}"])
    failed: dict[str, list[str]] = {}
    for one in told["results"]["failed_checks"]:
        said = f"{one['check_id']} {one['check_name']}"
        failed.setdefault(said, []).append(f"{one['resource']} ({one['file_path'].removeprefix('/')})")
    stage.faults += [f"{said}: {', '.join(places)}" for said, places in failed.items()]
    return stage


def _is_test(one: Mapping[str, Any]) -> bool:
    return (one["metadata"].get("annotations") or {}).get("helm.sh/hook") == "test"


def yamllint(part: Asked) -> Stage:
    """What people write, and what the newest version is given."""
    config = HERE / "yamllint.yaml"
    written = [*CHART.glob("*.yaml"), *CHART.glob("ci/*.yaml"), *CHART.glob("files/**/*.yml")]
    written += [*HERE.glob("*.yaml"), *HERE.glob("overlays/**/*.yaml"), *HERE.glob("examples/*.yaml")]
    # Queries of dashboards are as long as they are, and helm ends with an empty line.
    rendered = f"{{extends: {config}, rules: {{line-length: disable, empty-lines: {{max-end: 1}}}}}}"
    stage = Stage()
    for how, paths in (
        (("-c", str(config)), _sorted(written)),
        (("-d", rendered), part.rendered(part.versions[-1])),
    ):
        names = [str(path) for path in paths]
        stage.checked += len(names)
        if names:
            done = call("yamllint", "--strict", "--format", "parsable", *how, *names)
            stage.faults += (done.stdout + done.stderr).splitlines() if done.returncode else []
    return stage


def _sorted(paths: Iterable[Path]) -> list[Path]:
    # An overlay into which helm has once unpacked a chart is nobody's to read.
    return [path for path in sorted(set(paths)) if "charts" not in path.relative_to(HERE).parts]


STAGES: Sequence[tuple[str, str, Callable[[Asked], Stage]]] = (
    ("copies", "files in chart/files are those of deploy/monitoring", copies),
    ("readme", "chart/README.md says what values.yaml says", readme),
    ("lint", "cases with helm lint --strict", lint),
    ("template", "renderings of cases and overlays, for each version of Kubernetes", template),
    ("schemas", "distinct objects with kubernetes-validate --strict", schemas),
    ("custom", "objects of operators (KEDA, Prometheus, …) with crds.yaml", custom),
    ("checkov", "checks of rendered objects", checkov),
    ("yamllint", "files, written and rendered", yamllint),
)


if __name__ == "__main__":
    sys.exit(main())
