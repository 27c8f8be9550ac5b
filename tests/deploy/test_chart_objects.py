"""The objects that the chart makes: names, labels, selectors, hooks, and values that reach their place."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from django.core.management import get_commands

from tests.deploy.reach import matches
from tests.deploy.rendered import CHART, Container, Helm, Pod, Rendered, Values, annotations, cases

RECOMMENDED = {"name", "instance", "version", "managed-by", "part-of"}
LONGEST_RELEASE = "a-release-with-a-name-as-long-as-helm-lets-it-be-0053"


def _component(one: dict[str, Any]) -> str:
    return str(one["metadata"]["labels"]["app.kubernetes.io/component"])


def _names(rendered: Rendered) -> list[tuple[str, str]]:
    return [(one["kind"], one["metadata"]["name"]) for one in rendered.objects]


def test_every_object_and_pod_has_the_recommended_labels(renderings: list[Rendered]) -> None:
    wanted = {f"app.kubernetes.io/{label}" for label in RECOMMENDED}
    labelled = [
        (rendered.name, one["kind"], one["metadata"]["name"], labels.keys())
        for rendered in renderings
        for one in rendered.objects
        for labels in (one["metadata"]["labels"], *(pod.labels for pod in rendered.pods if pod.owner is one))
    ]
    assert labelled
    assert [one for one in labelled if not wanted <= one[-1]] == []


def test_every_object_says_where_it_goes(renderings: list[Rendered]) -> None:
    # So that what is rendered for kubectl, or for kustomize, ends in the same place as what helm installs.
    for rendered in renderings:
        assert {one["metadata"].get("namespace") for one in rendered.objects} == {"pictures"}, rendered.name


def test_no_two_objects_have_one_name(renderings: list[Rendered]) -> None:
    for rendered in renderings:
        assert len(set(_names(rendered))) == len(_names(rendered)), rendered.name


@pytest.mark.parametrize("values", [{}, {"fullnameOverride": "n" * 40}, {"nameOverride": "n" * 40}])
def test_names_fit_however_long_that_of_the_release_is(helm: Helm, values: Values) -> None:
    rendered = helm.case("all-on", values, release=LONGEST_RELEASE)
    names = [name for _, name in _names(rendered)]
    assert [one for one in names if not re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", one)] == []
    labels = [value for one in rendered.objects for value in one["metadata"]["labels"].values()]
    assert [value for value in labels if len(value) > 63] == []
    assert len(set(_names(rendered))) == len(names)


@pytest.mark.parametrize("case", ["all-on", "minimal"])
def test_the_same_values_give_the_same_objects(helm: Helm, case: str) -> None:
    words = ("template", "vitrine", str(CHART), "--namespace", "pictures", "--values", str(cases()[case]))
    assert helm.run(*words) == helm.run(*words)


def test_selectors_never_change(helm: Helm) -> None:
    # Kubernetes takes no other selector for a Deployment that is there: an upgrade would end halfway.
    keys = {f"app.kubernetes.io/{key}" for key in ("name", "instance", "component")}
    values = {
        "commonLabels": {"team": "others"},
        "images": {"catalogue": {"tag": "9.9.9"}, "worker": {"tag": "9.9.9"}},
        "worker": {"podLabels": {"zone": "a"}},
    }
    first, then = (
        {one["metadata"]["name"]: one["spec"]["selector"]["matchLabels"] for one in rendered.of("Deployment")}
        for rendered in (helm.case("all-on"), helm.case("all-on", values))
    )
    assert first == then
    assert all(selector.keys() == keys for selector in first.values())


def test_deployments_and_services_select_pods_of_their_component(renderings: list[Rendered]) -> None:
    for rendered in renderings:
        for one in (*rendered.of("Deployment"), *rendered.of("Service")):
            selector = one["spec"]["selector"]
            wanted = selector if one["kind"] == "Service" else selector["matchLabels"]
            found = [pod for pod in rendered.pods if matches({"matchLabels": wanted}, pod.labels)]
            assert [pod.component for pod in found] == [_component(one)], (rendered.name, one["metadata"])


def test_services_name_ports_that_their_pods_have(renderings: list[Rendered]) -> None:
    for rendered in renderings:
        for service in rendered.of("Service"):
            containers = rendered.pod(_component(service)).containers()
            ports = {port["name"] for one in containers for port in one.spec.get("ports", ())}
            assert {port["targetPort"] for port in service["spec"]["ports"]} <= ports


def test_model_servers_are_found_one_by_one_so_that_grpc_balances(helm: Helm) -> None:
    rendered = helm.case("minimal")
    service = rendered.one("Service", "model-server")
    assert service["spec"]["clusterIP"] == "None"
    host, _, port = rendered.pod("worker").main().environment["VITRINE_MODEL_SERVERS"].rpartition(":")
    assert host.split(".")[0] == service["metadata"]["name"]
    assert int(port) in {one["port"] for one in service["spec"]["ports"]}


def test_model_servers_serve_what_the_mirror_brings(helm: Helm) -> None:
    first, mirror, server = helm.case("minimal").pod("model-server").containers()
    assert first.init
    assert "--once" in first.words
    assert not mirror.init
    assert {one.environment["VITRINE_MIRROR_FROM"] for one in (first, mirror)} == {"s3://vitrine/models"}
    for one in (first, mirror, server):
        assert "/models" in {mount["mountPath"] for mount in one.spec["volumeMounts"]}
    config = next(word for word in server.words if word.startswith("--model_config_file="))
    assert config.partition("=")[2] == f"{first.environment['VITRINE_MIRROR_TO']}/models.config"


# -- Hooks ---------------------------------------------------------------------------------------------------


def _needed(pod: Pod) -> set[tuple[str, str]]:
    """What of the cluster a pod has to find: kinds and names."""
    found = {("ServiceAccount", pod.spec["serviceAccountName"])}
    for volume in pod.spec.get("volumes", ()):
        for source in volume.get("projected", {}).get("sources", [volume]):
            if "configMap" in source:
                found.add(("ConfigMap", source["configMap"]["name"]))
            if "secret" in source:
                found.add(("Secret", source["secret"].get("name") or source["secret"]["secretName"]))
        if "persistentVolumeClaim" in volume:
            found.add(("PersistentVolumeClaim", volume["persistentVolumeClaim"]["claimName"]))
    return found


def test_the_migrations_need_nothing_that_comes_after_them(renderings: list[Rendered]) -> None:
    # Else `helm install --wait` would wait for what waits for it.
    for rendered in renderings:
        job = rendered.pod("migrate")
        weights = {
            (one["kind"], one["metadata"]["name"]): int(annotations(one).get("helm.sh/hook-weight", 0))
            for one in rendered.objects
            if annotations(one).get("helm.sh/hook") == job.hook
        }
        own = weights[("Job", job.name)]
        for needed in _needed(job) & set(_names(rendered)):
            assert needed in weights, (rendered.name, needed)
            assert weights[needed] < own, (rendered.name, needed)
        assert [one for one in job.containers() if "envFrom" in one.spec] == []


def test_the_migrations_run_before_anything_else_and_once(helm: Helm) -> None:
    job = helm.case("minimal").one("Job", "migrate")
    assert set(annotations(job)["helm.sh/hook"].split(",")) == {"pre-install", "pre-upgrade"}
    # The log of one that failed is what one looks for.
    assert annotations(job)["helm.sh/hook-delete-policy"] == "before-hook-creation"
    spec = job["spec"]
    assert (spec["parallelism"], spec["completions"]) == (1, 1)
    assert spec["backoffLimit"] <= 6
    assert spec["activeDeadlineSeconds"] >= 600
    assert spec["template"]["spec"]["restartPolicy"] == "Never"


def test_the_migrations_come_before_the_account_of_the_controller(helm: Helm) -> None:
    migrate, account = helm.case("minimal").pod("migrate").containers()
    assert migrate.init
    assert migrate.words == ["vitrine", "migrate"]
    assert account.words[:3] == ["vitrine", "service_account", "controller"]
    # The file is the one that the controller itself shows.
    shown = helm.case("minimal").pod("controller").main().environment["VITRINE_CATALOGUE_TOKEN_FILE"]
    assert account.words[-2:] == ["--use-token-file", shown]


def test_migrations_reach_the_database_past_the_policies_of_the_release_before(helm: Helm) -> None:
    policies = helm.case("minimal").of("NetworkPolicy", "migrate")
    assert policies
    assert all("pre-upgrade" in annotations(one)["helm.sh/hook"] for one in policies)


def test_helm_test_asks_the_site_and_the_doctor(helm: Helm) -> None:
    asking = [pod for pod in helm.case("minimal").pods if pod.hook == "test"]
    said = " ".join(word for pod in asking for word in pod.main().words)
    assert "/readyz" in said
    assert "vitrine doctor" in said
    without = helm.case("minimal", {"tests": {"enabled": False}})
    assert [pod for pod in without.pods if pod.hook == "test"] == []


@pytest.mark.parametrize("case", ["all-on", "none"])
def test_the_first_steps_name_commands_and_objects_that_there_are(helm: Helm, case: str) -> None:
    words = ("install", "vitrine", str(CHART), "--dry-run=client", "--output", "json", "-n", "pictures")
    notes = json.loads(helm.run(*words, "--values", str(cases()[case])))["info"]["notes"]
    commands = set(re.findall(r"(?:-- |`)vitrine ([a-z_]+)", notes))
    assert commands
    assert commands <= get_commands().keys()
    known = {f"{kind.lower()}/{name}" for kind, name in _names(helm.case(case))}
    named = set(re.findall(r"\b(?:deployment|service|job)/[a-z0-9-]+", notes))
    assert {"deployment/vitrine-catalogue", "deployment/vitrine-monitor"} <= named
    assert named <= known


def test_every_vitrine_command_of_a_pod_is_one_that_there_is(containers: list[Container]) -> None:
    commands = {one.words[1] for one in containers if one.words[:1] == ["vitrine"]}
    assert {"migrate", "relay", "write_results", "monitor"} <= commands
    assert commands <= get_commands().keys()


# -- Values that reach their place ---------------------------------------------------------------------------


def test_an_ingress_leads_every_host_to_the_site(helm: Helm) -> None:
    rendered = helm.case("ingress")
    spec = rendered.one("Ingress")["spec"]
    (service,) = [
        one for one in rendered.of("Service", "catalogue") if one["spec"].get("clusterIP") != "None"
    ]
    for rule in spec["rules"]:
        for path in rule["http"]["paths"]:
            assert path["backend"]["service"]["name"] == service["metadata"]["name"]
    hosts = [rule["host"] for rule in spec["rules"]]
    assert hosts == ["pictures.example.org", "archive.example.org"]
    assert {host for one in spec["tls"] for host in one["hosts"]} == set(hosts)
    site = rendered.pod("catalogue").main().environment
    assert set(hosts) <= set(site["VITRINE_ALLOWED_HOSTS"].split(","))
    assert {f"https://{host}" for host in hosts} == set(site["VITRINE_TRUSTED_ORIGINS"].split(","))
    assert site["VITRINE_HTTPS"] == "1"


def test_an_account_that_exists_is_used_and_none_is_made(helm: Helm) -> None:
    rendered = helm.case("existing-service-account")
    assert rendered.of("ServiceAccount") == []
    assert {pod.spec["serviceAccountName"] for pod in rendered.pods} == {"pictures"}


def test_pictures_and_models_may_lie_in_claims(helm: Helm) -> None:
    rendered = helm.case("claims")
    for component in ("catalogue", "worker", "relay"):
        pod = rendered.pod(component)
        assert ("PersistentVolumeClaim", "vitrine-pictures") in _needed(pod)
        assert pod.main().environment["VITRINE_BLOB_URL"] == "file:///blobs"
        assert "/blobs" in {mount["mountPath"] for mount in pod.main().spec["volumeMounts"]}
    for component in ("model-server", "controller"):
        assert ("PersistentVolumeClaim", "vitrine-models") in _needed(rendered.pod(component))
    assert rendered.pod("controller").main().environment["VITRINE_MODELS"] == "/source/tagger"


def test_a_gpu_is_asked_for(helm: Helm) -> None:
    pod = helm.case("gpu").pod("model-server")
    assert pod.main().spec["resources"]["limits"]["nvidia.com/gpu"] == 1
    assert pod.main().spec["resources"]["limits"]["memory"] == "8Gi"
    assert pod.main().spec["image"].endswith(":2.19.1-gpu")
    assert {one["key"] for one in pod.spec["tolerations"]} == {"nvidia.com/gpu"}


def test_what_a_component_is_told_of_nodes_and_pods_reaches_its_pods_alone(helm: Helm) -> None:
    taint = {"key": "pictures", "operator": "Exists"}
    own = {
        "nodeSelector": {"disk": "fast"},
        "tolerations": [taint],
        "priorityClassName": "vitrine-pictures",
        "podAnnotations": {"a": "b"},
        "podLabels": {"c": "d"},
        "extraEnv": [{"name": "VITRINE_LINGER_MS", "value": "50"}],
    }
    rendered = helm.case("minimal", {"worker": own})
    pod = rendered.pod("worker")
    assert pod.spec["nodeSelector"] == {"disk": "fast"}
    assert pod.spec["tolerations"] == [taint]
    assert pod.spec["priorityClassName"] == "vitrine-pictures"
    assert pod.labels["c"] == "d"
    assert pod.owner["spec"]["template"]["metadata"]["annotations"]["a"] == "b"
    assert pod.main().environment["VITRINE_LINGER_MS"] == "50"
    others = [one for one in rendered.pods if one.component != "worker"]
    assert [one for one in others if "nodeSelector" in one.spec or "c" in one.labels] == []


def test_a_changed_configuration_restarts_the_model_servers(helm: Helm) -> None:
    def checksum(values: Values) -> str:
        template = helm.case("minimal", values).one("Deployment", "model-server")["spec"]["template"]
        return str(template["metadata"]["annotations"]["checksum/config"])

    assert checksum({"modelServer": {"batching": {"enabled": True}}}) != checksum({})
