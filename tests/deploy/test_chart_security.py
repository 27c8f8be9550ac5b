"""What a pod of the chart may do, what it runs, and where its secrets are."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from dam.monitoring.doctor.variables import KNOWN
from tests.deploy.rendered import Container, Helm, Pod, Rendered


def test_every_pod_is_as_restricted_as_the_strictest_standard_asks(pods: list[Pod]) -> None:
    for pod in pods:
        assert pod.spec["securityContext"]["runAsNonRoot"] is True, pod
        assert pod.spec["securityContext"]["runAsUser"] >= 10000, pod
        assert pod.spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, pod
        assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.spec.keys(), pod
        kinds = {kind for volume in pod.spec.get("volumes", ()) for kind in volume if kind != "name"}
        assert kinds <= {"emptyDir", "projected", "configMap", "persistentVolumeClaim"}, pod


def test_every_container_is_as_restricted_as_the_strictest_standard_asks(containers: list[Container]) -> None:
    assert len(containers) > 100
    for container in containers:
        context = container.spec["securityContext"]
        assert context["allowPrivilegeEscalation"] is False, container
        assert context["capabilities"] == {"drop": ["ALL"]}, container
        assert context["readOnlyRootFilesystem"] is True, container
        assert context.get("privileged", False) is False, container
        assert context.get("runAsNonRoot", True) is True, container
        assert [port for port in container.spec.get("ports", ()) if "hostPort" in port] == [], container


def test_every_process_can_write_where_programs_expect_it(containers: list[Container]) -> None:
    for container in containers:
        # A test that asks one address writes nothing.
        if "volumeMounts" in container.spec:
            wanted = (
                {"/tmp"} if "tensorflow/serving" in container.spec["image"] else {"/tmp", "/var/lib/vitrine"}
            )
            assert wanted <= _writable(container), container
        else:
            assert container.pod.hook == "test", container


def _writable(container: Container) -> set[str]:
    volumes = {volume["name"]: volume for volume in container.pod.spec["volumes"]}
    return {
        mount["mountPath"]
        for mount in container.spec["volumeMounts"]
        if "emptyDir" in volumes[mount["name"]] and not mount.get("readOnly")
    }


def test_what_a_pod_writes_has_a_limit(pods: list[Pod]) -> None:
    written = [
        (pod, volume) for pod in pods for volume in pod.spec.get("volumes", ()) if "emptyDir" in volume
    ]
    assert written
    assert [one for one in written if not one[1]["emptyDir"].get("sizeLimit")] == []


def test_no_pod_has_a_token_of_kubernetes(renderings: list[Rendered], pods: list[Pod]) -> None:
    assert [pod for pod in pods if pod.spec["automountServiceAccountToken"] is not False] == []
    accounts = [one for rendered in renderings for one in rendered.of("ServiceAccount")]
    assert accounts
    assert [one for one in accounts if one["automountServiceAccountToken"] is not False] == []
    kinds = {one["kind"] for rendered in renderings for one in rendered.objects}
    assert kinds & {"Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"} == set()


def test_every_image_is_pinned(containers: list[Container]) -> None:
    images = {container.spec["image"] for container in containers}
    pinned = re.compile(r".*/[^/:@]+(:[A-Za-z0-9_][\w.-]*|@sha256:[0-9a-f]{64})")
    assert [image for image in images if not pinned.fullmatch(image) or image.endswith(":latest")] == []


@pytest.mark.parametrize("image", ["catalogue", "worker", "training", "modelServer"])
def test_a_digest_wins_over_a_tag(helm: Helm, image: str) -> None:
    digest = f"sha256:{'5e' * 32}"
    rendered = helm.case("all-on", {"images": {image: {"tag": "9.9.9", "digest": digest}}})
    images = {container.spec["image"] for container in rendered.containers()}
    assert [one for one in images if one.endswith(f"@{digest}")]
    assert not [one for one in images if "9.9.9" in one]


def test_a_registry_goes_before_our_images(helm: Helm) -> None:
    rendered = helm.case("minimal", {"images": {"registry": "registry.example.org:5000/pictures"}})
    ours = {one.spec["image"] for one in rendered.containers() if "/vitrine/" in one.spec["image"]}
    assert {one.partition("/vitrine/")[0] for one in ours} == {"registry.example.org:5000/pictures"}
    assert {one.partition("/vitrine/")[2].partition(":")[0] for one in ours} == {
        "catalogue",
        "worker",
        "training",
    }


def test_every_variable_is_one_that_vitrine_reads(containers: list[Container], pods: list[Pod]) -> None:
    ours = {name for one in containers for name in one.environment if name.startswith("VITRINE_")}
    assert {"VITRINE_BLOB_URL", "VITRINE_MODEL_SERVERS", "VITRINE_QUEUES"} <= ours
    assert ours - KNOWN == set()
    # Else Kubernetes adds VITRINE_…_PORT and others for each Service.
    assert [pod for pod in pods if pod.spec["enableServiceLinks"] is not False] == []


def test_no_secret_stands_in_a_variable_or_among_the_words_of_a_command(containers: list[Container]) -> None:
    telling = re.compile(r"(SECRET|PASSWORD|TOKEN|ACCESS_KEY|DATABASE_URL|QUEUE_URL)(_ID)?$")
    credentials = re.compile(r"://[^/\s:@]*:[^/\s@]+@")
    for container in containers:
        values = container.environment
        assert [name for name, value in values.items() if telling.search(name) and value] == [], container
        assert not credentials.search(" ".join((*values.values(), *container.words))), container


def test_only_mlflow_which_reads_no_files_has_secrets_as_variables(containers: list[Container]) -> None:
    given = [
        (container.name, one["name"])
        for container in containers
        for one in container.spec.get("env", ())
        if "valueFrom" in one
    ]
    assert {name for name, _ in given} == {"mlflow"}


def test_a_secret_is_mounted_where_its_variable_says(containers: list[Container]) -> None:
    # What another program reads in its own way: certificates, too.
    files = ("PGSSLROOTCERT", "AWS_CA_BUNDLE")
    found = 0
    for container in containers:
        for name, path in container.environment.items():
            if name in files or (name.endswith("_FILE") and name.startswith(("VITRINE_", "DATABASE_"))):
                found += 1
                assert path in set(_mounted(container)), (str(container), name, path)
    assert found > 100


def _mounted(container: Container) -> Iterator[str]:
    volumes = {volume["name"]: volume for volume in container.pod.spec["volumes"]}
    for mount in container.spec.get("volumeMounts", ()):
        volume = volumes[mount["name"]]
        sources = volume["projected"]["sources"] if "projected" in volume else [volume]
        for source in sources:
            content = source.get("secret") or source.get("configMap") or {}
            for item in content.get("items", ()):
                yield f"{mount['mountPath']}/{item['path']}"
