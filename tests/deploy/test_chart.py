"""What values the chart takes, what it refuses, and what it says of them."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.rendered import CHART, K8S, Helm, RefusedError, Values, own_values

# Maps whose keys are the installer's own, or Kubernetes' to check.
FREE = {
    "affinity",
    "annotations",
    "commonLabels",
    "labels",
    "limits",
    "nodeSelector",
    "podAnnotations",
    "podLabels",
    "podSecurityContext",
    "requests",
    "securityContext",
}


def _levels(values: Values, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every map in the values whose keys are the chart's."""
    yield path
    for key, value in values.items():
        if isinstance(value, dict) and key not in FREE:
            yield from _levels(value, (*path, key))


def _leaves(values: Values, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for key, value in values.items():
        if isinstance(value, dict) and key not in FREE:
            yield from _leaves(value, (*path, key))
        else:
            yield (*path, key)


def _set(values: dict[str, Any], path: tuple[str, ...], value: object) -> None:
    for step in path[:-1]:
        values = values.setdefault(step, {})
    values[path[-1]] = value


def _refused_at(helm: Helm, values: Values) -> set[tuple[str, ...]]:
    """Places of which helm says that they do not fit the schema."""
    with pytest.raises(RefusedError) as refused:
        helm.case("minimal", values)
    places = re.findall(r"- at '([^']*)'", str(refused.value))
    return {tuple(place.split("/")[1:]) for place in places}


def test_a_key_that_there_is_not_is_refused_at_every_level(helm: Helm) -> None:
    levels = set(_levels(own_values()))
    assert len(levels) > 60
    values: dict[str, Any] = {}
    for level in levels:
        _set(values, (*level, "noSuchKey"), 1)
    assert levels - _refused_at(helm, values) == set()


def test_a_misspelt_key_is_named(helm: Helm) -> None:
    with pytest.raises(RefusedError, match="additional properties 'replica' not allowed"):
        helm.case("minimal", {"worker": {"replica": 3}})


def test_a_value_of_another_type_is_refused_everywhere(helm: Helm) -> None:
    values: dict[str, Any] = {}
    leaves = set(_leaves(own_values()))
    for path in leaves:
        _set(values, path, [[]])
    places = _refused_at(helm, values)
    assert {path for path in leaves if not any(place[: len(path)] == path for place in places)} == set()


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"chores": {"worker": {"enabled": True}}}, "chores.worker"),
        ({"chores": {"beat": {"enabled": True}}}, "chores.beat"),
        ({"blobs": {"url": "", "existingClaim": ""}}, "blobs.url"),
        ({"blobs": {"url": "s3://pictures/here", "existingClaim": "pictures"}}, "blobs.existingClaim"),
        ({"models": {"source": {"url": "", "existingClaim": ""}}}, "models.source"),
        ({"mlflow": {"enabled": True, "trackingUri": "https://mlflow.example.org"}}, "mlflow.trackingUri"),
        ({"mlflow": {"enabled": True}}, "mlflow.backend.uri"),
        ({"catalogue": {"ingress": {"enabled": True}}, "site": {"hosts": []}}, "site.hosts"),
        ({"worker": {"autoscaling": {"mode": "magic"}}}, "/worker/autoscaling/mode"),
        ({"worker": {"queues": ["tagging.everything"]}}, "/worker/queues/0"),
        ({"worker": {"autoscaling": {"minReplicas": 5, "maxReplicas": 2}}}, "minReplicas"),
        ({"worker": {"autoscaling": {"mode": "hpa", "minReplicas": 0}}}, "worker.autoscaling.minReplicas"),
        ({"backup": {"enabled": True}}, "backup.to"),
        ({"restore": {"enabled": True}}, "backup.to"),
        ({"backup": {"to": "s3://a/b", "persistentVolumeClaim": "c"}}, "backup.persistentVolumeClaim"),
        ({"backup": {"to": "s3://vitrine/pictures/backups"}}, "blobs.url"),
        ({"backup": {"alert": {"enabled": True}}}, "backup.alert.enabled"),
        ({"backup": {"schedule": "nightly"}}, "/backup/schedule"),
        ({"integrity": {"checksums": "some"}}, "/integrity/checksums"),
        ({"trash": {"days": 0}}, "/trash/days"),
        ({"site": {"convertMemoryBytes": "700Mi"}}, "/site/convertMemoryBytes"),
        ({"images": {"worker": {"tag": "latest"}}}, "/images/worker/tag"),
        ({"images": {"worker": {"digest": "sha256:short"}}}, "/images/worker/digest"),
    ],
)
def test_values_that_make_no_sense_are_refused_by_name(helm: Helm, values: Values, said: str) -> None:
    with pytest.raises(RefusedError, match=re.escape(said)):
        helm.case("minimal", values)


