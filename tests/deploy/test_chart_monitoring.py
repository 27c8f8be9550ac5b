"""What the chart hands to the Prometheus Operator and to Grafana: the same as ``deploy/monitoring`` has."""

from __future__ import annotations

import json
import re
from typing import Any

import yaml

from tests.deploy.monitoring_files import GRAFANA, MONITORING, RULES
from tests.deploy.reach import matches
from tests.deploy.rendered import Helm, Rendered


def test_rules_are_those_of_the_monitoring(everything: Rendered) -> None:
    docs = "https://docs.example.org/vitrine/"
    wanted = [
        group
        for path in sorted(RULES.glob("*.yml"))
        for group in yaml.safe_load(path.read_text().replace("{{ $externalLabels.vitrine_docs }}", docs))[
            "groups"
        ]
    ]
    (rules,) = [one for one in everything.of("PrometheusRule") if one not in _on_backups(everything)]
    assert rules["spec"]["groups"] == wanted


def _on_backups(rendered: Rendered) -> list[dict[str, Any]]:
    return rendered.of("PrometheusRule", "backup")


def test_dashboards_are_those_of_the_monitoring(everything: Rendered) -> None:
    maps = [one for one in everything.of("ConfigMap") if "grafana_dashboard" in one["metadata"]["labels"]]
    given = {name: json.loads(text) for one in maps for name, text in one["data"].items()}
    assert given == {path.name: json.loads(path.read_text()) for path in GRAFANA.glob("dashboards/*.json")}


def test_the_model_server_has_the_configuration_of_its_metrics(helm: Helm) -> None:
    rendered = helm.case("minimal")
    config = rendered.one("ConfigMap", "model-server")
    wanted = (MONITORING / "tensorflow-serving" / "monitoring.config").read_text()
    assert config["data"]["monitoring.config"].strip() == wanted.strip()
    server = rendered.pod("model-server").main()
    (mounted,) = [mount["mountPath"] for mount in server.spec["volumeMounts"] if mount["name"] == "config"]
    assert f"--monitoring_config_file={mounted}/monitoring.config" in server.words


def test_prometheus_gets_the_job_and_the_services_that_the_rules_name(everything: Rendered) -> None:
    monitor = everything.one("ServiceMonitor")
    scraped = [
        one
        for one in everything.of("Service")
        if matches(monitor["spec"]["selector"], one["metadata"]["labels"])
    ]
    # What is not ready is what one wants to know of most.
    assert all(one["spec"]["publishNotReadyAddresses"] is True for one in scraped)
    found = set()
    for service in scraped:
        ports = {port["name"] for port in service["spec"]["ports"]}
        for endpoint in monitor["spec"]["endpoints"]:
            if endpoint["port"] in ports:
                labels = _relabelled(endpoint["relabelings"], service["metadata"]["labels"])
                found.add((labels["job"], labels["service"], endpoint["path"]))
    services = {"web", "relay", "writer", "monitor", "worker", "controller"}
    assert found == {
        *(("vitrine", service, "/metrics") for service in services),
        ("vitrine", "model-server", "/monitoring/prometheus/metrics"),
    }


def _relabelled(rules: list[dict[str, Any]], labels: dict[str, str]) -> dict[str, str]:
    """What Prometheus makes of the labels of a Service."""
    prefix = "__meta_kubernetes_service_label_"
    known = {prefix + re.sub(r"[^A-Za-z0-9]", "_", key): value for key, value in labels.items()}
    for rule in rules:
        source = ";".join(known.get(name, "") for name in rule.get("sourceLabels", ()))
        if rule.get("action", "replace") == "labeldrop":
            known = {key: value for key, value in known.items() if not re.fullmatch(rule["regex"], key)}
        elif found := re.fullmatch(rule.get("regex", "(.*)"), source):
            known[rule["targetLabel"]] = found.expand(rule.get("replacement", "$1").replace("$1", r"\1"))
    return known


def test_every_process_is_scraped(everything: Rendered) -> None:
    monitor = everything.one("ServiceMonitor")
    scraped = {
        one["metadata"]["labels"]["app.kubernetes.io/component"]
        for one in everything.of("Service")
        if matches(monitor["spec"]["selector"], one["metadata"]["labels"])
    }
    # MLflow tells nothing that a rule asks for.
    assert scraped == {
        pod.component
        for pod in everything.pods
        if pod.owner["kind"] == "Deployment" and pod.component != "mlflow"
    }


def test_what_needs_an_operator_is_made_only_where_it_is_asked_for(helm: Helm) -> None:
    kinds = {one["apiVersion"].partition("/")[0] for one in helm.case("none").objects}
    assert {"keda.sh", "monitoring.coreos.com"} & kinds == set()
    asked = {one["apiVersion"].partition("/")[0] for one in helm.case("all-on").objects}
    assert {"keda.sh", "monitoring.coreos.com"} <= asked
