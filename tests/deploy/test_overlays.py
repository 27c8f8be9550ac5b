"""What stands around the chart: overlays that kustomize patches, examples for operators, the check of all."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.rendered import K8S, Helm, Pod, Rendered

ENVIRONMENTS = ("dev", "staging", "prod")
_WITHIN_S = 240


@pytest.fixture(scope="session")
def overlays(deploy_tool: Callable[[str], str]) -> dict[str, Rendered]:
    """What ``kubectl kustomize`` makes of each overlay, with helm, as overlays/README.md has it."""
    words = [
        "--enable-helm",
        "--helm-command",
        deploy_tool("helm"),
        "--load-restrictor",
        "LoadRestrictionsNone",
    ]
    made = {}
    for name in ENVIRONMENTS:
        done = subprocess.run(
            [deploy_tool("kubectl"), "kustomize", str(K8S / "overlays" / name), *words],
            capture_output=True,
            text=True,
            timeout=_WITHIN_S,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        made[name] = Rendered(name, done.stdout)
    return made


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_an_overlay_puts_everything_into_its_namespace(overlays: dict[str, Rendered], name: str) -> None:
    objects = [one for one in overlays[name].objects if one["kind"] != "PriorityClass"]
    assert {one["metadata"].get("namespace") for one in objects} == {f"vitrine-{name}"}
    components = {pod.component for pod in overlays[name].pods}
    assert {"catalogue", "relay", "writer", "monitor", "worker", "model-server", "migrate"} <= components
    # Those are helm's to start.
    assert "test" not in components


def test_every_overlay_s_patch_is_in_what_it_makes(overlays: dict[str, Rendered]) -> None:
    dev, staging, prod = (overlays[name] for name in ENVIRONMENTS)
    assert {one["spec"]["revisionHistoryLimit"] for one in dev.of("Deployment")} == {1}
    environments = [one["metadata"]["labels"]["environment"] for one in staging.of("PrometheusRule")]
    assert environments == ["staging", "staging"]
    grows = prod.one("HorizontalPodAutoscaler", "catalogue")["spec"]["behavior"]
    assert grows["scaleUp"]["policies"] == [{"type": "Pods", "value": 1, "periodSeconds": 60}]
    assert grows["scaleDown"]["stabilizationWindowSeconds"] > 0
    patches = {path.parent.parent.name for path in K8S.glob("overlays/*/patches/*.yaml")}
    assert patches == set(ENVIRONMENTS)


def test_every_overlay_is_what_its_name_says(overlays: dict[str, Rendered]) -> None:
    dev, staging, prod = (overlays[name] for name in ENVIRONMENTS)
    assert dev.of("ScaledObject") == []
    assert {one["spec"]["replicas"] for one in dev.of("Deployment")} == {1}
    claims = {one["metadata"]["name"] for one in dev.of("PersistentVolumeClaim")}
    assert {name for pod in dev.pods for name in _claims(pod)} == claims
    for one in (staging, prod):
        assert one.one("ScaledObject")["spec"]["minReplicaCount"] == (0 if one is staging else 2)
        assert one.of("NetworkPolicy")
        assert one.of("PrometheusRule")
        saved = one.pod("backup").main()
        assert _bucket(saved.words[2]) != _bucket(saved.environment["VITRINE_BLOB_URL"])
        assert one.one("PrometheusRule", "backup")
    assert _fewest(prod, "catalogue") > _fewest(staging, "catalogue") > 1
    named = {pod.spec["priorityClassName"] for pod in prod.pods if "priorityClassName" in pod.spec}
    assert named == {one["metadata"]["name"] for one in prod.of("PriorityClass")}


def _claims(pod: Pod) -> set[str]:
    volumes = [one["persistentVolumeClaim"] for one in pod.spec["volumes"] if "persistentVolumeClaim" in one]
    return {one["claimName"] for one in volumes}


def _bucket(url: str) -> str:
    return url.removeprefix("s3://").partition("/")[0]


def _fewest(rendered: Rendered, component: str) -> int:
    return int(rendered.one("HorizontalPodAutoscaler", component)["spec"]["minReplicas"])


# -- Examples ------------------------------------------------------------------------------------------------


def _examples() -> list[dict[str, Any]]:
    paths = sorted((K8S / "examples").glob("*.yaml"))
    return [one for path in paths for one in yaml.safe_load_all(path.read_text())]


def _secrets(rendered: Rendered) -> set[tuple[str, str]]:
    """Names and keys of the Secrets that pods have mounted."""
    sources = [
        source["secret"]
        for pod in rendered.pods
        for volume in pod.spec.get("volumes", ())
        for source in volume.get("projected", {}).get("sources", ())
        if "secret" in source
    ]
    return {(one["name"], item["key"]) for one in sources for item in one["items"]}


def test_the_values_name_the_secrets_that_the_operators_of_the_examples_make(helm: Helm) -> None:
    names = {one["kind"]: one["metadata"]["name"] for one in _examples()}
    made = {
        (f"{names['Cluster']}-app", "uri"),
        (f"{names['RabbitmqCluster']}-default-user", "connection_string"),
    }
    assert made <= _secrets(helm.case("operators"))


def test_the_pods_of_the_examples_are_those_that_the_policies_let_through(helm: Helm) -> None:
    names = {one["kind"]: one["metadata"]["name"] for one in _examples()}
    peers = [
        peer["podSelector"]["matchLabels"]
        for policy in helm.case("operators").of("NetworkPolicy", "relay")
        for rule in policy["spec"]["egress"]
        for peer in rule.get("to", ())
    ]
    # The labels that the operators give to their pods.
    assert {"cnpg.io/cluster": names["Cluster"]} in peers
    assert {"app.kubernetes.io/name": names["RabbitmqCluster"]} in peers


def test_the_example_of_secrets_has_all_that_the_chart_mounts_by_default(helm: Helm) -> None:
    given = {(one["metadata"]["name"], key) for one in _examples() for key in one.get("stringData", ())}
    wanted = _secrets(helm.case("minimal")) | _secrets_in_variables(helm.case("mlflow"))
    assert len(wanted) > 4
    assert wanted <= given


def _secrets_in_variables(rendered: Rendered) -> set[tuple[str, str]]:
    variables = [one for container in rendered.containers() for one in container.spec.get("env", ())]
    references = [one["valueFrom"]["secretKeyRef"] for one in variables if "valueFrom" in one]
    return {(one["name"], one["key"]) for one in references}


def test_a_vault_gives_the_same_keys_as_the_example_of_secrets() -> None:
    given = {(one["metadata"]["name"], key) for one in _examples() for key in one.get("stringData", ())}
    from_vault = {
        (one["spec"]["target"]["name"], entry["secretKey"])
        for one in _examples()
        if one["kind"] == "ExternalSecret"
        for entry in one["spec"]["data"]
    }
    assert from_vault
    assert from_vault <= given


# -- The check of `make chart` -------------------------------------------------------------------------------


def _check(script: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(script), *words],
        capture_output=True,
        text=True,
        timeout=_WITHIN_S,
        check=False,
        env={**os.environ, **environment},
    )


def test_the_short_check_of_the_chart_finds_nothing(
    deploy_tool: Callable[[str], str], tmp_path: Path
) -> None:
    for name in ("helm", "kubernetes-validate", "checkov", "yamllint"):
        deploy_tool(name)
    done = _check(K8S / "check.py", "--short", "--to", str(tmp_path))
    assert done.returncode == 0, done.stdout + done.stderr
    stages = [line.split()[0] for line in done.stdout.splitlines()[2:]]
    assert stages == ["copies", "readme", "lint", "template", "schemas", "custom", "checkov", "yamllint"]


def test_a_rendering_that_does_not_fit_is_told_with_its_place(
    deploy_tool: Callable[[str], str], tmp_path: Path
) -> None:
    deploy_tool("kubernetes-validate")
    sys_path = str(K8S)
    program = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from pathlib import Path\n"
        "from check import Asked, custom, schemas\n"
        "part = Asked((), (), ('1.37',), Path(sys.argv[2]))\n"
        "print('\\n'.join(schemas(part).faults + custom(part).faults))\n"
    )
    folder = tmp_path / "1.37"
    folder.mkdir()
    wrong = [
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"}, "spec": {"prots": []}},
        {
            "apiVersion": "keda.sh/v1alpha1",
            "kind": "ScaledObject",
            "metadata": {"name": "b"},
            "spec": {
                "scaleTargetRef": {"name": "b"},
                "maxReplicas": 3,
                "triggers": [{"type": "cpu", "metadata": {}}],
            },
        },
        {"apiVersion": "example.org/v1", "kind": "Unheard", "metadata": {"name": "c"}, "spec": {}},
    ]
    (folder / "case.yaml").write_text(yaml.safe_dump_all(wrong))
    done = subprocess.run(
        [sys.executable, "-c", program, sys_path, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=_WITHIN_S,
        check=False,
    )
    assert "prots" in done.stdout
    assert "maxReplicas" in done.stdout
    assert "does not know" in done.stdout


def test_a_tool_that_is_missing_is_named_with_the_way_to_get_it(tmp_path: Path) -> None:
    shutil.copytree(K8S, tmp_path / "deploy" / "k8s")
    shutil.copytree(K8S.parent / "monitoring", tmp_path / "deploy" / "monitoring")
    script = tmp_path / "deploy" / "k8s" / "check.py"
    done = _check(script, "--short", PATH=str(tmp_path))
    assert done.returncode == 1
    for name in ("helm", "checkov", "yamllint"):
        assert f"{name} is not installed: make deploy-tools" in done.stdout
    skipping = _check(script, "--short", "--skip-missing", PATH=str(tmp_path))
    assert "skipped: lint: helm is not installed" in skipping.stdout
    assert skipping.returncode == 0, skipping.stdout