def test_a_cluster_older_than_promised_is_refused(helm: Helm) -> None:
    with pytest.raises(RefusedError, match="kubeVersion"):
        helm.case("minimal", kube_version="1.28.9")
    assert helm.case("minimal", kube_version="1.29.0").objects


def test_the_version_is_that_of_the_project() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    project = (K8S.parents[1] / "pyproject.toml").read_text()
    assert f'\nversion = "{chart["appVersion"]}"\n' in project


def test_every_value_is_used_by_a_template() -> None:
    paths = [path for path in CHART.glob("templates/**/*") if path.is_file()]
    templates = "\n".join(path.read_text() for path in paths)
    # Of some maps a template writes whatever they hold: `toYaml .resources`, `toYaml .probes.startup`.
    used = set(re.findall(r"[.\"]([A-Za-z][A-Za-z0-9]*)", templates))
    whole = set(re.findall(r"toYaml [$.\w]*\.(\w+)", templates))
    unused = [path for path in _leaves(own_values()) if path[-1] not in used and not whole & set(path[-2:])]
    assert unused == []


@pytest.mark.parametrize("script", ["sync.py", "readme.py"])
def test_what_is_written_by_a_script_is_fresh(script: str) -> None:
    done = _run(K8S / script, "--check")
    assert done.returncode == 0, done.stdout + done.stderr


def _run(script: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(script), *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """The scripts with a chart of their own, and the monitoring that it copies."""
    root = tmp_path / "deploy"
    shutil.copytree(CHART, root / "k8s" / "chart")
    shutil.copytree(K8S.parent / "monitoring", root / "monitoring")
    for name in ("sync.py", "readme.py"):
        shutil.copy(K8S / name, root / "k8s" / name)
    return root


def test_a_value_without_a_comment_is_found(copied: Path) -> None:
    values = copied / "k8s" / "chart" / "values.yaml"
    values.write_text(values.read_text().rstrip() + "\nsilent:\n  # -- Heard.\n  loud: 1\n  value: 2\n")
    done = _run(copied / "k8s" / "readme.py", "--check")
    assert done.returncode == 1
    assert "above silent.value" in done.stdout


def test_a_readme_that_does_not_say_what_the_values_say_is_found_and_written(copied: Path) -> None:
    values = copied / "k8s" / "chart" / "values.yaml"
    values.write_text(values.read_text().replace("maxReplicas: 10", "maxReplicas: 4711"))
    stale = _run(copied / "k8s" / "readme.py", "--check")
    assert (stale.returncode, "stale" in stale.stdout) == (1, True)
    assert _run(copied / "k8s" / "readme.py").returncode == 0
    assert "`4711`" in (copied / "k8s" / "chart" / "README.md").read_text()
    assert _run(copied / "k8s" / "readme.py", "--check").returncode == 0


def test_a_copy_that_differs_or_is_left_over_is_found_and_mended(copied: Path) -> None:
    rules = copied / "k8s" / "chart" / "files" / "rules"
    (rules / "alerts.yml").write_text("groups: []\n")
    (rules / "gone.yml").write_text("groups: []\n")
    stale = _run(copied / "k8s" / "sync.py", "--check")
    assert stale.returncode == 1
    assert "alerts.yml" in stale.stdout
    assert "gone.yml" in stale.stdout
    assert _run(copied / "k8s" / "sync.py").returncode == 0
    assert _run(copied / "k8s" / "sync.py", "--check").returncode == 0
