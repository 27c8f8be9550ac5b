"""How many pods there are, what each is given, when it is restarted and how it goes."""

from __future__ import annotations

from typing import Any

import pytest

from pipeline.topology import BULK, REQUEST_QUEUES, SHADOW
from tests.deploy.reach import matches
from tests.deploy.rendered import Container, Helm, Pod, Rendered

PROBES = ("startupProbe", "readinessProbe", "livenessProbe")
QUEUE = "rabbitmq"


@pytest.fixture(scope="session")
def processes(renderings: list[Rendered]) -> list[Container]:
    """What runs all the time, in every case."""
    return [container for rendered in renderings for container in rendered.processes()]


# -- Probes and resources ------------------------------------------------------------------------------------


def test_every_process_has_all_three_probes(processes: list[Container]) -> None:
    for container in processes:
        wanted = set(PROBES)
        if container.name == "mirror":
            # Models that are there are served while the place that they come from is away.
            wanted.remove("readinessProbe")
        assert set(PROBES) & container.spec.keys() == wanted, container


def test_an_outage_elsewhere_restarts_nobody(processes: list[Container]) -> None:
    # /readyz asks what a process depends on, /healthz only whether it goes on by itself.
    asked = {
        (container.name, probe): container.spec[probe].get("httpGet", {}).get("path", "a connection")
        for container in processes
        for probe in ("startupProbe", "livenessProbe")
    }
    ours = {name: path for name, path in asked.items() if name[0] not in {"model-server", "mlflow"}}
    assert set(ours.values()) == {"/healthz"}
    assert {path for name, path in asked.items() if name not in ours} == {"a connection", "/health"}


def test_who_depends_on_what_is_down_is_not_ready(processes: list[Container]) -> None:
    components = {"catalogue", "relay", "writer", "monitor", "worker", "controller"}
    ready = {
        one.name: one.spec["readinessProbe"]["httpGet"]["path"] for one in processes if one.name in components
    }
    assert ready == dict.fromkeys(components, "/readyz")


def test_every_probe_asks_a_port_that_the_container_has(processes: list[Container]) -> None:
    for container in processes:
        ports = {port["name"] for port in container.spec["ports"]}
        for probe in set(PROBES) & container.spec.keys():
            asked = container.spec[probe]
            how = asked.get("httpGet") or asked["tcpSocket"]
            assert how["port"] in ports, (str(container), probe)


def test_a_process_that_starts_slowly_is_not_killed_for_it(processes: list[Container]) -> None:
    for container in processes:
        probe = container.spec["startupProbe"]
        assert probe["periodSeconds"] * probe["failureThreshold"] >= 60, container


def test_every_container_says_what_it_needs_and_how_much_memory_it_may_take(
    containers: list[Container],
) -> None:
    for container in containers:
        resources = container.spec["resources"]
        assert {"cpu", "memory"} <= resources["requests"].keys(), container
        assert "memory" in resources["limits"], container


def test_resources_are_those_of_the_values(helm: Helm) -> None:
    wanted = {"requests": {"cpu": "3", "memory": "1Gi"}, "limits": {"cpu": "4", "memory": "5Gi"}}
    rendered = helm.case("minimal", {"worker": {"resources": wanted}})
    assert rendered.pod("worker").main().spec["resources"] == wanted


# -- Workers by the length of their queues -------------------------------------------------------------------


def _triggers(scaled: dict[str, Any]) -> dict[str, dict[str, str]]:
    return {
        one["metadata"]["queueName"]: one for one in scaled["spec"]["triggers"] if one["type"] == "rabbitmq"
    }


def test_keda_scales_the_workers_by_the_length_of_the_queues(helm: Helm) -> None:
    rendered = helm.case("keda")
    scaled = rendered.one("ScaledObject", "worker")
    worker = rendered.one("Deployment", "worker")
    target = scaled["spec"]["scaleTargetRef"]
    assert target["name"] == worker["metadata"]["name"]
    assert target.get("kind", "Deployment") == "Deployment"
    # What only compares models takes the time that is left, and starts nobody.
    assert set(_triggers(scaled)) == set(REQUEST_QUEUES) - {SHADOW}
    assert all(one["metadata"]["mode"] == "QueueLength" for one in _triggers(scaled).values())


