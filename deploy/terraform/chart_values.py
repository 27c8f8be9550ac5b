"""What the chart makes of an environment's ``chart_values``, and whether it fits what was applied."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml
from rehearsal import Rehearsal, instances
from terraforming import ROOT, program

CHART = ROOT / "deploy" / "k8s" / "chart"
EXTERNAL_SECRETS = ROOT / "deploy" / "k8s" / "examples" / "external-secrets.yaml"
NAMESPACE = "vitrine"
_SECRET = frozenset({"password", "url", "token", "secret-key"})
# No part of a release, but of what is tried: it brings an account of its own along.
_RESTORE = ("--set", "restore.enabled=true")
_ROLE = "eks.amazonaws.com/role-arn"


def faults(rehearsal: Rehearsal, environment: str, work: Path) -> list[str]:
    """What does not fit, a sentence each.

    Args:
        rehearsal: with the environment applied.
        environment: its name.
        work: folder for the values.

    Raises:
        MissingToolError: helm is not installed.
    """
    outputs = rehearsal.outputs(environment)
    path = work / f"chart-values-{environment}.yaml"
    path.write_text(outputs["chart_values"], encoding="utf-8")
    for words in (
        ("lint", "--strict", "--quiet", str(CHART), "--values", str(path)),
        ("template", "vitrine", str(CHART), "--namespace", NAMESPACE, "--values", str(path), *_RESTORE),
    ):
        done = subprocess.run((program("helm"), *words), capture_output=True, text=True, check=False)
        if done.returncode:
            return [f"helm {words[0]} with chart_values of {environment}:\n{done.stdout}{done.stderr}"]
    objects = [one for one in yaml.safe_load_all(done.stdout) if one]
    told = {
        secret: (name, rehearsal.secret(environment, name))
        for secret, name in outputs["secret_names"].items()
    }
    state = rehearsal.state(f"envs/{environment}")
    found = [
        *_roles(objects, instances(state, "aws_iam_role")),
        *_buckets(objects, outputs["buckets"]),
        *_images(objects, instances(state, "aws_ecr_repository")),
        *_secrets(objects, told),
        *_state(state, told),
    ]
    return [f"{environment}: {fault}" for fault in found]


def _roles(objects: list[dict[str, Any]], roles: list[dict[str, Any]]) -> Iterator[str]:
    """Each account of the chart is the one that its role trusts, and no role waits for an account in vain."""
    trusts = {role["arn"]: _subject(role) for role in roles}
    annotated = set()
    for account in (one for one in objects if one["kind"] == "ServiceAccount"):
        arn = (account["metadata"].get("annotations") or {}).get(_ROLE)
        if arn is None:
            continue
        name = f"system:serviceaccount:{account['metadata']['namespace']}:{account['metadata']['name']}"
        annotated.add(name)
        if trusts.get(arn) != name:
            yield f"{name} has the role {arn}, which trusts {trusts.get(arn)}"
    ours = f"system:serviceaccount:{NAMESPACE}:"
    waiting = {subject for subject in trusts.values() if subject.startswith(ours)}
    for subject in sorted(waiting - annotated):
        yield f"a role trusts {subject}, which the chart does not make"
    if not annotated:
        yield "no account of the chart has a role"
    made = {one["metadata"]["name"] for one in objects if one["kind"] == "ServiceAccount"}
    for pod in _pods(objects):
        if pod["serviceAccountName"] not in made:
            yield f"a pod runs as {pod['serviceAccountName']}, which nobody makes"


def _subject(role: dict[str, Any]) -> str:
    for statement in json.loads(role["assume_role_policy"])["Statement"]:
        for name, value in statement.get("Condition", {}).get("StringEquals", {}).items():
            if name.endswith(":sub"):
                return str(value if isinstance(value, str) else value[0])
    return ""


def _buckets(objects: list[dict[str, Any]], buckets: dict[str, str]) -> Iterator[str]:
    """What the pods are told of places in S3 is in the buckets that were made."""
    told = {}
    for pod in _pods(objects):
        for container in (*pod.get("initContainers", ()), *pod["containers"]):
            words = [*container.get("command", ()), *container.get("args", ())]
            values = {one["name"]: one.get("value") or "" for one in container.get("env", ())}
            told.update({name: value for name, value in values.items() if value.startswith("s3://")})
            told.update({f"{container['name']} {word}": word for word in words if word.startswith("s3://")})
    places = {urlsplit(url).netloc for url in told.values()}
    for name, url in sorted(told.items()):
        if urlsplit(url).netloc not in buckets.values():
            yield f"{name} is {url}, and there is no such bucket"
    for use, bucket in buckets.items():
        if bucket not in places:
            yield f"no pod is told of the bucket for {use}"


def _images(objects: list[dict[str, Any]], repositories: list[dict[str, Any]]) -> Iterator[str]:
    """Vitrine's own images come from the registry that was made."""
    urls = {repository["repository_url"] for repository in repositories}
    used = set()
    for pod in _pods(objects):
        for container in (*pod.get("initContainers", ()), *pod["containers"]):
            name = container["image"].partition("@")[0].rpartition(":")[0]
            used.add(name)
            if name not in urls and name != "docker.io/tensorflow/serving":
                yield f"{container['name']} runs {container['image']}, which is in none of {sorted(urls)}"
    for url in sorted(urls - used):
        yield f"nothing runs an image of {url}"


