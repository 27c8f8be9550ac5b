"""Who speaks to whom: the flows that the design needs, and no other."""

from __future__ import annotations

from tests.deploy.reach import Network, Peer, Port
from tests.deploy.rendered import Helm, Rendered

HEALTH, HTTP, GRPC, REST, MLFLOW = 9464, 8000, 8500, 8501, 5000
DATABASE, BROKER, HTTPS = 5432, 5672, 443

# With everything on, S3 for pictures and models, and an MLflow of the chart's own.
OUTSIDE = {
    "catalogue": {DATABASE, BROKER, HTTPS},
    "relay": {DATABASE, BROKER, HTTPS},
    "writer": {DATABASE, BROKER, HTTPS},
    "monitor": {DATABASE, BROKER, HTTPS},
    "worker": {BROKER, HTTPS},
    "worker-interactive": {BROKER, HTTPS},
    "model-server": {HTTPS},
    "controller": {HTTPS},
    "mlflow": {DATABASE, HTTPS},
    "migrate": {DATABASE},
    "backup": {DATABASE, HTTPS},
    "backup-check": {HTTPS},
    "integrity": {DATABASE, HTTPS},
    "trash": {DATABASE},
}
INSIDE = {
    ("worker", "model-server", GRPC),
    ("worker-interactive", "model-server", GRPC),
    # `vitrine doctor` is run there.
    ("monitor", "model-server", GRPC),
    ("monitor", "mlflow", MLFLOW),
    ("controller", "model-server", GRPC),
    ("controller", "catalogue", HTTP),
    ("controller", "mlflow", MLFLOW),
}
PORTS = (HEALTH, HTTP, GRPC, REST, MLFLOW)


def _network(rendered: Rendered) -> tuple[Network, dict[str, Peer]]:
    network = Network.of(rendered)
    return network, {pod.component: network.peer(pod) for pod in rendered.pods}


def test_pods_speak_to_each_other_as_the_design_needs_and_not_otherwise(everything: Rendered) -> None:
    network, peers = _network(everything)
    own = {name: peer for name, peer in peers.items() if name != "test"}
    allowed = {
        (source.name, target.name, port)
        for source in own.values()
        for target in own.values()
        for port in PORTS
        if network.reaches(source, target, Port(port))
    }
    assert allowed == {one for one in INSIDE if one[0] in own}


def test_pods_speak_to_the_world_outside_as_the_design_needs_and_not_otherwise(everything: Rendered) -> None:
    network, peers = _network(everything)
    ports = (DATABASE, BROKER, HTTPS, 22, 25, 80, 6443)
    found = {
        name: {port for port in ports if network.reaches(peer, None, Port(port))}
        for name, peer in peers.items()
        if name != "test"
    }
    assert found == {name: OUTSIDE[name] for name in found}


def test_every_pod_may_ask_for_names(everything: Rendered) -> None:
    network, peers = _network(everything)
    names = Peer("dns", {"k8s-app": "kube-dns"}, {"kubernetes.io/metadata.name": "kube-system"})
    assert all(network.reaches(peer, names, Port(53, "UDP")) for peer in peers.values())
    assert all(network.reaches(peer, names, Port(53)) for peer in peers.values())


def test_a_stranger_reaches_nothing(everything: Rendered) -> None:
    network, peers = _network(everything)
    strangers = (
        None,
        Peer("next door", {"app": "shell"}, {"kubernetes.io/metadata.name": "elsewhere"}),
        Peer("in the same namespace", {"app": "shell"}, network.namespace),
    )
    reached = {
        (stranger.name if stranger else "outside", peer.name, port)
        for stranger in strangers
        for peer in peers.values()
        for port in PORTS
        if network.reaches(stranger, peer, Port(port))
    }
    assert reached == set()


def _reached(network: Network, source: Peer, peers: dict[str, Peer]) -> set[tuple[str, int]]:
    return {
        (peer.name, port)
        for peer in peers.values()
        for port in PORTS
        if network.reaches(source, peer, Port(port))
    }


def _elsewhere(namespace: str) -> Peer:
    return Peer(namespace, {"app": "any"}, {"kubernetes.io/metadata.name": namespace})