def test_keda_takes_the_broker_s_address_from_the_secret_that_workers_use(helm: Helm) -> None:
    rendered = helm.case("keda")
    secret = {"name": "vitrine-broker", "key": "url"}
    granted = {one["metadata"]["name"]: one for one in rendered.of("TriggerAuthentication")}
    for scaled in rendered.of("ScaledObject"):
        for trigger in _triggers(scaled).values():
            reference = granted[trigger["authenticationRef"]["name"]]["spec"]["secretTargetRef"]
            assert reference == [{"parameter": "host", **secret}]
    sources = [
        source["secret"]
        for volume in rendered.pod("worker").spec["volumes"]
        for source in volume.get("projected", {}).get("sources", ())
    ]
    assert secret in [{"name": one["name"], "key": item["key"]} for one in sources for item in one["items"]]


@pytest.mark.parametrize("mode", ["keda", "hpa"])
def test_whoever_scales_says_how_many_and_the_deployment_does_not(helm: Helm, mode: str) -> None:
    # An upgrade would else set them back.
    assert "replicas" not in helm.case(mode).one("Deployment", "worker")["spec"]


def test_the_limits_of_scaling_are_those_of_the_values(helm: Helm) -> None:
    limits = {"minReplicas": 3, "maxReplicas": 17, "pollingInterval": 7, "cooldownPeriod": 77}
    values = {"worker": {"autoscaling": {**limits, "queueLengthPerWorker": {"bulk": 321}}}}
    spec = helm.case("keda", values).one("ScaledObject", "worker")["spec"]
    assert (spec["minReplicaCount"], spec["maxReplicaCount"]) == (3, 17)
    assert (spec["pollingInterval"], spec["cooldownPeriod"]) == (7, 77)
    assert _triggers({"spec": spec})[BULK]["metadata"]["value"] == "321"


def test_without_keda_workers_are_scaled_by_their_processors(helm: Helm) -> None:
    rendered = helm.case("hpa")
    assert rendered.of("ScaledObject") == []
    assert rendered.of("TriggerAuthentication") == []
    scaler = rendered.one("HorizontalPodAutoscaler", "worker")
    assert scaler["spec"]["scaleTargetRef"] == {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "name": rendered.one("Deployment", "worker")["metadata"]["name"],
    }
    assert scaler["spec"]["metrics"][0]["resource"]["name"] == "cpu"


def test_by_itself_it_takes_keda_where_the_cluster_has_it(helm: Helm) -> None:
    without, beside = helm.template(), helm.template(api_versions="keda.sh/v1alpha1/ScaledObject")
    scalers = ("ScaledObject", "HorizontalPodAutoscaler")
    kinds = [[kind for kind in scalers if _scales_workers(rendered, kind)] for rendered in (without, beside)]
    assert kinds == [["HorizontalPodAutoscaler"], ["ScaledObject"]]
    for rendered in (without, beside):
        assert "replicas" not in rendered.one("Deployment", "worker")["spec"]


def _scales_workers(rendered: Rendered, kind: str) -> bool:
    worker = rendered.one("Deployment", "worker")["metadata"]["name"]
    return any(one["spec"]["scaleTargetRef"]["name"] == worker for one in rendered.of(kind))


def test_with_no_scaler_there_are_as_many_workers_as_the_values_say(helm: Helm) -> None:
    rendered = helm.case("none", {"worker": {"replicas": 4}})
    assert rendered.one("Deployment", "worker")["spec"]["replicas"] == 4
    assert rendered.of("ScaledObject") == []
    assert rendered.of("HorizontalPodAutoscaler", "worker") == []


def test_the_site_and_the_model_servers_are_scaled_by_their_processors(everything: Rendered) -> None:
    for component in ("catalogue", "model-server"):
        scaler = everything.one("HorizontalPodAutoscaler", component)
        target = everything.one("Deployment", component)
        assert scaler["spec"]["scaleTargetRef"]["name"] == target["metadata"]["name"]
        assert "replicas" not in target["spec"]


def test_whoever_scales_by_hand_is_left_alone(helm: Helm) -> None:
    rendered = helm.case("by-hand")
    named = {one["metadata"]["name"] for one in rendered.of("Deployment") if "replicas" in one["spec"]}
    # Of the controller there is one, and never two.
    assert named == {"vitrine-controller"}
    assert rendered.of("HorizontalPodAutoscaler") == []


