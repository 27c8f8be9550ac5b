"""Model versions over REST, as the controller, a script and a person use it."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Permission
from django.test import Client

from dam.rollout.models import Step
from dam.rollout.services import serving_report
from dam.tagging.models import ModelVersion, Tag
from tests.dam.factories import ModelVersionFactory, StaffFactory, TagFactory, UserFactory
from tests.dam.rollout_scene import promoted, reviewed_library, versions

pytestmark = pytest.mark.django_db

ROLLOUT = "/api/v1/rollout/"
MODELS = "/api/v1/models/"


class Api:
    """JSON in and out, for one user."""

    def __init__(self, user):
        self.client = Client()
        self.client.force_login(user)

    def __call__(self, method, address, body=None, *, status=200):
        if method == "get":
            answer = self.client.get(address, body or {})
        else:
            call = getattr(self.client, method)
            answer = call(address, {} if body is None else body, content_type="application/json")
        assert answer.status_code == status, answer.content
        return answer.json()


@pytest.fixture
def manager():
    """Not of the staff: a service account."""
    user = UserFactory()
    user.user_permissions.add(Permission.objects.get(codename="manage_rollout"))
    return user


@pytest.fixture
def api(manager):
    return Api(manager)


@pytest.fixture
def tried():
    """Version 1 serves, version 2 is tried; both answered 60 reviewed pictures equally well."""
    one, two = versions(2)
    serving_report(champion=one, challenger=two)
    reviewed_library(one, two)
    return one, two


def brief(version):
    return {
        "id": version.pk,
        "name": "tagger",
        "version": version.version,
        "registry_version": None,
        "withdrawn": False,
    }


# -------------------------------------------------------------- permissions

WRITES = [
    ("patch", ROLLOUT),
    ("put", f"{ROLLOUT}serving/"),
    ("post", f"{ROLLOUT}promotions/"),
    ("post", f"{ROLLOUT}rollbacks/"),
    ("post", f"{ROLLOUT}steps/1/settle/"),
    ("put", MODELS),
    ("post", f"{MODELS}1/undo/"),
    ("post", f"{MODELS}1/take-back/"),
]
READS = [ROLLOUT, f"{ROLLOUT}comparison/", f"{ROLLOUT}steps/", MODELS, f"{MODELS}1/"]


@pytest.mark.parametrize(("method", "address"), WRITES)
def test_only_who_may_manage_rollouts_changes_anything(method, address):
    for user in (UserFactory(), StaffFactory(is_superuser=False)):
        assert Api(user)(method, address, status=403)["code"] == "permission-denied"
    assert getattr(Client(), method)(address).status_code == 401


@pytest.mark.parametrize("address", READS)
def test_staff_and_who_may_manage_rollouts_read(address, manager):
    assert Client().get(address).status_code == 401
    Api(UserFactory())("get", address, status=403)
    for user in (StaffFactory(is_superuser=False), manager):
        client = Client()
        client.force_login(user)
        assert client.get(address).status_code in {200, 404, 409}


# --------------------------------------------------------------- in service


def test_before_the_first_report_nothing_is_in_service(api):
    body = api("get", ROLLOUT)
    assert (body["champion"], body["asked"], body["watch"], body["shadow"]) == (None, None, None, None)
    assert (body["shadow_share"], body["canary_share"], body["reported_at"]) == (0.1, 0.0, None)


def test_the_controller_reports_what_the_labels_mean(api):
    one, two, three = versions(3)
    body = api("put", f"{ROLLOUT}serving/", {"champion": one.pk})
    assert body["champion"] == brief(one)
    body = api(
        "put", f"{ROLLOUT}serving/", {"champion": two.pk, "challenger": three.pk, "predecessor": one.pk}
    )
    assert (body["champion"], body["challenger"], body["predecessor"]) == (
        brief(two),
        brief(three),
        brief(one),
    )
    assert body["shadow"] == {
        "answered": {"value": 0, "exact": True, "estimated": False},
        "open": 0,
        "wanted": 300,
    }
    assert body["watch"]["champion"] == brief(two)
    assert [check["name"] for check in body["watch"]["checks"]] == ["precision", "errors", "time"]
    problem = api("put", f"{ROLLOUT}serving/", {"champion": 10**20}, status=400)
    assert "champion" in problem["errors"]


def test_shares_are_set(api, tried):
    body = api("patch", ROLLOUT, {"shadow_share": 0.5})
    assert (body["shadow_share"], body["canary_share"]) == (0.5, 0)
    assert api("patch", ROLLOUT, {"canary_share": 0.2})["canary_share"] == 0.2
    assert api("patch", ROLLOUT, {"canary_share": 2}, status=400)["code"] == "invalid"
    problem = api("patch", ROLLOUT, {"canary_share": 1, "force": True}, status=400)
    assert problem["errors"] == {"reason": ["Say why it is to be forced."]}


def test_a_canary_that_is_refused_leaves_the_shadow_as_it_is(api):
    problem = api("patch", ROLLOUT, {"canary_share": 0.2, "shadow_share": 1}, status=409)
    assert problem["code"] == "no-challenger"
    assert api("get", ROLLOUT)["shadow_share"] == 0.1


# ---------------------------------------------------------------- promotion


def test_a_promotion_goes_its_way(api, tried, manager):
    one, two = tried
    step = api("post", f"{ROLLOUT}promotions/", {"version": two.pk}, status=201)
    assert (step["kind"], step["state"], step["source"]) == ("promote", "asked", "person")
    assert (step["version"], step["before"], step["by"]) == (brief(two), brief(one), manager.username)
    assert api("get", ROLLOUT)["asked"]["id"] == step["id"]
    busy = api("post", f"{ROLLOUT}promotions/", {"version": two.pk}, status=409)
    assert busy["code"] == "busy"
    api("put", f"{ROLLOUT}serving/", {"champion": two.pk, "predecessor": one.pk})
    assert api("get", ROLLOUT)["asked"] is None
    newest = api("get", f"{ROLLOUT}steps/", {"limit": 1})["results"]
    assert [(each["id"], each["state"]) for each in newest] == [(step["id"], "done")]
    problem = api("post", f"{ROLLOUT}promotions/", {"version": two.pk}, status=409)
    assert problem["code"] == "already-serves"


def test_the_gates_refusal_comes_with_its_reasons(api):
    one, two = versions(2)
    serving_report(champion=one, challenger=two)
    body = {"version": two.pk, "source": "registry"}
    problem = api("post", f"{ROLLOUT}promotions/", body, status=409)
    assert problem["code"] == "gate-refused"
    assert problem["reasons"][0] == "Both versions have answered 0 pictures; 50 are needed."
    step = Step.objects.get(pk=problem["step"])
    assert (step.state, step.source) == ("refused", "registry")
    forced = api("post", f"{ROLLOUT}promotions/", body | {"force": True, "reason": "new"}, status=201)
    assert (forced["forced"], forced["reason"]) == (True, "new")
    assert api("post", f"{ROLLOUT}promotions/", {"version": 10**20}, status=400)["code"] == "invalid"


def test_a_step_is_settled_once(api, tried):
    asked = api("post", f"{ROLLOUT}promotions/", {"version": tried[1].pk}, status=201)
    settle = f"{ROLLOUT}steps/{asked['id']}/settle/"
    for _ in range(2):
        settled = api("post", settle, {"done": False, "detail": "golden request failed"})
        assert (settled["state"], settled["detail"]) == ("failed", "golden request failed")
    assert api("post", settle, {"done": True}, status=409)["code"] == "settled"
    api("post", f"{ROLLOUT}steps/{asked['id'] + 1}/settle/", {"done": True}, status=404)


def test_a_comparison_comes_with_the_gates_verdict(api, tried):
    one, two = tried
    body = api("get", f"{ROLLOUT}comparison/")
    assert (body["pictures"], body["reviews"], body["verdict"]["passes"]) == (60, 120, True)
    assert body["champion"] == {"id": one.pk, "name": "tagger", "version": 1}
    assert body["precision"]["challenger"]["value"] == 1
    assert {tag["slug"] for tag in body["tags"]} == {"dog", "cat"}
    other = api("get", f"{ROLLOUT}comparison/", {"champion": two.pk, "challenger": one.pk})
    assert other["champion"]["id"] == two.pk
    api("get", f"{ROLLOUT}comparison/", {"champion": "x"}, status=400)


def test_without_two_versions_there_is_nothing_to_compare(api):
    problem = api("get", f"{ROLLOUT}comparison/", status=409)
    assert (problem["code"], problem["detail"]) == ("no-challenger", "There is no challenger.")
    (one,) = versions(1)
    assert api("get", f"{ROLLOUT}comparison/", {"challenger": one.pk}, status=409)["detail"] == (
        "There is no champion."
    )


# ----------------------------------------------------------------- way back


def test_a_roll_back_takes_effect_at_once(api):
    one, two = versions(2)
    assert api("post", f"{ROLLOUT}rollbacks/", {"reason": "bad"}, status=409)["code"] == "no-way-back"
    promoted(two, one)
    assert "reason" in api("post", f"{ROLLOUT}rollbacks/", status=400)["errors"]
    step = api("post", f"{ROLLOUT}rollbacks/", {"reason": "bad"}, status=201)
    assert (step["kind"], step["state"], step["version"]["version"]) == ("roll-back", "asked", 2)
    assert step["version"]["withdrawn"] is True
    assert api("get", ROLLOUT)["champion"]["withdrawn"] is True
    assert api("post", f"{ROLLOUT}rollbacks/", {"reason": "bad"}, status=409)["code"] == "busy"


def test_a_version_is_undone_and_taken_back(api):
    version = ModelVersionFactory()
    address = f"{MODELS}{version.pk}/"
    assert api("post", f"{address}take-back/", status=409)["code"] == "withdrawn"
    assert api("post", f"{address}undo/", {"reason": "bad"}, status=201)["kind"] == "undo"
    assert api("get", address)["withdrawn_at"]
    assert api("post", f"{address}undo/", {"reason": "bad"}, status=409)["code"] == "withdrawn"
    assert api("post", f"{address}take-back/", status=201)["kind"] == "reinstate"
    assert api("get", address)["withdrawn"] is False
    for action in ("undo", "take-back"):
        api("post", f"{MODELS}{version.pk + 1}/{action}/", {"reason": "bad"}, status=404)


# ------------------------------------------------------------------- models

REGISTRATION = {
    "name": "tagger",
    "version": 7,
    "registry_version": 3,
    "preprocess_id": "p",
    "vocabulary_id": "v",
    "embedding_id": "e",
    "metrics": {"test": {"map": 0.5}},
    "vocabulary": [
        {"slug": "animal", "name": "animal", "kind": "ancestor", "threshold": 0.3, "wordnet": "n0001"},
        {"slug": "dog", "name": "dog", "parents": ["animal"], "synonyms": ["hound"]},
    ],
}


def test_a_version_is_registered_with_its_vocabulary(api):
    TagFactory(name="cat")
    first = api("put", MODELS, REGISTRATION)
    assert api("put", MODELS, REGISTRATION | {"metrics": {}})["id"] == first["id"]
    assert api("get", f"{MODELS}{first['id']}/")["metrics"] == {}
    assert (first["version"], first["registry_version"], first["alias"]) == (7, 3, "")
    assert first["predictions"] == {"value": 0, "exact": True, "estimated": False}
    dog = Tag.objects.get(slug="dog")
    assert [Tag.objects.get(pk=pk).slug for pk in dog.ancestor_ids] == ["animal"]
    assert [each["id"] for each in api("get", MODELS)["results"]] == [first["id"]]
    problem = api("put", MODELS, REGISTRATION | {"embedding_id": "x"}, status=409)
    assert problem["code"] == "version-taken"


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"vocabulary": [{"slug": "a", "name": "a", "parents": ["b"]}]}, "vocabulary"),
        ({"vocabulary": [{"slug": "a", "name": "a"}, {"slug": "a", "name": "b"}]}, "vocabulary"),
        ({"vocabulary": [{"slug": "a" * 101, "name": "a"}]}, "vocabulary"),
        ({"metrics": {"a": "\0"}}, "metrics"),
        ({"metrics": {"\ud800": 1}}, "metrics"),
        ({"version": 2**63}, "version"),
        ({"name": "\0"}, "name"),
    ],
)
def test_what_cannot_be_kept_is_refused_in_words(api, changes, field):
    problem = api("put", MODELS, REGISTRATION | changes, status=400)
    assert list(problem["errors"]) == [field]
    assert not ModelVersion.objects.exists()
