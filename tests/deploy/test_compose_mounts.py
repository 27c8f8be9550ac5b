"""What ``docker/make-secrets`` makes, and what ``docker/config`` holds, against ``docker/compose.yaml``."""

from __future__ import annotations

import json
import re
import stat
import subprocess
from pathlib import Path

import pytest
import yaml

from dam.embedded.state import ROOT
from tests.plugins.compose_files import DOCKER, Config, Configured
from tests.plugins.prometheus import require_prometheus


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    """What ``make-secrets`` makes."""
    subprocess.run([DOCKER / "make-secrets", tmp_path / "secrets"], check=True, capture_output=True)
    return tmp_path / "secrets"


# ------------------------------------------------------------------------ secrets


def test_the_secrets_that_are_made_are_those_that_are_mounted(configured: Configured, secrets: Path) -> None:
    mounted = configured("core", "training", "monitoring")["secrets"].values()
    assert {Path(secret["file"]).name for secret in mounted} == {path.name for path in secrets.iterdir()}


def test_secrets_are_for_their_owner_alone_and_fit_together(secrets: Path) -> None:
    assert stat.S_IMODE(secrets.stat().st_mode) == 0o700
    said = {path.name: path.read_text().strip() for path in secrets.iterdir()}
    assert said["database-url"] == f"postgresql://vitrine:{said['database-password']}@postgres:5432/vitrine"
    broker = dict(line.split(" = ") for line in said["broker.conf"].splitlines())
    assert said["broker-url"] == (
        f"amqp://{broker['default_user']}:{broker['default_pass']}@rabbitmq:5672/%2F"
    )
    ((identity,),) = json.loads(said["s3.json"]).values()
    assert identity["credentials"] == [
        {"accessKey": said["s3-access-key"], "secretKey": said["s3-secret-key"]}
    ]
    words = [said["database-password"], broker["default_pass"], said["s3-secret-key"], said["secret-key"]]
    words += [said["controller-token"], said["grafana-password"]]
    assert len(set(words)) == len(words)
    assert all(re.fullmatch("[0-9a-f]{64,128}", word) for word in words)


def test_secrets_are_never_made_anew(secrets: Path) -> None:
    before = {path.name: path.read_bytes() for path in secrets.iterdir()}
    again = subprocess.run([DOCKER / "make-secrets", secrets], check=False, capture_output=True, text=True)
    assert again.returncode == 1
    assert "nothing in it was touched" in again.stderr
    assert {path.name: path.read_bytes() for path in secrets.iterdir()} == before
    assert [path.name for path in secrets.parent.iterdir()] == ["secrets"]


def test_git_sees_no_secret() -> None:
    ignored = subprocess.run(
        ["git", "check-ignore", "--quiet", "docker/secrets/database-url"], cwd=ROOT, check=False
    )
    assert ignored.returncode == 0


# --------------------------------------------------------------------- monitoring


def test_prometheus_reads_every_service_under_the_name_that_the_rules_know(
    every_service: dict[str, Config],
) -> None:
    config = yaml.safe_load((DOCKER / "config" / "prometheus.yml").read_text())
    (job,) = config["scrape_configs"]
    assert job["job_name"] == "vitrine"
    static = {each["labels"]["service"]: each["targets"] for each in job["static_configs"]}
    found = [name for each in job["dns_sd_configs"] for name in each["names"]]
    assert {*static, *found} == {
        *("web", "relay", "writer", "monitor", "worker", "controller", "model-server"),
    }
    hosts = {target.partition(":")[0] for targets in static.values() for target in targets}
    assert hosts | set(found) <= set(every_service)


def test_prometheus_accepts_its_configuration_where_compose_mounts_it(
    every_service: dict[str, Config], tmp_path: Path
) -> None:
    require_prometheus()
    for volume in every_service["prometheus"]["volumes"]:
        if volume["type"] == "bind":
            place = tmp_path / Path(volume["target"]).relative_to("/etc/prometheus")
            place.symlink_to(volume["source"])
    done = subprocess.run(
        ["promtool", "check", "config", tmp_path / "prometheus.yml"],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "SUCCESS: 2 rule files found" in done.stdout
