"""The chart as it is released."""

from __future__ import annotations

import json
import re
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tests.deploy.monitoring_files import ROOT
from tests.plugins.container_registry import manifest
from tests.plugins.release_checkout import IMAGES, Checkout


@pytest.fixture
def told(tmp_path: Path) -> Path:
    """What ``docker/publish.py`` wrote of the three images of version 7.8.9."""
    folder = tmp_path / "published"
    folder.mkdir()
    for number, name in enumerate(IMAGES, start=1):
        said = {
            "registry": "registry.example.org/team",
            "name": f"registry.example.org/team/vitrine/{name}",
            "version": "7.8.9",
            "revision": "abc",
            "digest": f"sha256:{number:064}",
        }
        (folder / f"{name}.json").write_text(json.dumps(said))
    return folder


def packaged(released: Checkout, told: Path) -> Path:
    to = told.with_name("release")
    done = released.release("chart", "v7.8.9", "--published", str(told), "--to", str(to))
    assert done.returncode == 0, done.stderr
    return to


def test_a_packaged_chart_names_its_own_images_by_digest(
    released: Checkout, told: Path, deploy_tool: Callable[[str], str]
) -> None:
    helm = deploy_tool("helm")
    to = packaged(released, told)
    case = str(ROOT / "deploy" / "k8s" / "chart" / "ci" / "minimal-values.yaml")
    command = [helm, "template", "vitrine", str(to / "vitrine-7.8.9.tgz"), "--values", case]
    rendered = subprocess.run(command, check=True, text=True, capture_output=True, timeout=240).stdout
    ours = set(re.findall(r"image: \"?(\S*vitrine/[^\"\s]+)", rendered))
    assert ours == {
        f"registry.example.org/team/vitrine/{name}@sha256:{number:064}"
        for number, name in enumerate(IMAGES, start=1)
    }
    assert 'app.kubernetes.io/version: "7.8.9"' in rendered


def test_the_packaged_values_keep_every_word_that_explains_them(
    released: Checkout, told: Path, deploy_tool: Callable[[str], str]
) -> None:
    deploy_tool("helm")
    with tarfile.open(packaged(released, told) / "vitrine-7.8.9.tgz") as archive:
        names = archive.getnames()
        file = archive.extractfile("vitrine/values.yaml")
        assert file is not None
        values = file.read().decode()
    before = (ROOT / "deploy" / "k8s" / "chart" / "values.yaml").read_text()
    changed = [
        (old, new) for old, new in zip(before.splitlines(), values.splitlines(), strict=True) if old != new
    ]
    assert len(changed) == 1 + len(IMAGES)
    assert all(old.strip() in {'registry: ""', 'digest: ""'} for old, _ in changed)
    assert not any("/ci/" in name for name in names)


def test_a_values_file_says_the_same_to_a_chart_of_the_checkout(
    released: Checkout, told: Path, deploy_tool: Callable[[str], str]
) -> None:
    deploy_tool("helm")
    images = yaml.safe_load((packaged(released, told) / "images-values.yaml").read_text())["images"]
    assert images == {
        "registry": "registry.example.org/team",
        **{name: {"digest": f"sha256:{number:064}"} for number, name in enumerate(IMAGES, start=1)},
    }


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"revision": "def"}, "the images are not of one revision: abc, def"),
        (
            {"registry": "elsewhere.example.org", "name": "elsewhere.example.org/vitrine/worker"},
            "not of one registry",
        ),
        ({"version": "7.8.8"}, "not of one version"),
        ({"name": "registry.example.org/team/other/worker"}, "is not where the chart looks"),
        ({"digest": "latest"}, "worker.json names no digest"),
    ],
)
def test_images_that_are_no_set_make_no_chart(
    released: Checkout, told: Path, change: dict[str, str], complaint: str
) -> None:
    file = told / "worker.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | change))
    done = released.release(
        "chart", "7.8.9", "--published", str(told), "--to", str(told.with_name("release"))
    )
    assert done.returncode == 1
    assert complaint in done.stderr


def test_an_image_that_was_not_pushed_makes_no_chart(released: Checkout, told: Path) -> None:
    (told / "training.json").unlink()
    done = released.release(
        "chart", "7.8.9", "--published", str(told), "--to", str(told.with_name("release"))
    )
    assert done.returncode == 1
    assert "says nothing of the image training" in done.stderr


def test_the_chart_lies_in_the_registry_by_the_digest_that_is_told(
    released: Checkout, told: Path, container_registry: str, tmp_path: Path, deploy_tool: Callable[[str], str]
) -> None:
    deploy_tool("helm")
    to, output = packaged(released, told), tmp_path / "output"
    words = ("--to", str(to), "--registry", f"{container_registry}/Team", "--output", str(output))
    done = released.release("push-chart", "7.8.9", *words)
    assert done.returncode == 0, done.stderr
    address, _, digest = done.stdout.strip().partition("@")
    assert address == f"oci://{container_registry}/team/charts/vitrine"
    assert output.read_text() == f"chart={address}@{digest}\n"
    lies = manifest(container_registry, "team/charts/vitrine", digest)
    assert lies == manifest(container_registry, "team/charts/vitrine", "7.8.9")
    assert lies["layers"][0]["mediaType"] == "application/vnd.cncf.helm.chart.content.v1.tar+gzip"


def test_a_chart_that_was_not_packaged_is_not_pushed(released: Checkout, tmp_path: Path) -> None:
    done = released.release("push-chart", "7.8.9", "--to", str(tmp_path), "--registry", "127.0.0.1:9")
    assert done.returncode == 1
    assert "make chart-package" in done.stderr