def _secrets(objects: list[dict[str, Any]], told: dict[str, tuple[str, dict[str, Any]]]) -> Iterator[str]:
    """Every secret of the pods is one that External Secrets finds, with what it looks for in it."""
    wanted = {(source["name"], item["key"]) for source in _mounted(objects) for item in source["items"]}
    wanted |= {
        (one["valueFrom"]["secretKeyRef"]["name"], one["valueFrom"]["secretKeyRef"]["key"])
        for pod in _pods(objects)
        for container in pod["containers"]
        for one in container.get("env", ())
        if "secretKeyRef" in one.get("valueFrom", {})
    }
    given = {}
    for one in yaml.safe_load_all(EXTERNAL_SECRETS.read_text(encoding="utf-8")):
        if one["kind"] == "ExternalSecret":
            for entry in one["spec"]["data"]:
                given[one["spec"]["target"]["name"], entry["secretKey"]] = entry["remoteRef"]
    for secret, key in sorted(wanted):
        place = given.get((secret, key))
        if place is None:
            yield f"{EXTERNAL_SECRETS.name} does not make {secret} with the key {key}"
        elif secret not in told:
            yield f"Terraform makes no secret for {secret}"
        elif told[secret][0].partition("/")[2] != place["key"].partition("/")[2]:
            yield f"{EXTERNAL_SECRETS.name} has {secret} in {place['key']}, Terraform in {told[secret][0]}"
        elif not told[secret][1].get(place["property"]):
            yield f"{told[secret][0]} has no {place['property']}"


def _mounted(objects: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for pod in _pods(objects):
        for volume in pod.get("volumes", ()):
            for source in volume.get("projected", {}).get("sources", ()):
                if "secret" in source:
                    yield source["secret"]


def _state(state: str, told: dict[str, tuple[str, dict[str, Any]]]) -> Iterator[str]:
    """No password is in the state but the broker's, which Amazon MQ takes in no other way."""
    for secret, (name, values) in told.items():
        for key, value in values.items():
            allowed = key not in _SECRET or (secret, key) == ("vitrine-broker", "password")
            if not allowed and str(value) in state:
                yield f"the {key} of {name} lies in the state"
    database, broker = (urlsplit(told[secret][1]["url"]) for secret in ("vitrine-database", "vitrine-broker"))
    if (database.scheme, database.port, database.query) != ("postgresql", 5432, "sslmode=verify-full"):
        yield f"the address of the database is no such: {database._replace(netloc='…').geturl()}"
    if (broker.scheme, broker.port, broker.path) != ("amqps", 5671, "/"):
        yield f"the address of the broker is no such: {broker._replace(netloc='…').geturl()}"


def _pods(objects: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for one in objects:
        if one["kind"] in {"Deployment", "Job"}:
            yield one["spec"]["template"]["spec"]
        elif one["kind"] == "CronJob":
            yield one["spec"]["jobTemplate"]["spec"]["template"]["spec"]
        elif one["kind"] == "Pod":
            yield one["spec"]
