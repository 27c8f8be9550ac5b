"""What the chart and its overlays become: calls of helm and kubectl, and where the programs are."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
CHART = HERE / "chart"
RELEASE = "vitrine"

_ENVIRONMENT = ROOT / ".venv-deploy" / "bin"


class MissingToolError(Exception):
    """A program is not installed; the message says how to get it."""


class RenderingError(Exception):
    """helm or kubectl refused; the message is what it said."""


def program(name: str) -> str:
    """Path of a program: of ``make deploy-tools``, else of the search path.

    Raises:
        MissingToolError: it is in neither.
    """
    found = shutil.which(name, path=os.pathsep.join((str(_ENVIRONMENT), os.environ.get("PATH", ""))))
    if found is None:
        raise MissingToolError(f"{name} is not installed: make deploy-tools")
    return found


def cases() -> dict[str, Path]:
    """The values of every case in the chart's ``ci/``, by its name."""
    return {path.name.removesuffix("-values.yaml"): path for path in sorted(CHART.glob("ci/*-values.yaml"))}


def overlays() -> dict[str, Path]:
    """The folder of every overlay, by its name."""
    return {path.parent.name: path.parent for path in sorted(HERE.glob("overlays/*/kustomization.yaml"))}


@dataclass(frozen=True)
class Rendered:
    """What a cluster would be given."""

    name: str
    text: str

    def objects(self) -> list[dict[str, Any]]:
        """Every object in it."""
        return list(objects_of(self.text))


def objects_of(text: str) -> Iterator[dict[str, Any]]:
    """The objects of a stream of YAML documents; empty documents are none."""
    # LibYAML where it is compiled in: ten times as fast.
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return (one for one in yaml.load_all(text, Loader=loader) if one)


def render_case(name: str, kubernetes: str) -> Rendered:
    """``helm template`` with the values of a case, in a namespace that has the case's name.

    Args:
        name: of the case.
        kubernetes: version of the cluster, such as ``1.33``.

    Raises:
        MissingToolError: helm is not installed.
        RenderingError: helm refuses.
    """
    words = ("template", RELEASE, str(CHART), "--namespace", name, "--values", str(cases()[name]))
    return Rendered(name, run("helm", *words, "--kube-version", f"{kubernetes}.0"))


def render_overlay(name: str, kubernetes: str) -> Rendered:
    """``kubectl kustomize``, which has helm render the chart and then patches it.

    Raises:
        MissingToolError: helm or kubectl is not installed.
        RenderingError: either refuses.
    """
    words = ("--enable-helm", "--helm-command", program("helm"), "--helm-kube-version", f"{kubernetes}.0")
    # The chart stands beside the overlays, not in them.
    words = (*words, "--load-restrictor", "LoadRestrictionsNone")
    return Rendered(f"overlay-{name}", run("kubectl", "kustomize", str(overlays()[name]), *words))


def run(name: str, *words: str) -> str:
    """What a program writes.

    Raises:
        MissingToolError: it is not installed.
        RenderingError: it ends with another code than 0.
    """
    done = call(name, *words)
    if done.returncode != 0:
        raise RenderingError(f"{name} {' '.join(words[:2])}: {(done.stderr or done.stdout).strip()}")
    return done.stdout


def call(name: str, *words: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """A program, however it ends.

    Raises:
        MissingToolError: it is not installed.
    """
    command: Sequence[str] = (program(name), *words)
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd)
