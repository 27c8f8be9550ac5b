"""Rules and steps in the Django admin."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse

from dam.rollout.models import Rollout, Step
from dam.rollout.services import serving_report
from tests.dam.factories import StaffFactory, UserFactory
from tests.dam.rollout_scene import versions

pytestmark = pytest.mark.django_db

RULES = {
    "shadow_share": 0.1,
    "sample_size": 300,
    "min_pictures": 50,
    "min_reviews": 30,
    "most_precision_lost": 0.05,
    "most_recall_lost": 0.05,
    "most_times_slower": 1.5,
    "watch_hours": 72,
    "watch_min_reviews": 20,
    "watch_precision_lost": 0.05,
    "watch_errors_risen": 0.02,
    "watch_times_slower": 2,
}


def signed_in(user):
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def manager():
    user = StaffFactory(is_superuser=False)
    user.user_permissions.add(Permission.objects.get(codename="manage_rollout"))
    return signed_in(user)


@pytest.fixture
def staff():
    return signed_in(StaffFactory(is_superuser=False))


def change():
    return reverse("admin:rollout_rollout_change", args=[1])


def test_who_may_manage_rollouts_changes_the_rules_and_nothing_else(manager):
    one, two = versions(2)
    serving_report(champion=one)
    fields = RULES | {"min_reviews": 60, "champion": two.pk, "canary_share": 1}
    assert manager.post(change(), fields).status_code == 302
    rollout = Rollout.objects.get()
    assert (rollout.min_reviews, rollout.champion, rollout.canary_share) == (60, one, 0)


def test_other_staff_reads_the_rules(staff):
    serving_report(champion=versions(1)[0])
    assert staff.get(change()).status_code == 200
    assert staff.post(change(), RULES | {"min_reviews": 1}).status_code == 403
    assert Rollout.objects.get().min_reviews == 30


def test_rules_can_be_made_before_the_first_report_and_once(manager, staff):
    add = reverse("admin:rollout_rollout_add")
    assert staff.get(add).status_code == 403
    assert manager.post(add, RULES | {"min_pictures": 10}).status_code == 302
    assert Rollout.objects.get().min_pictures == 10
    assert manager.get(add).status_code == 403
    assert manager.post(reverse("admin:rollout_rollout_delete", args=[1]), {"post": "yes"}).status_code == 403


def test_a_share_that_is_none_is_refused_in_words(manager):
    serving_report(champion=versions(1)[0])
    page = manager.post(change(), RULES | {"shadow_share": 1.5}).content.decode()
    assert "less than or equal to 1.0" in page
    assert Rollout.objects.get().shadow_share == 0.1


def test_steps_are_read_and_never_changed(manager):
    serving_report(champion=versions(1)[0])
    step = Step.objects.get()
    assert manager.get(reverse("admin:rollout_step_changelist")).status_code == 200
    address = reverse("admin:rollout_step_change", args=[step.pk])
    assert manager.get(address).status_code == 200
    assert manager.post(address, {"state": "failed"}).status_code == 403
    assert manager.post(reverse("admin:rollout_step_delete", args=[step.pk])).status_code == 403
    assert signed_in(UserFactory()).get(address).status_code == 302