def test_people_come_by_the_ingress_controller_and_to_the_site_alone(everything: Rendered) -> None:
    network, peers = _network(everything)
    controller = _elsewhere("ingress-nginx")
    assert _reached(network, controller, peers) == {("catalogue", HTTP)}


def test_prometheus_reaches_metrics_and_nothing_else(everything: Rendered) -> None:
    network, peers = _network(everything)
    prometheus = _elsewhere("monitoring")
    reached = _reached(network, prometheus, peers)
    lasting = {pod.component for pod in everything.pods if pod.owner["kind"] == "Deployment"}
    told = {(name, HEALTH) for name in lasting - {"mlflow", "model-server"}}
    assert reached == told | {("model-server", REST)}


def test_training_reaches_the_registry_that_it_was_let_to(everything: Rendered) -> None:
    network, peers = _network(everything)
    training = Peer("training", {"app": "training"}, network.namespace)
    assert _reached(network, training, peers) == {("mlflow", MLFLOW)}


def test_helm_test_reaches_what_it_asks(everything: Rendered) -> None:
    network, peers = _network(everything)
    assert network.reaches(peers["test"], peers["catalogue"], Port(HTTP))
    assert network.reaches(peers["test"], peers["model-server"], Port(GRPC))
    assert all(network.reaches(peers["test"], None, Port(port)) for port in (DATABASE, BROKER, HTTPS))


def test_an_object_store_at_another_port_is_reached_there_and_not_at_that_of_aws(helm: Helm) -> None:
    network, peers = _network(helm.case("mlflow"))
    for name in ("catalogue", "worker", "model-server", "controller", "mlflow"):
        assert network.reaches(peers[name], None, Port(9000)), name
        assert not network.reaches(peers[name], None, Port(HTTPS)), name


def test_a_registry_elsewhere_is_reached_by_the_controller(helm: Helm) -> None:
    values = {"mlflow": {"trackingUri": "http://mlflow.example.org:5001"}}
    network, peers = _network(helm.case("mlflow-outside", values))
    assert network.reaches(peers["controller"], None, Port(5001))
    assert not network.reaches(peers["worker"], None, Port(5001))


def test_a_database_and_a_broker_in_the_cluster_may_be_all_that_is_reached(helm: Helm) -> None:
    network, peers = _network(helm.case("operators"))
    database = Peer("database", {"cnpg.io/cluster": "vitrine-database"}, network.namespace)
    broker = Peer("broker", {"app.kubernetes.io/name": "vitrine-broker"}, network.namespace)
    for name in ("catalogue", "relay", "writer", "monitor"):
        assert network.reaches(peers[name], database, Port(DATABASE)), name
        assert network.reaches(peers[name], broker, Port(BROKER)), name
        assert not network.reaches(peers[name], None, Port(DATABASE)), name
    assert network.reaches(peers["migrate"], database, Port(DATABASE))
    assert not network.reaches(peers["worker"], database, Port(DATABASE))


def test_a_pod_of_the_release_that_no_policy_names_speaks_to_nobody(everything: Rendered) -> None:
    network, peers = _network(everything)
    kind = {"app.kubernetes.io/component": "something-new"}
    new = Peer("new", {**everything.pod("relay").labels, **kind}, network.namespace, {HTTP: "http"})
    reached = {peer.name for peer in peers.values() if network.reaches(new, peer, Port(HTTP))}
    reaching = {peer.name for peer in peers.values() if network.reaches(peer, new, Port(HTTP))}
    assert (reached, reaching) == (set(), set())
    assert not network.reaches(new, None, Port(DATABASE))
    assert not network.reaches(None, new, Port(HTTP))


def test_policies_leave_pods_of_others_alone(everything: Rendered) -> None:
    network = Network.of(everything)
    database = Peer("database", {"cnpg.io/cluster": "vitrine-database"}, network.namespace)
    assert network.reaches(database, database, Port(DATABASE))
    assert network.reaches(None, database, Port(DATABASE))
    assert network.reaches(database, None, Port(HTTPS))


def test_without_policies_there_are_none(helm: Helm) -> None:
    assert helm.case("no-network-policies").of("NetworkPolicy") == []
