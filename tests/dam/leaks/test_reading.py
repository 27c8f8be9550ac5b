"""What a person can read, count, facet or find similar is what the grants allow, whatever the library."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import transaction
from django.test import Client
from hypothesis import HealthCheck, Phase, example, given, settings

from dam.search.terms import term
from tests.dam.leaks.world import CURATE, MANAGE, NAMES, RICH, Plan, World, plans

pytestmark = [pytest.mark.django_db, pytest.mark.slow]

EXAMPLES = settings(
    max_examples=6,
    deadline=None,
    derandomize=True,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@contextmanager
def built(plan: Plan) -> Iterator[World]:
    """The library of a plan, gone afterwards."""
    with transaction.atomic():
        yield World.build(plan)
        transaction.set_rollback(True)


def client_of(world: World, name: str) -> Client:
    client = Client(raise_request_exception=True)
    client.force_login(world.users[name])
    return client


def read(client: Client, address: str, **asked: Any) -> Any:
    answered = client.get(address, asked)
    assert answered.status_code == 200, (address, answered.status_code, answered.content[:300])
    return answered.json()


def all_of(client: Client, address: str, **asked: Any) -> list[dict[str, Any]]:
    """Everything in a list, page by page."""
    found: list[dict[str, Any]] = []
    cursor = ""
    while True:
        page = read(client, address, limit=3, **({"cursor": cursor} if cursor else {}), **asked)
        found += page["results"]
        cursor = page["next"]
        if not cursor:
            return found


@EXAMPLES
@example(plan=RICH)
@given(plan=plans())
def test_searches_find_what_may_be_seen_and_nothing_else(db: None, plan: Plan) -> None:
    with built(plan) as world:
        for name in NAMES:
            client, seen = client_of(world, name), plan.seen(name)
            pictures = {number: plan.pictures[number] for number in seen}
            wanted = {
                "": seen,
                "animal": {n for n, p in pictures.items() if p.tags & {"tabby", "beagle"}},
                "-tag:teapot": {n for n, p in pictures.items() if "teapot" not in p.tags},
                "tabby OR camera:nikon": {
                    n for n, p in pictures.items() if "tabby" in p.tags or "Nikon" in p.camera
                },
                "orientation:portrait color:red": {
                    n for n, p in pictures.items() if p.tall and p.colour == "red"
                },
                "owner:me": {n for n, p in pictures.items() if p.owner == name},
                "hushed*": seen,
            }
            for query, numbers in wanted.items():
                for sort in ("newest", "taken", "name"):
                    found = all_of(client, "/api/v1/assets/", q=query, sort=sort)
                    assert Counter(each["id"] for each in found) == Counter(world.ids(numbers)), (name, query)


@EXAMPLES
@example(plan=RICH)
@given(plan=plans())
def test_counts_and_facets_count_what_may_be_seen(db: None, plan: Plan) -> None:
    with built(plan) as world:
        for name in NAMES:
            client, seen = client_of(world, name), plan.seen(name)
            facets = read(client, "/api/v1/assets/facets/", q="")
            assert facets["total"]["value"] == len(seen)
            assert facets["total"]["exact"]
            counted = {
                value["term"]: value["count"]["value"]
                for facet in facets["facets"]
                for value in facet["values"]
            }
            assert counted == by_hand(world, name)
            for tag in ("tabby", "animal"):
                suggested = read(client, "/api/v1/tags/", q=tag)["results"]
                (count,) = [each["count"] for each in suggested if each["slug"] == tag]
                # Beside what is rare in many ids, nothing is counted.
                assert count is None or count["value"] == counted.get(f"tag:{tag}", 0)


def by_hand(world: World, name: str) -> Counter[str]:
    """Every value of every facet → how many of the pictures that a person sees have it."""
    plan = world.plan
    counted: Counter[str] = Counter()
    for number in plan.seen(name):
        picture = plan.pictures[number]
        counted.update(f"tag:{tag}" for tag in picture.tags)
        counted["tag:animal"] += bool(picture.tags & {"tabby", "beagle"})
        if picture.camera:
            counted[term("camera", picture.camera)] += 1
        counted[term("licence", f"licensed{number}x")] += 1
        counted[f"owner:{picture.owner}"] += 1
        counted[f"color:{picture.colour}"] += 1
        counted[f"orientation:{'portrait' if picture.tall else 'landscape'}"] += 1
        counted[f"taken:{2020 + number % 3}"] += 1
        counted["state:tagged"] += 1
        counted["state:untagged"] += not picture.tags
        counted["type:jpeg"] += 1
        node = picture.node
        while plan.level(name, node):
            counted[f"collection:{world.collections[node].pk}"] += 1
            if node == 0:
                break
            node = plan.parents[node - 1]
    return +counted


@EXAMPLES
@example(plan=RICH)
@given(plan=plans())
def test_each_picture_answers_to_who_may_see_it_and_is_not_there_for_others(db: None, plan: Plan) -> None:
    with built(plan) as world:
        for name in NAMES:
            client = client_of(world, name)
            seen, downloadable = plan.seen(name), plan.downloadable(name)
            for number, asset in enumerate(world.assets):
                there = 200 if number in seen else 404
                for below in ("", "versions/", "history/", "similar/"):
                    address = f"/api/v1/assets/{asset.pk}/{below}"
                    assert client.get(address).status_code == there, (name, number, address)
                assert client.get(f"/assets/{asset.pk}/").status_code == there
                refused = client.get(f"/api/v1/assets/{asset.pk}/file")
                if number not in seen:
                    assert refused.status_code == 404
                elif number not in downloadable:
                    assert refused.status_code == 403
                else:
                    # Its bytes are nowhere: what is asked for is whether they would be given.
                    assert refused.status_code not in {403, 404} or refused.json()["code"] == "missing-blob"


@EXAMPLES
@example(plan=RICH)
@given(plan=plans())
def test_what_looks_alike_is_the_nearest_of_what_may_be_seen(db: None, plan: Plan) -> None:
    with built(plan) as world:
        for name in NAMES:
            client, seen = client_of(world, name), plan.seen(name)
            for number in sorted(seen):
                found = read(client, f"/api/v1/assets/{world.assets[number].pk}/similar/", limit=50)[
                    "results"
                ]
                assert {each["asset"]["id"] for each in found} == world.ids(seen - {number})
                by_query = all_of(client, "/api/v1/assets/", q=f"similar:{world.assets[number].pk}")
                assert {each["id"] for each in by_query} <= world.ids(seen)
            for number in set(range(len(plan.pictures))) - seen:
                found = client.get("/api/v1/assets/", {"q": f"similar:{world.assets[number].pk}"})
                assert found.status_code == 200
                assert found.json()["results"] == []


@EXAMPLES
@example(plan=RICH)
@given(plan=plans())
def test_collections_albums_pairs_trash_and_history_are_those_of_the_person(db: None, plan: Plan) -> None:
    with built(plan) as world:
        for name in NAMES:
            client, seen = client_of(world, name), plan.seen(name)
            places = {
                world.collections[node].pk for node in range(len(plan.parents) + 1) if plan.level(name, node)
            }
            for number, place in enumerate(world.collections):
                there = 200 if plan.level(name, number) else 404
                assert client.get(f"/api/v1/collections/{place.pk}/").status_code == there
            assert {node["id"] for node in _flat(read(client, "/api/v1/collections/"))} == places
            albums = {each["id"] for each in all_of(client, "/api/v1/albums/")}
            assert albums == {world.albums[number].pk for number in plan.albums_seen(name)}
            pairs = {each["id"] for each in all_of(client, "/api/v1/duplicates/")}
            assert pairs == {pair.pk for pair, both in world.pairs if both <= seen}
            trash = {each["id"] for each in all_of(client, "/api/v1/trash/")}
            assert trash == {
                world.assets[number].pk
                for number, picture in enumerate(plan.pictures)
                if picture.trashed and _may_restore(plan, name, number)
            }
            told = {
                each["object_id"]
                for each in all_of(client, "/api/v1/history/")
                if each["object_type"] == "asset"
            }
            assert told == {
                asset.pk
                for number, asset in enumerate(world.assets)
                if plan.level(name, plan.pictures[number].node) >= MANAGE
            }


def _may_restore(plan: Plan, name: str, number: int) -> bool:
    level = plan.level(name, plan.pictures[number].node)
    return level >= CURATE or (level >= 3 and plan.pictures[number].owner == name)


def _flat(tree: Any) -> Iterator[dict[str, Any]]:
    nodes = tree["results"] if isinstance(tree, dict) else tree
    for node in nodes:
        yield node
        yield from _flat(node.get("children", []))
