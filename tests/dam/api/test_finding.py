"""Facets, reasons, similar pictures and duplicates over REST; nothing of what one may not see."""

from __future__ import annotations

import base64
import io

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from pgvector import HalfVector
from PIL import Image

from dam.curation.models import DuplicatePair
from dam.jobs.models import TaggingJob
from dam.tagging.models import Likeness
from tests.dam.api.conftest import assert_problem
from tests.dam.factories import AssetFactory, TagFactory, job_close

pytestmark = pytest.mark.django_db

SPACE = "space-1"


def vector(*begin: float) -> list[float]:
    values = [*begin, *([0.0] * (320 - len(begin)))]
    length = sum(value * value for value in values) ** 0.5
    return [value / length for value in values]


def looks(asset, *begin: float, fingerprint: int = 0) -> None:
    Likeness.objects.create(
        asset=asset, embedding_id=SPACE, embedding=vector(*begin), fingerprint=fingerprint, bands=[]
    )


def test_facets_count_what_one_may_see_and_lead_to_it(viewer, stranger, place, hidden):
    dog = TagFactory(name="dog")
    AssetFactory.create_batch(2, collection=place, tags=[dog])
    AssetFactory(collection=place, height=900)
    AssetFactory(collection=hidden, tags=[dog, TagFactory(name="secret plan")])
    body = viewer.get("assets/facets/")
    assert body["total"] == {"value": 3, "exact": True, "estimated": False}
    values = {value["label"]: value for facet in body["facets"] for value in facet["values"]}
    assert values["dog"]["count"]["value"] == 2
    assert not {"secret plan", "Secret"} & values.keys()
    for facet in body["facets"]:
        for value in facet["values"]:
            found = viewer.get("assets/", q=value["term"])["results"]
            assert len(found) == value["count"]["value"], value
    assert stranger.get("assets/facets/") == {
        "total": {"value": 0, "exact": True, "estimated": False},
        "facets": [],
        "estimated": False,
    }
    assert_problem(viewer("GET", "assets/facets/?q=(dog"), 400, "bad-query")


def test_results_say_why_they_were_found(viewer, place):
    animal = TagFactory(name="animal", kind="ancestor")
    AssetFactory(collection=place, tags=[TagFactory(name="tabby", parents=[animal])])
    (found,) = viewer.get("assets/", q="animal")["results"]
    assert found["matched"] == [{"kind": "tag", "text": "tabby", "via": "tabby is an animal"}]
    assert viewer.get("assets/")["results"][0]["matched"] == []


def test_what_looks_alike_is_found_of_what_one_may_see(viewer, stranger, place, hidden):
    one, near, far, secret = (AssetFactory(collection=home) for home in (place, place, place, hidden))
    for asset, begin in ((one, (1, 0)), (near, (1, 0.2)), (far, (0, 1)), (secret, (1, 0.01))):
        looks(asset, *begin)
    path = f"assets/{one.pk}/similar/"
    found = viewer.get(path)["results"]
    assert [each["asset"]["id"] for each in found] == [near.pk, far.pk]
    assert found[0]["similarity"] == pytest.approx(0.98, abs=0.01)
    assert len(viewer.get(path, limit=1)["results"]) == 1
    assert_problem(stranger("GET", path), 404, "not-found")
    assert_problem(viewer("GET", f"assets/{secret.pk}/similar/"), 404, "not-found")


def test_an_example_is_looked_at_by_a_worker_and_finds_for_who_sent_it(viewer, curator, place, hidden):
    near, far, secret = (
        AssetFactory(collection=place),
        AssetFactory(collection=place),
        AssetFactory(collection=hidden),
    )
    for asset, begin in ((near, (1, 0.2)), (far, (0, 1)), (secret, (1, 0))):
        looks(asset, *begin)
    stream = io.BytesIO()
    Image.new("RGB", (30, 20)).save(stream, "PNG")
    asked = viewer.post_file("similar/", file=SimpleUploadedFile("a.png", stream.getvalue()), wait=0)
    job = TaggingJob.objects.get()
    assert (asked.status_code, asked.json()) == (202, {"id": job.pk, "state": "queued"})
    path = f"similar/{job.pk}/"
    assert asked.headers["Location"] == f"/api/v1/{path}"
    assert viewer("GET", path).status_code == 202
    embedding = base64.b64encode(HalfVector(vector(1, 0)).to_binary()).decode()
    job.answer = {
        "tags": [],
        "model": {"name": "m", "version": 1, "embedding_id": SPACE},
        "embedding": embedding,
    }
    job_close(job)
    assert [each["asset"]["id"] for each in viewer.get(path)["results"]] == [near.pk, far.pk]
    assert_problem(curator("GET", path), 404, "not-found")
    refused = viewer.post_file("similar/", file=SimpleUploadedFile("a.png", b"words"))
    assert_problem(refused, 415, "not-a-picture")


def test_an_example_that_cannot_be_tagged_says_why(viewer):
    job = TaggingJob.objects.create(
        purpose="try",
        requested_by=viewer.user,
        generation=1,
        blob_key="k",
        sha256="0" * 64,
        media_type="image/png",
        detail="Cut off.",
    )
    job_close(job, failed=True, reason="corrupt")
    assert assert_problem(viewer("GET", f"similar/{job.pk}/"), 422, "corrupt")["detail"] == "Cut off."


def test_of_two_that_look_the_same_one_is_kept_or_both_are(curator, viewer, place, hidden):
    def pair(home):
        first, second = AssetFactory(collection=place, title="A dog"), AssetFactory(collection=home)
        looks(first, 1, 0)
        looks(second, 1, 0)
        return DuplicatePair.objects.create(first=first, second=second, distance=2)

    one, two, unseen = pair(place), pair(place), pair(hidden)
    listed = curator.get("duplicates/", limit=1)
    assert [each["id"] for each in listed["results"]] == [two.pk]
    rest = curator.get("duplicates/", cursor=listed["next"])["results"]
    assert [(each["id"], each["distance"], each["may_decide"]) for each in rest] == [(one.pk, 2, True)]
    assert rest[0]["first"]["title"] == "A dog"
    path = f"duplicates/{one.pk}/keep/"
    assert_problem(viewer("POST", path, {"keep": one.second_id}), 403, "not-allowed")
    kept = curator("POST", path, {"keep": one.second_id})
    assert (kept.status_code, kept.json()["id"], kept.json()["title"]) == (200, one.second_id, "A dog")
    assert [each["id"] for each in curator.get("trash/")["results"]] == [one.first_id]
    assert_problem(curator("POST", f"duplicates/{unseen.pk}/dismiss/"), 404, "not-found")
    assert curator("POST", f"duplicates/{two.pk}/dismiss/").status_code == 204
    assert curator.get("duplicates/")["results"] == []
    assert_problem(curator("GET", "duplicates/?cursor=x"), 400, "bad-cursor")