def test_no_deployment_has_two_scalers(renderings: list[Rendered]) -> None:
    for rendered in renderings:
        scalers = [*rendered.of("HorizontalPodAutoscaler"), *rendered.of("ScaledObject")]
        targets = [one["spec"]["scaleTargetRef"]["name"] for one in scalers]
        assert len(targets) == len(set(targets)), rendered.name


def test_workers_may_be_told_which_queues_to_drain(helm: Helm) -> None:
    rendered = helm.case("none", {"worker": {"queues": [BULK]}})
    assert rendered.pod("worker").main().environment["VITRINE_QUEUES"] == BULK


# -- How pods go ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("deadline", [1, 5, 25, 600])
@pytest.mark.parametrize("component", ["worker", "writer"])
def test_a_pod_is_killed_only_after_its_own_deadline(helm: Helm, component: str, deadline: int) -> None:
    rendered = helm.case("minimal", {component: {"shutdownDeadlineSeconds": deadline}})
    pod = rendered.pod(component)
    told = float(pod.main().environment["VITRINE_SHUTDOWN_DEADLINE_S"])
    assert told == deadline
    assert pod.spec["terminationGracePeriodSeconds"] >= told + 5


def test_what_serves_goes_on_until_nobody_is_sent_to_it(pods: list[Pod]) -> None:
    serving = [pod for pod in pods if pod.component in {"catalogue", "model-server"}]
    assert serving
    for pod in serving:
        command = pod.main().spec["lifecycle"]["preStop"]["exec"]["command"]
        assert command[0] == "sleep"
        assert 0 < int(command[1]) < pod.spec["terminationGracePeriodSeconds"], pod


def test_an_update_takes_no_pod_away_before_another_serves(pods: list[Pod]) -> None:
    for pod in pods:
        if pod.owner["kind"] != "Deployment":
            continue
        strategy = pod.owner["spec"]["strategy"]
        if pod.component in {"controller", "mlflow"}:
            # Two of them would work against each other.
            assert strategy == {"type": "Recreate"}, pod
        elif "-gpu" not in pod.main().spec["image"]:
            assert strategy["rollingUpdate"]["maxUnavailable"] == 0, pod
            assert strategy["rollingUpdate"]["maxSurge"] != 0, pod


def test_a_disruption_budget_covers_the_pods_of_one_component(renderings: list[Rendered]) -> None:
    for rendered in renderings:
        budgets = rendered.of("PodDisruptionBudget")
        for budget in budgets:
            covered = [pod for pod in rendered.pods if matches(budget["spec"]["selector"], pod.labels)]
            assert len(covered) == 1, (rendered.name, budget["metadata"]["name"])
        components = [one["metadata"]["labels"]["app.kubernetes.io/component"] for one in budgets]
        assert len(set(components)) == len(components), rendered.name


def test_a_component_that_never_has_two_pods_has_no_disruption_budget(renderings: list[Rendered]) -> None:
    # With one there is nothing to spare, and a node could never be emptied.
    for rendered in renderings:
        for budget in rendered.of("PodDisruptionBudget"):
            component = budget["metadata"]["labels"]["app.kubernetes.io/component"]
            assert _most(rendered, component) >= 2, (rendered.name, component)
            assert "minAvailable" not in budget["spec"], (rendered.name, component)


def _most(rendered: Rendered, component: str) -> float:
    """How many pods a component may have."""
    for kind, key in (("ScaledObject", "maxReplicaCount"), ("HorizontalPodAutoscaler", "maxReplicas")):
        for one in rendered.of(kind, component):
            return float(one["spec"][key])
    return float(rendered.one("Deployment", component)["spec"].get("replicas", "inf"))


def test_with_two_pods_a_component_has_its_budget(helm: Helm) -> None:
    one = helm.case("none", {"worker": {"replicas": 1}})
    assert one.of("PodDisruptionBudget", "worker") == []
    two = helm.case("none", {"worker": {"replicas": 2}})
    assert len(two.of("PodDisruptionBudget", "worker")) == 1


def test_replicas_are_spread_over_nodes_and_zones(pods: list[Pod]) -> None:
    places = {"kubernetes.io/hostname", "topology.kubernetes.io/zone"}
    for pod in pods:
        spread = pod.spec.get("topologySpreadConstraints", [])
        assert [one for one in spread if not matches(one["labelSelector"], pod.labels)] == [], pod
        if pod.component in {"catalogue", "relay", "writer", "worker", "model-server"}:
            assert {one["topologyKey"] for one in spread} == places, pod
