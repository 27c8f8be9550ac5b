"""Debian's container registry (the package ``docker-registry``), and what lies in it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.plugins.ports import free_ports
from tests.plugins.processes import stopped, wait_for

_MANIFESTS = (
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
)


@pytest.fixture
def container_registry(tmp_path: Path) -> Iterator[str]:
    """Debian's container registry, empty; its address."""
    program = shutil.which("docker-registry")
    if program is None:
        reason = "docker-registry is not installed (Debian and Ubuntu: apt install docker-registry)"
        if os.environ.get("REQUIRE_SERVICES") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    address = f"127.0.0.1:{free_ports(1)[0]}"
    settings = {
        "version": 0.1,
        "log": {"level": "error", "accesslog": {"disabled": True}},
        "storage": {"filesystem": {"rootdirectory": str(tmp_path / "registry")}},
        "http": {"addr": address},
    }
    file = tmp_path / "registry.yml"
    file.write_text(yaml.safe_dump(settings))
    log = tmp_path / "registry.log"
    with (
        log.open("wb") as out,
        subprocess.Popen([program, "serve", str(file)], stdout=out, stderr=out) as process,
        stopped(process),
    ):
        wait_for(lambda: process.poll() is not None or _answers(address), 60, f"the registry: {log}")
        assert process.poll() is None, log.read_text()
        yield address


def _answers(address: str) -> bool:
    try:
        return bool(urllib.request.urlopen(f"http://{address}/v2/", timeout=10).status == 200)
    except OSError:
        return False


def manifest(address: str, name: str, reference: str) -> dict[str, Any]:
    """What the registry has under a tag or digest."""
    address = f"http://{address}/v2/{name}/manifests/{reference}"
    asked = urllib.request.Request(address, headers={"Accept": ", ".join(_MANIFESTS)})
    found: dict[str, Any] = json.load(urllib.request.urlopen(asked, timeout=60))
    return found
