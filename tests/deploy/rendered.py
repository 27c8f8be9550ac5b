"""What the chart becomes with given values: the objects that a cluster would be handed."""

from __future__ import annotations

import functools
import json
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

K8S = Path(__file__).resolve().parents[2] / "deploy" / "k8s"
CHART = K8S / "chart"
OVERLAYS = K8S / "overlays"
_WITHIN_S = 120
_COMPONENT = "app.kubernetes.io/component"

Values = Mapping[str, Any]


class RefusedError(Exception):
    """helm did not render; the message is helm's."""


@dataclass(frozen=True)
class Container:
    """One container of one pod."""

    pod: Pod
    spec: dict[str, Any]
    init: bool
    """It ends before the others begin; one that goes on beside them is none."""

    @property
    def name(self) -> str:
        return str(self.spec["name"])

    @property
    def environment(self) -> dict[str, str]:
        """Its variables; those that come from elsewhere are empty."""
        return {one["name"]: one.get("value", "") for one in self.spec.get("env", ())}

    @property
    def words(self) -> list[str]:
        """What it runs, as far as that is not the image's business."""
        return [*self.spec.get("command", ()), *self.spec.get("args", ())]

    def __str__(self) -> str:
        return f"{self.pod} {self.name}"


@dataclass(frozen=True)
class Pod:
    """What a Deployment, a Job, a CronJob or a test makes pods of."""

    rendering: str
    """With which values."""
    owner: dict[str, Any]
    labels: dict[str, str]
    spec: dict[str, Any]

    @property
    def name(self) -> str:
        return str(self.owner["metadata"]["name"])

    def __str__(self) -> str:
        return f"{self.rendering}: {self.name}"

    @property
    def component(self) -> str:
        return self.labels[_COMPONENT]

    @property
    def hook(self) -> str:
        """When helm makes it, if it is a hook."""
        return str(annotations(self.owner).get("helm.sh/hook", ""))

    def containers(self) -> list[Container]:
        """All of them, those that end before the others begin as well."""
        first = self.spec.get("initContainers", [])
        return [
            *(Container(self, one, one.get("restartPolicy") != "Always") for one in first),
            *(Container(self, one, init=False) for one in self.spec["containers"]),
        ]

    def main(self) -> Container:
        """The one that does what the component is for."""
        return Container(self, self.spec["containers"][0], init=False)


@dataclass(frozen=True)
class Rendered:
    """The objects of one rendering."""

    name: str
    """What the values are for."""
    text: str

    @functools.cached_property
    def objects(self) -> list[dict[str, Any]]:
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        return [one for one in yaml.load_all(self.text, Loader=loader) if one]

    def of(self, kind: str, component: str | None = None) -> list[dict[str, Any]]:
        """Objects of a kind, all of them or those of a component."""
        return [
            one
            for one in self.objects
            if one["kind"] == kind
            and component in {None, (one["metadata"].get("labels") or {}).get(_COMPONENT)}
        ]

    def one(self, kind: str, component: str | None = None) -> dict[str, Any]:
        """The only one of its kind."""
        (found,) = self.of(kind, component)
        return found

    @functools.cached_property
    def pods(self) -> list[Pod]:
        return list(self._pods())

    def _pods(self) -> Iterator[Pod]:
        for one in self.objects:
            if one["kind"] == "Pod":
                yield Pod(self.name, one, one["metadata"]["labels"], one["spec"])
            elif one["kind"] in {"Deployment", "Job"}:
                yield self._made_by(one, one["spec"]["template"])
            elif one["kind"] == "CronJob":
                yield self._made_by(one, one["spec"]["jobTemplate"]["spec"]["template"])

    def _made_by(self, owner: dict[str, Any], template: dict[str, Any]) -> Pod:
        return Pod(self.name, owner, template["metadata"]["labels"], template["spec"])

    def pod(self, component: str) -> Pod:
        """The pod of a component."""
        (found,) = [pod for pod in self.pods if pod.component == component]
        return found

    def containers(self) -> list[Container]:
        return [container for pod in self.pods for container in pod.containers()]

    def processes(self) -> list[Container]:
        """What runs all the time."""
        lasting = [pod for pod in self.pods if pod.owner["kind"] == "Deployment"]
        return [container for pod in lasting for container in pod.containers() if not container.init]


@dataclass
class Helm:
    """``helm template`` of the chart; what was rendered once is kept."""

    program: str
    _kept: dict[tuple[str, ...], Rendered] = field(default_factory=dict)

    def case(self, name: str, values: Values | None = None, **options: str) -> Rendered:
        """With the values of a case in the chart's ``ci/``, and others above them."""
        return self.template(values, name=name, files=(cases()[name],), **options)

    def template(
        self,
        values: Values | None = None,
        *,
        name: str = "",
        files: Sequence[Path] = (),
        release: str = "vitrine",
        namespace: str = "pictures",
        **options: str,
    ) -> Rendered:
        """Render.

        Args:
            values: above those of the files.
            name: what to call it.
            files: values, the last one above the others.
            release: its name.
            namespace: of the release.
            options: of helm, with ``_`` for ``-``.

        Raises:
            RefusedError: helm does not.
        """
        words = ["template", release, str(CHART), "--namespace", namespace]
        for path in files:
            words += ["--values", str(path)]
        for option, value in options.items():
            words += [f"--{option.replace('_', '-')}", value]
        given = json.dumps(values or {}, sort_keys=True)
        key = (*words, given)
        if key not in self._kept:
            self._kept[key] = Rendered(name, self.run(*words, "--values", "-", given=given))
        return self._kept[key]

    def run(self, *words: str, given: str = "") -> str:
        """What helm writes.

        Raises:
            RefusedError: it ends with another code than 0.
        """
        done = subprocess.run(
            [self.program, *words],
            input=given,
            capture_output=True,
            text=True,
            timeout=_WITHIN_S,
            check=False,
        )
        if done.returncode != 0:
            raise RefusedError(done.stderr)
        return done.stdout


def cases() -> dict[str, Path]:
    """The chart's ``ci/*-values.yaml`` by the names of the cases."""
    return {path.name.removesuffix("-values.yaml"): path for path in sorted(CHART.glob("ci/*-values.yaml"))}


def annotations(one: Mapping[str, Any]) -> dict[str, str]:
    """Of an object; none: empty."""
    return dict(one["metadata"].get("annotations") or {})


def own_values() -> dict[str, Any]:
    """The chart's ``values.yaml``."""
    return dict(yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8")))


def is_value(values: Values, name: str) -> bool:
    """Whether a name with dots, as in ``helm --set``, leads to one of the values."""
    found: Any = values
    for part in name.split("."):
        if not isinstance(found, dict) or part not in found:
            return False
        found = found[part]
    return True
