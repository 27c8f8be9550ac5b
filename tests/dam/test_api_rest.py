"""Tags, tries, ledger, health and the description of the API."""

from __future__ import annotations

import io
import threading
import time

import pytest
import yaml
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import call_command
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.test import Client
from PIL import Image

from dam.api import health
from dam.jobs.models import TaggingJob
from dam.tagging.services import result_record
from dam.tagging.vocabulary import vocabulary
from pipeline.blobs import BlobStoreDownError
from pipeline.messages import FailureReason, LabelScore, ModelIdentity, Outcome, Purpose, TagResult
from tests.dam.factories import (
    AssetFactory,
    StaffFactory,
    TagFactory,
    TaggingJobFactory,
    UserFactory,
    job_close,
)

pytestmark = pytest.mark.django_db

PREDICT = "/api/v1/predict/"


@pytest.fixture
def user():
    return UserFactory()


@pytest.fixture
def api(user):
    client = Client()
    client.force_login(user)
    return client


# --------------------------------------------------------------------- tags


def test_tags_are_completed_best_first_with_what_the_user_may_see(api):
    animal = TagFactory(name="animal", kind="ancestor")
    dog = TagFactory(name="dog", parents=[animal], synonyms=["hound"])
    TagFactory(name="doghouse")
    AssetFactory(tags=[dog])
    body = api.get("/api/v1/tags/", {"q": "do"}).json()
    assert [tag["slug"] for tag in body["results"]] == ["dog", "doghouse"]
    assert body["results"][0] == {
        "slug": "dog",
        "name": "dog",
        "kind": "leaf",
        "synonyms": ["hound"],
        "threshold": 0.5,
        "parents": ["animal"],
        "matched": "",
        "count": {"value": 1, "exact": True, "estimated": False},
    }
    assert api.get("/api/v1/tags/", {"q": "hou"}).json()["results"][0]["matched"] == "hound"


def test_all_active_tags_are_listed_by_name_in_pages(api):
    for name in ("cat", "ape", "bee"):
        TagFactory(name=name)
    TagFactory(name="ant", active=False)
    first = api.get("/api/v1/tags/", {"limit": 2}).json()
    assert [tag["name"] for tag in first["results"]] == ["ape", "bee"]
    second = api.get("/api/v1/tags/", {"limit": 2, "cursor": first["next"]}).json()
    assert [tag["name"] for tag in second["results"]] == ["cat"]
    assert second["next"] is None
    assert api.get("/api/v1/tags/", {"cursor": "x"}).status_code == 400


# --------------------------------------------------------------------- tries


def send(client, **fields):
    stream = io.BytesIO()
    Image.new("RGB", (64, 48)).save(stream, "PNG")
    return client.post(PREDICT, {"file": SimpleUploadedFile("a.png", stream.getvalue()), **fields})


def answer(job, **result):
    """What the results writer does with a worker's answer."""
    result_record(
        result=TagResult(job_id=job.pk, generation=1, purpose=Purpose.TRY, **result), words=vocabulary()
    )


MODEL = ModelIdentity(name="tagger", version=3, preprocess_id="p", vocabulary_id="v", embedding_id="e")


def test_a_try_that_is_not_answered_in_time_is_answered_later_and_only_to_who_asked(api, user):
    TagFactory(name="dog")
    response = send(api, wait=0)
    assert response.status_code == 202
    job = TaggingJob.objects.get()
    assert response.json() == {"id": job.pk, "state": "queued"}
    place = response.headers["Location"]
    assert api.get(place).status_code == 202
    answer(job, outcome=Outcome.TAGGED, model=MODEL, scores=(LabelScore(label="dog", score=0.75),))
    assert api.get(place).json() == {
        "id": job.pk,
        "tags": [{"slug": "dog", "name": "dog", "score": 0.75}],
        "model": {"name": "tagger", "version": 3},
    }
    other = Client()
    other.force_login(StaffFactory())
    assert other.get(place).status_code == 404
    assert api.get("/api/v1/assets/").json()["results"] == []


def test_a_try_that_fails_says_why(api):
    place = send(api, wait=0).headers["Location"]
    answer(TaggingJob.objects.get(), outcome=Outcome.FAILED, reason=FailureReason.CORRUPT, detail="Cut off.")
    response = api.get(place)
    assert response.status_code == 422
    assert (response.json()["code"], response.json()["detail"]) == ("corrupt", "Cut off.")


