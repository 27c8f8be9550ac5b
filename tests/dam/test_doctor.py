"""`vitrine doctor` finds what is wrong, says how to mend it, changes nothing, and cannot be stopped by it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading

import pytest
from django.test.utils import override_settings
from django.utils import timezone

from dam.embedded.state import ROOT
from dam.jobs.models import Round
from dam.monitoring.doctor import (
    configuration,
    installation,
)
from dam.monitoring.doctor.examination import examine
from dam.monitoring.doctor.findings import Area, Check, Finding, Status, failure, ok
from dam.monitoring.doctor.telling import as_facts, without_secrets, worst
from dam.monitoring.doctor.variables import KNOWN, misspelt, readable
from tests.dam.doctor_scene import by_name, only
from tests.plugins.ports import free_ports

# ------------------------------------------------------- running the checks


@pytest.fixture
def hanging():
    """A check that hangs until the test is over."""
    over = threading.Event()

    def look() -> Finding:
        over.wait(60)
        return ok("at last")

    yield Check("hangs", look)
    over.set()


def test_a_check_that_hangs_is_given_up_and_holds_up_no_other(db, hanging):
    area = Area("One", (hanging, Check("next", lambda: ok("fine"))))
    other = Area("Two", (Check("elsewhere", lambda: ok("fine too")),))
    told = examine((area, other), limit_s=0.3)
    assert [(one.name, one.finding.status) for one in told] == [
        ("hangs", "failure"),
        ("next", "ok"),
        ("elsewhere", "ok"),
    ]
    assert told[0].finding.found == "no answer within 0.3 s"


def test_a_fault_of_one_check_is_told_and_harms_no_other(db):
    def broken() -> Finding:
        raise KeyError("surprise")

    told = examine((Area("One", (Check("broken", broken), Check("next", lambda: ok("fine")))),))
    assert [one.finding.status for one in told] == ["failure", "ok"]
    assert "KeyError" in told[0].finding.found
    assert told[0].finding.mend


def test_behind_a_gate_that_is_shut_nothing_is_looked_at(db):
    looked: list[str] = []
    behind = Check("behind", lambda: looked.append("at it") or ok("fine"))
    shut = Check("gate", lambda: failure("down", mend="start it"))
    told = examine((Area("One", (behind,), gate=shut),))
    assert [(one.name, one.finding.status) for one in told] == [("gate", "failure"), ("behind", "skipped")]
    assert looked == []


@pytest.mark.django_db
def test_a_check_of_the_database_can_change_nothing_there():
    def write() -> Finding:
        Round.objects.create(name="doctor", begun_at=timezone.now())
        return ok("written")

    (told,) = examine((Area("One", (Check("writes", write),), reads_database=True),))
    assert told.finding.status is Status.FAILURE
    assert "read-only" in told.finding.found
    assert not Round.objects.filter(name="doctor").exists()


def test_nothing_wrong_is_told_without_saying_how_to_mend_it():
    with pytest.raises(ValueError, match="nobody is told"):
        Finding(Status.FAILURE, "broken")


# -------------------------------------------------------------- the command


def doctor(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("VITRINE_", "DJANGO_", "MLFLOW_", "OTEL_")) and name != "DATABASE_URL"
    }
    return subprocess.run(
        [sys.executable, "-m", "dam.cli", "doctor", *words],
        cwd=ROOT,
        env=kept | environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )


def test_with_everything_down_it_tells_each_outage_and_no_secret(tmp_path):
    home = tmp_path / "home"
    (closed,) = free_ports(1)
    run = doctor(
        "--json",
        DATABASE_URL=f"postgresql://me:hush-db@127.0.0.1:{closed}/dam",
        MLFLOW_TRACKING_URI=f"http://me:hush-mlflow@127.0.0.1:{closed}",
        VITRINE_HOME=str(home),
        VITRINE_MODEL_SERVERS=f"127.0.0.1:{closed}",
        VITRINE_QUEUE_PASSWORD="hush-queue",
        VITRINE_QUEUE_URL=f"amqp://me:hush-amqp@127.0.0.1:{closed}/tagging",
        VITRINE_SECRET_KEY="hush-hush",
    )
    assert run.returncode == 1, run.stderr
    assert "hush" not in run.stdout + run.stderr
    report = json.loads(run.stdout)
    assert report["verdict"] == "failure"
    found = {f"{one['area']}: {one['name']}": one for one in report["checks"]}
    for name in (
        "Configuration: secret key",
        "Database: connection",
        "Queues: broker",
        "Blob store: a probe",
        f"Servers: model server: 127.0.0.1:{closed}",
        "Servers: model registry",
    ):
        assert found[name]["status"] == "failure", name
        assert found[name]["mend"], name
    for name in ("Database: migrations", "Queues: readers", "Work: tables"):
        assert found[name]["status"] == "skipped", name
    # Nothing was made, the blob store of a misspelt name least of all.
    assert list(home.iterdir()) == [] if home.exists() else True


def test_a_secret_in_a_file_is_found_and_told_to_nobody(tmp_path):
    (closed,) = free_ports(1)
    secrets = {
        "DATABASE_URL": f"postgresql://me:hush-db@127.0.0.1:{closed}/dam",
        "VITRINE_QUEUE_URL": f"amqp://me:hush-amqp@127.0.0.1:{closed}/tagging",
        "VITRINE_SECRET_KEY": "hush-hush",
    }
    files = {}
    for name, value in secrets.items():
        (tmp_path / name).write_text(f"{value}\n")
        files[f"{name}_FILE"] = str(tmp_path / name)
    run = doctor("--json", VITRINE_HOME=str(tmp_path / "home"), **files)
    assert run.returncode == 1, run.stderr
    assert "hush" not in run.stdout + run.stderr
    found = {f"{one['area']}: {one['name']}": one for one in json.loads(run.stdout)["checks"]}
    assert found["Environment: values of variables"]["status"] == "ok"
    assert "9 characters in VITRINE_SECRET_KEY_FILE" in found["Configuration: secret key"]["found"]
    assert "the database of DATABASE_URL_FILE cannot be reached" in found["Database: connection"]["found"]
    assert found["Queues: broker"]["status"] == "failure"


def test_a_value_that_keeps_the_settings_from_loading_is_told_in_a_sentence(tmp_path):
    run = doctor("--json", VITRINE_HOME=str(tmp_path), VITRINE_MAX_PIXELS="many")
    assert (run.returncode, run.stderr) == (1, "")
    (told,) = json.loads(run.stdout)["checks"]
    assert "VITRINE_MAX_PIXELS is 'many'" in told["found"]
    assert "whole number" in told["mend"]


@pytest.mark.parametrize(
    ("statuses", "verdict"),
    [("oo", "ok"), ("os", "ok"), ("ow", "warning"), ("owf", "failure"), ("", "ok")],
)
def test_the_worst_finding_is_the_verdict(db, statuses, verdict):
    kinds = {status.value[0]: status for status in Status}
    findings = [Finding(kinds[letter], "so", mend="mend it") for letter in statuses]
    told = examine((Area("One", (Check("all", lambda: findings),)),))
    assert worst(told) == verdict
    assert as_facts(told)["counts"]["ok"] == statuses.count("o")


def test_secrets_are_blotted_out_wherever_they_stand():
    environment = {"VITRINE_S3_SECRET_KEY": "s3cr3t!", "VITRINE_HOME": "/srv"}
    text = without_secrets("amqp://me:hush@mq/x refused s3cr3t! in /srv password=hush", environment)
    assert "hush" not in text
    assert "s3cr3t" not in text
    assert "/srv" in text


def test_a_secret_in_a_file_is_blotted_out_too(tmp_path):
    (tmp_path / "key").write_text("s3cr3t!\n")
    environment = {"VITRINE_S3_SECRET_KEY_FILE": str(tmp_path / "key"), "API_KEY_FILE": "/no/such/file"}
    assert "s3cr3t" not in without_secrets("refused s3cr3t!", environment)


# -------------------------------------------------------------- environment


def test_a_misspelt_variable_is_told_with_the_one_that_was_meant():
    found = misspelt({"VITRINE_MAX_PIXLES": "1", "VITRINE_HOME": "/x", "PATH": "/bin"})
    assert found.status is Status.WARNING
    assert "VITRINE_MAX_PIXLES (meant: VITRINE_MAX_PIXELS?)" in found.found
    assert misspelt({"VITRINE_HOME": "/x"}).status is Status.OK


def test_every_variable_that_the_code_reads_is_known():
    read: dict[str, str] = {}
    for folder in ("airflow", "dam", "model_training", "pipeline", "workers"):
        for path in (ROOT / folder).rglob("*.py"):
            text = path.read_text(encoding="utf-8")
            for name in re.findall(r"VITRINE_[A-Z0-9]+(?:_[A-Z0-9]+)*(?![A-Z0-9_*…])", text):
                read[name] = str(path)
            if (prefix := re.search(r'env_prefix="(VITRINE_\w*)"', text)) is not None:
                (body, *_) = re.split(r"^\S", text[prefix.end() :], maxsplit=1, flags=re.MULTILINE)
                for field in re.findall(r"^    ([a-z]\w*): ", body, flags=re.MULTILINE):
                    read[prefix[1] + field.upper()] = str(path)
    # Parts of names that stand in front of several.
    unknown = {
        name: path for name, path in read.items() if name not in KNOWN | {"VITRINE_QUEUE", "VITRINE_S3"}
    }
    assert unknown == {}


def test_values_that_nobody_can_read_are_told_one_by_one():
    found = by_name(
        readable(
            {
                "VITRINE_MAX_PIXELS": "many",
                "VITRINE_HEALTH_PORT": "70000",
                "VITRINE_DEBUG": "maybe",
                "VITRINE_LOG_FORMAT": "xml",
                "DATABASE_URL": "postgresql//me:hush@db",
                "VITRINE_QUEUE_URL": "amqp://me:hush@mq/",
                "VITRINE_QUEUE_URL_FILE": "/run/secrets/queue",
                "VITRINE_S3_SECRET_KEY_FILE": "/no/such/file",
            }
        )
    )
    assert {name: one.status.value for name, one in found.items()} == {
        "VITRINE_MAX_PIXELS": "failure",
        "VITRINE_HEALTH_PORT": "failure",
        "VITRINE_DEBUG": "warning",
        "VITRINE_LOG_FORMAT": "failure",
        "DATABASE_URL": "failure",
        "VITRINE_QUEUE_URL": "failure",
        "VITRINE_S3_SECRET_KEY": "failure",
    }
    assert "hush" not in str(found)
    assert only(readable({"VITRINE_HTTPS": "1"})).status is Status.OK


# ------------------------------------------------------------ configuration


@pytest.mark.parametrize(
    ("changed", "check", "status"),
    [
        ({"SECRET_KEY": "short"}, configuration.secret_key, "failure"),
        ({"SECRET_KEY": "a" * 80}, configuration.secret_key, "failure"),
        ({"SECRET_KEY": "0123456789abcdef0123456789abcdef"}, configuration.secret_key, "warning"),
        ({"DEBUG": True, "ALLOWED_HOSTS": ["dam.example"]}, configuration.debug, "failure"),
        ({"DEBUG": True, "ALLOWED_HOSTS": ["localhost"]}, configuration.debug, "warning"),
        ({"ALLOWED_HOSTS": []}, configuration.allowed_hosts, "failure"),
        ({"ALLOWED_HOSTS": ["*"]}, configuration.allowed_hosts, "warning"),
        (
            {"ALLOWED_HOSTS": [".example"], "CSRF_TRUSTED_ORIGINS": ["https://dam.other"]},
            configuration.allowed_hosts,
            "failure",
        ),
        (
            {"ALLOWED_HOSTS": [".example"], "CSRF_TRUSTED_ORIGINS": ["https://dam.example"]},
            configuration.allowed_hosts,
            "ok",
        ),
        ({"ALLOWED_HOSTS": ["dam.example"]}, configuration.https, "warning"),
        ({"CSRF_TRUSTED_ORIGINS": ["dam.example"]}, configuration.https, "failure"),
        (
            {"CSRF_TRUSTED_ORIGINS": ["http://dam.example"], "SESSION_COOKIE_SECURE": True},
            configuration.https,
            "warning",
        ),
        ({"ALLOWED_HOSTS": ["localhost"]}, configuration.https, "ok"),
        ({"ALLOWED_HOSTS": ["localhost", "catalogue"]}, configuration.https, "ok"),
        ({"ALLOWED_HOSTS": ["192.0.2.7"]}, configuration.https, "warning"),
        ({"MAX_UPLOAD_BYTES": 50 << 30}, configuration.limits, "warning"),
    ],
)
def test_settings_that_are_a_danger_are_told(changed, check, status):
    with override_settings(**changed):
        found = check()
    first = found[0] if isinstance(found, list) else found
    assert first.status == status
    assert bool(first.mend) == (status != "ok")


def test_a_key_that_only_one_replica_knows_is_told(tmp_path, monkeypatch, settings):
    settings.SECRET_KEY = "l0ng and r4ndom enough, for once, to sign a session with"
    monkeypatch.setenv("VITRINE_HOME", str(tmp_path))
    monkeypatch.delenv("VITRINE_SECRET_KEY", raising=False)
    assert configuration.secret_key().status is Status.FAILURE
    # The embedded system has one home for all that it consists of, wherever its database is.
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "system.json").write_text("{}")
    assert configuration.secret_key().status is Status.OK
    monkeypatch.setenv("VITRINE_HOME", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("VITRINE_SECRET_KEY", "whichever")
    assert configuration.secret_key().status is Status.OK


def test_addresses_that_nobody_understands_are_told_without_a_secret(settings):
    settings.QUEUE_URL, settings.BLOB_URL = "redis://me:hush@mq", "ftp://me:hush@store"
    found = by_name(configuration.addresses())
    assert {one.status for one in found.values()} == {Status.FAILURE}
    assert "hush" not in str(found)


# ------------------------------------------------------------- installation


def test_this_environment_has_what_the_project_asks_for():
    assert installation.python().status is Status.OK
    (found,) = installation.packages()
    assert found.status is Status.OK
    assert "catalogue" in found.found


def test_a_package_that_is_missing_or_too_old_is_told(tmp_path, monkeypatch):
    (tmp_path / "pyproject.toml").write_text(
        '[project]\nname = "vitrine"\nrequires-python = ">=3.99"\ndependencies = ["numpy>=99"]\n'
        '[project.optional-dependencies]\ncatalogue = ["no-such-package-at-all"]\nworker = ["nor-this-one"]\n'
    )
    monkeypatch.setattr(installation, "ROOT", tmp_path)
    assert installation.python().status is Status.FAILURE
    found = by_name(installation.packages())
    assert "numpy" in found["all processes"].found
    assert "no-such-package-at-all" in found["catalogue"].found
    # What no part of this installation needs is not missed.
    assert set(found) == {"all processes", "catalogue"}
