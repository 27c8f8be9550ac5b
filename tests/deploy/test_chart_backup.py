"""Backups, integrity reports and a restore as the chart has them, and whose rights each component has."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.reach import Network, Port
from tests.deploy.rendered import K8S, Container, Helm, Pod, Rendered, Values, annotations

ROLE = "eks.amazonaws.com/role-arn"
DATABASE, HTTPS = 5432, 443
ABOUT_THE_RELEASE = ("helm.sh/chart", "version", "managed-by", "part-of")


def _mounts(container: Container) -> dict[str, bool]:
    """Folders that are no temporary ones, and whether they may be written to."""
    volumes = {one["name"]: one for one in container.pod.spec["volumes"]}
    return {
        one["mountPath"]: not one.get("readOnly", False)
        for one in container.spec["volumeMounts"]
        if "persistentVolumeClaim" in volumes[one["name"]]
    }


def test_a_backup_goes_to_the_bucket_with_what_the_values_ask_for(helm: Helm) -> None:
    rendered = helm.case("backup-bucket")
    place = "s3://vitrine-backups/pictures"
    backup = rendered.pod("backup").main()
    assert backup.words == ["vitrine", "backup", place, "--without-renditions", "--keep", "28"]
    assert backup.environment["VITRINE_BLOB_URL"] == "s3://vitrine/pictures"
    own = {key: value for key, value in backup.environment.items() if key.startswith("VITRINE_BACKUP_S3_")}
    assert own.pop("VITRINE_BACKUP_S3_ENDPOINT") == "https://objects.example.org:9000"
    assert set(own) == {
        f"VITRINE_BACKUP_S3_{name}" for name in ("REGION", "SSE", "ACCESS_KEY_FILE", "SECRET_KEY_FILE")
    }
    assert rendered.pod("integrity").main().words == ["vitrine", "integrity", "--checksums", "all"]
    job = rendered.one("CronJob", "backup")
    assert (job["spec"]["schedule"], job["spec"]["timeZone"]) == ("0 */6 * * *", "Europe/Berlin")


def test_in_claims_only_the_backups_are_written_to(helm: Helm) -> None:
    rendered = helm.case("backup-claim")
    backup, restore = (rendered.pod(name).main() for name in ("backup", "restore"))
    # Without a number, all are kept.
    assert backup.words == ["vitrine", "backup", "/backups"]
    assert _mounts(backup) == {"/blobs": False, "/backups": True}
    assert _mounts(restore) == {"/blobs": True, "/backups": False}
    integrity = helm.case("claims").pod("integrity").main()
    assert _mounts(integrity) == {"/blobs": False}
    assert rendered.of("CronJob", "integrity") == []


def test_the_trash_is_emptied_every_night_after_as_many_days_as_the_site_says(helm: Helm) -> None:
    rendered = helm.case("minimal", {"trash": {"days": 7}})
    trash = rendered.pod("trash").main()
    assert trash.words == ["vitrine", "trash"]
    site = rendered.pod("catalogue").main()
    assert site.environment["VITRINE_TRASH_DAYS"] == trash.environment["VITRINE_TRASH_DAYS"] == "7"
    # Rows alone: their bytes go by the relay.
    assert "DATABASE_URL_FILE" in trash.environment
    assert "VITRINE_BLOB_URL" not in trash.environment
    assert rendered.one("CronJob", "trash")["spec"]["schedule"] == "23 4 * * *"
    assert helm.case("minimal", {"trash": {"enabled": False}}).of("CronJob", "trash") == []


def test_the_newest_backup_is_read_again_with_no_more_than_its_place(helm: Helm) -> None:
    check = helm.case("backup-bucket").pod("backup-check").main()
    assert check.words == ["vitrine", "backups", "s3://vitrine-backups/pictures", "--check"]
    assert "DATABASE_URL_FILE" not in check.environment
    assert helm.case("backup-claim").of("CronJob", "backup-check") == []
    paused = helm.case("backup-bucket", {"backup": {"check": {"suspend": True}}})
    assert [paused.one("CronJob", name)["spec"]["suspend"] for name in ("backup", "backup-check")] == [
        False,
        True,
    ]


def test_names_leave_room_for_what_kubernetes_puts_behind_them(helm: Helm) -> None:
    # Of a CronJob 52 characters are taken, for its jobs get eleven more.
    rendered = helm.case("backup-bucket", {"fullnameOverride": "n" * 60})
    assert [one for one in rendered.of("CronJob") if len(one["metadata"]["name"]) > 52] == []


def test_there_are_never_two_at_once_and_none_goes_on_for_ever(renderings: list[Rendered]) -> None:
    specs = [one["spec"] for rendered in renderings for one in rendered.of("CronJob")]
    assert len(specs) > len(renderings)
    for spec in specs:
        assert spec["concurrencyPolicy"] == "Forbid"
        # Less than 10 s, and the controller may never look in time.
        assert spec["startingDeadlineSeconds"] >= 10
        assert 0 < spec["successfulJobsHistoryLimit"] + spec["failedJobsHistoryLimit"] <= 10
        job = spec["jobTemplate"]["spec"]
        assert job["activeDeadlineSeconds"] > 0
        assert job["template"]["spec"]["restartPolicy"] == "Never"


def test_a_backup_reaches_the_database_and_its_place_and_nothing_else(helm: Helm) -> None:
    # Pictures by 443, backups by the port of their own store.
    for case, reached in (("backup-bucket", {DATABASE, HTTPS, 9000}), ("backup-claim", {DATABASE})):
        rendered = helm.case(case)
        network = Network.of(rendered)
        for component in ("backup", "restore"):
            peer = network.peer(rendered.pod(component))
            asked = (DATABASE, HTTPS, 9000, 5672, 80)
            assert {port for port in asked if network.reaches(peer, None, Port(port))} == reached, (
                case,
                component,
            )
            assert not network.reaches(None, peer, Port(9464))


# -- Restore -------------------------------------------------------------------------------------------------


def _restore(helm: Helm, values: Values) -> list[dict[str, Any]]:
    return [
        one
        for one in helm.template(values, namespace="vitrine").objects
        if one["metadata"]["name"] == "vitrine-restore"
    ]


def test_a_restore_finds_what_the_backup_wrote(helm: Helm) -> None:
    for case in ("backup-bucket", "backup-claim"):
        rendered = helm.case(case)
        backup, restore = (rendered.pod(name).main() for name in ("backup", "restore"))
        assert restore.words[:3] == ["vitrine", "restore", backup.words[2]]
        assert restore.environment == backup.environment
        assert restore.spec["image"] == backup.spec["image"]
    assert helm.case("backup-bucket").pod("restore").main().words[3:] == ["--name", "20261123T162200Z"]
    assert helm.case("all-on").of("Job", "restore") == []


def test_a_restore_needs_no_release_but_what_it_brings_along(helm: Helm) -> None:
    objects = _restore(helm, {"backup": {"to": "s3://b/p"}, "restore": {"enabled": True}})
    assert sorted(one["kind"] for one in objects) == ["Job", "NetworkPolicy", "ServiceAccount"]
    assert {tuple(annotations(one)) for one in objects} == {()}, "it is nobody's hook"
    (job,) = [one for one in objects if one["kind"] == "Job"]
    spec = job["spec"]["template"]["spec"]
    assert spec["serviceAccountName"] == "vitrine-restore"
    sources = [
        source for volume in spec["volumes"] for source in volume.get("projected", {}).get("sources", ())
    ]
    assert [set(source) for source in sources] == [{"secret"}]


def _without_the_release(one: Any) -> Any:
    if isinstance(one, dict):
        return {
            key: _without_the_release(value)
            for key, value in one.items()
            if key.removeprefix("app.kubernetes.io/") not in ABOUT_THE_RELEASE
        }
    return [_without_the_release(value) for value in one] if isinstance(one, list) else one


def test_the_example_of_a_restore_is_what_the_chart_makes(helm: Helm) -> None:
    made = _restore(helm, {"backup": {"to": "s3://vitrine-backups/vitrine"}, "restore": {"enabled": True}})
    example = list(yaml.safe_load_all((K8S / "examples" / "restore.yaml").read_text()))
    by_kind = {one["kind"]: _without_the_release(one) for one in made}
    assert {one["kind"]: one for one in example} == by_kind


# -- Accounts ------------------------------------------------------------------------------------------------


def _accounts(rendered: Rendered) -> dict[str, dict[str, str]]:
    return {one["metadata"]["name"]: annotations(one) for one in rendered.of("ServiceAccount")}


def _used(pods: list[Pod]) -> dict[str, str]:
    return {pod.component: pod.spec["serviceAccountName"] for pod in pods}


def test_each_component_has_an_account_with_its_own_role(helm: Helm) -> None:
    rendered = helm.case("accounts")
    assert _used(rendered.pods) == {
        **dict.fromkeys(("catalogue", "relay", "writer", "monitor", "trash", "test"), "vitrine-catalogue"),
        **dict.fromkeys(("worker", "worker-interactive"), "vitrine-worker"),
        **dict.fromkeys(("backup", "backup-check", "integrity"), "vitrine-backup"),
        "model-server": "vitrine-model-server",
        "controller": "vitrine-controller",
        "mlflow": "vitrine-mlflow",
        "restore": "vitrine-restore",
        # A hook: it comes before the others, and speaks to the database alone.
        "migrate": "vitrine-migrate",
    }
    accounts = _accounts(rendered)
    assert set(_used(rendered.pods).values()) <= accounts.keys()
    for name in set(accounts) - {"vitrine", "vitrine-migrate"}:
        assert accounts[name] == {ROLE: f"arn:aws:iam::123456789012:role/{name}"}


def test_without_annotations_of_their_own_they_share_one(helm: Helm) -> None:
    shared = {"serviceAccount": {"name": "pictures", "annotations": {ROLE: "shared"}}}
    rendered = helm.case("minimal", shared)
    assert set(_used(rendered.pods).values()) == {"pictures", "vitrine-migrate"}
    assert _accounts(rendered)["pictures"] == {ROLE: "shared"}
    one = {**shared["serviceAccount"], "components": {"worker": {"annotations": {ROLE: "workers"}}}}
    rendered = helm.case("minimal", {"serviceAccount": one})
    used = _used(rendered.pods)
    assert (used["worker"], used["catalogue"]) == ("pictures-worker", "pictures")
    assert _accounts(rendered)["pictures-worker"] == {ROLE: "workers"}


# -- The alert -----------------------------------------------------------------------------------------------

_HOUR = 3600
_OF_THE_CRONJOB = '{namespace="pictures", cronjob="vitrine-backup"}'
_MADE, _SUCCEEDED = "kube_cronjob_created", "kube_cronjob_status_last_successful_time"


@pytest.mark.parametrize(
    ("known", "fires"),
    [
        ({_MADE: 0, _SUCCEEDED: 9 * _HOUR}, False),
        ({_MADE: 0, _SUCCEEDED: 1 * _HOUR}, True),
        ({_MADE: 5 * _HOUR}, False),
        ({_MADE: 0}, True),
        ({}, True),
    ],
    ids=["in time", "too long ago", "not yet", "never", "nobody can tell"],
)
def test_a_backup_that_does_not_succeed_is_told(
    helm: Helm, tmp_path: Path, prometheus_installed: None, known: dict[str, int], fires: bool
) -> None:
    rules = helm.case("backup-bucket").one("PrometheusRule", "backup")["spec"]
    (tmp_path / "rules.yml").write_text(yaml.safe_dump(rules))
    # Prometheus begins at 0; it is asked after ten hours, and the case has eight of them in its values.
    test = {
        "interval": "1m",
        "input_series": [
            {"series": f"{name}{_OF_THE_CRONJOB}", "values": f"{at}x600"} for name, at in known.items()
        ],
        "promql_expr_test": [
            {
                "expr": 'count(ALERTS{alertname="VitrineBackupMissing", alertstate="firing"}) or vector(0)',
                "eval_time": "10h",
                "exp_samples": [{"labels": "{}", "value": int(fires)}],
            }
        ],
    }
    file = tmp_path / "test.yml"
    file.write_text(
        yaml.safe_dump({"rule_files": ["rules.yml"], "evaluation_interval": "1m", "tests": [test]})
    )
    done = subprocess.run(
        ["promtool", "test", "rules", file], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