@pytest.mark.django_db(transaction=True)
def test_a_try_waits_for_its_answer(api):
    TagFactory(name="dog")
    deadline = time.monotonic() + 60

    def work():
        try:
            while time.monotonic() < deadline:
                job = TaggingJob.objects.first()
                if job is not None:
                    answer(job, outcome=Outcome.TAGGED, model=MODEL)
                    return
                time.sleep(0.01)
        finally:
            connection.close()

    worker = threading.Thread(target=work)
    worker.start()
    response = send(api, wait=30)
    worker.join()
    assert response.status_code == 200
    assert response.json()["tags"] == []


def test_a_try_of_what_is_no_picture_is_refused(api):
    response = api.post(PREDICT, {"file": SimpleUploadedFile("a.png", b"words")})
    assert (response.status_code, response.json()["code"]) == (415, "not-a-picture")
    assert api.post(PREDICT, {}).status_code == 400
    assert send(api, wait=31).status_code == 400
    assert TaggingJob.objects.count() == 0


# ---------------------------------------------------------- ledger and health


def test_the_ledger_is_for_staff(api):
    assert api.get("/api/v1/ledger/").status_code == 403
    staff = Client()
    staff.force_login(StaffFactory())
    job = TaggingJobFactory(asset=AssetFactory(state="failed", reason="corrupt"))
    job_close(job, failed=True, reason="corrupt")
    body = staff.get("/api/v1/ledger/").json()
    assert (body["assets"], body["failed"], body["failed_by_reason"]) == (1, 1, {"corrupt": 1})
    assert body["agrees"] is True


def test_the_process_says_that_it_lives_and_is_ready():
    assert Client().get("/healthz").json() == {"status": "ok"}
    body = Client().get("/readyz")
    assert (body.status_code, body.json()["ready"]) == (200, True)
    assert set(body.json()["checks"]) == {"database", "migrations", "blob store", "broker"}
    assert Client().post("/healthz").status_code == 405


def test_an_outage_makes_the_process_not_ready_and_names_it(monkeypatch):
    def down(*_):
        raise BlobStoreDownError("there is no blob store\nand a secret")

    monkeypatch.setattr(type(health.blob_store()), "exists", down)
    response = Client().get("/readyz")
    assert response.status_code == 503
    checks = response.json()["checks"]
    assert checks["blob store"]["ok"] is False
    assert checks["blob store"]["detail"] == "there is no blob store"
    assert checks["database"]["ok"] is True


def test_pending_migrations_make_the_process_not_ready(monkeypatch):
    health.forget_applied_migrations()
    monkeypatch.setattr(MigrationExecutor, "migration_plan", lambda *_: [("0002_something", False)])
    checks = Client().get("/readyz").json()["checks"]
    assert checks["migrations"]["ok"] is False
    monkeypatch.undo()
    assert Client().get("/readyz").status_code == 200


# -------------------------------------------------------------- description


def test_the_api_describes_itself():
    schema = Client().get("/api/schema/")
    assert schema.status_code == 200
    document = yaml.safe_load(schema.content)
    assert document["paths"]["/api/v1/assets/"]["post"]["responses"].keys() >= {
        "200",
        "201",
        "413",
        "415",
        "422",
    }
    tag = document["components"]["schemas"]["AssetTag"]["properties"]
    assert list(tag) == ["slug", "name", "score", "source", "state"]
    assert document["components"]["securitySchemes"]["token"] == {"type": "http", "scheme": "bearer"}
    assert Client().get("/api/docs/").status_code == 200


def test_the_description_is_valid_and_complete(tmp_path):
    # Raises for a view, a field or a parameter whose type is not known.
    call_command("spectacular", "--validate", "--fail-on-warn", "--file", str(tmp_path / "schema.yml"))
    assert (tmp_path / "schema.yml").read_text().startswith("openapi: 3")


def test_an_address_that_means_nothing_is_a_problem_too():
    response = Client().get("/api/v1/unicorns")
    assert response.status_code == 404
    assert response.json()["code"] == "not-found"
