"""A small library drawn at random, and what each person may see of it by walking the tree by hand.

Nothing here asks ``dam.assets.selectors``: what the library shows is compared with this.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import cached_property

import numpy as np
from django.contrib.auth.models import Group, User
from django.utils import timezone
from hypothesis import strategies as st

from dam.assets.models import Album, AlbumEntry, Asset, Collection, Grant
from dam.assets.services import root_collection
from dam.assets.words import asset_words_write
from dam.audit.models import AuditEntry
from dam.curation.models import DuplicatePair
from dam.search.models import SavedSearch
from dam.sharing.models import Share
from dam.tagging.models import EMBEDDING_DIMENSIONS, Likeness, Tag
from tests.dam.factories import AssetFactory, TagFactory, UserFactory

VIEW, DOWNLOAD, CONTRIBUTE, CURATE, MANAGE = range(1, 6)
NAMES = ("ulf", "vera", "wim")
EVERYBODY, GROUP = "everybody", "group"
SUBJECTS = (*NAMES, GROUP, EVERYBODY)
TAGS = ("tabby", "beagle", "teapot")
CAMERAS = ("", "Canon EOS R5", "Nikon Z 8")
COLOURS = ("red", "teal", "grey")


@dataclass(frozen=True)
class Given:
    """One grant."""

    node: int
    subject: str
    level: int


@dataclass(frozen=True)
class Picture:
    """One asset."""

    node: int
    owner: str
    tags: frozenset[str]
    camera: str
    colour: str
    tall: bool
    trashed: bool
    expired: bool
    embargoed: bool
    place: int
    """Where it lies among the pictures that look alike."""

    @property
    def usable(self) -> bool:
        return not self.expired and not self.embargoed


@dataclass(frozen=True)
class Plan:
    """Everything that is drawn. Collection 0 is the root; each other lies in one before it."""

    parents: tuple[int, ...]
    grants: tuple[Given, ...]
    members: frozenset[str]
    pictures: tuple[Picture, ...]
    albums: tuple[tuple[str, frozenset[int]], ...]

    def level(self, name: str, node: int) -> int:
        """The most that a person may do in a collection; 0: they may not know of it."""
        best = 0
        while True:
            for given in self.grants:
                mine = given.subject in {name, EVERYBODY} or (given.subject == GROUP and name in self.members)
                if given.node == node and mine:
                    best = max(best, given.level)
            if node == 0:
                return best
            node = self.parents[node - 1]

    def seen(self, name: str, level: int = VIEW) -> set[int]:
        """Numbers of the pictures that a person may see (or more), the trash left out."""
        return {
            number
            for number, picture in enumerate(self.pictures)
            if not picture.trashed and self.level(name, picture.node) >= level
        }

    def downloadable(self, name: str) -> set[int]:
        """Whose originals a person may fetch."""
        usable = {number for number in self.seen(name, DOWNLOAD) if self.pictures[number].usable}
        return usable | self.seen(name, MANAGE)

    def albums_seen(self, name: str) -> set[int]:
        """Albums that a person may know of."""
        seen = self.seen(name)
        return {number for number, (owner, held) in enumerate(self.albums) if owner == name or held & seen}


def plans() -> st.SearchStrategy[Plan]:
    """Libraries of up to five collections and ten pictures."""

    @st.composite
    def draw_plan(draw: st.DrawFn) -> Plan:
        nodes = draw(st.integers(2, 5))
        parents = tuple(draw(st.integers(0, number)) for number in range(nodes - 1))
        node = st.integers(0, nodes - 1)
        grants = draw(
            st.lists(
                st.builds(Given, node, st.sampled_from(SUBJECTS), st.integers(VIEW, MANAGE)),
                min_size=1,
                max_size=6,
                unique_by=lambda given: (given.node, given.subject),
            )
        )
        rarely = st.sampled_from((False, False, False, True))
        pictures = draw(
            st.lists(
                st.builds(
                    Picture,
                    node=node,
                    owner=st.sampled_from(NAMES),
                    tags=st.frozensets(st.sampled_from(TAGS)),
                    camera=st.sampled_from(CAMERAS),
                    colour=st.sampled_from(COLOURS),
                    tall=st.booleans(),
                    trashed=rarely,
                    expired=rarely,
                    embargoed=rarely,
                    place=st.integers(0, 5),
                ),
                min_size=3,
                max_size=10,
            )
        )
        albums = draw(
            st.lists(
                st.tuples(
                    st.sampled_from(NAMES), st.frozensets(st.integers(0, len(pictures) - 1), max_size=3)
                ),
                max_size=3,
            )
        )
        return Plan(
            parents=parents,
            grants=tuple(grants),
            members=draw(st.frozensets(st.sampled_from(NAMES))),
            pictures=tuple(pictures),
            albums=tuple(albums),
        )

    return draw_plan()


# Everybody sees something else: Ulf a branch by himself, Vera another by her group, Wim what everybody sees.
RICH = Plan(
    parents=(0, 0, 1),
    grants=(
        Given(2, EVERYBODY, VIEW),
        Given(1, "ulf", MANAGE),
        Given(3, GROUP, CURATE),
        Given(2, "wim", DOWNLOAD),
    ),
    members=frozenset({"vera"}),
    pictures=tuple(
        Picture(
            node=node,
            owner=NAMES[node % 3],
            tags=frozenset({TAGS[node % 3]}),
            camera=CAMERAS[node % 3],
            colour=COLOURS[node % 3],
            tall=node % 2 == 0,
            trashed=trashed,
            expired=node == 1,
            embargoed=node == 3,
            place=node,
        )
        for node in range(4)
        for trashed in (False, True)
    ),
    albums=(("ulf", frozenset({0, 2})), ("vera", frozenset({6})), ("wim", frozenset())),
)


@dataclass
class World:
    """A plan in the database. Names are words that occur nowhere else, so that a page betrays itself."""

    plan: Plan
    users: dict[str, User] = field(default_factory=dict)
    collections: list[Collection] = field(default_factory=list)
    assets: list[Asset] = field(default_factory=list)
    albums: list[Album] = field(default_factory=list)
    pairs: list[tuple[DuplicatePair, set[int]]] = field(default_factory=list)

    @classmethod
    def build(cls, plan: Plan) -> World:
        """Fill an empty library."""
        world = cls(plan)
        world.users = {name: UserFactory(username=name, is_staff=True) for name in NAMES}
        group = Group.objects.create(name="the-few")
        group.user_set.set([world.users[name] for name in plan.members])
        world._fill_collections(group)
        world._fill_pictures()
        world._fill_what_belongs_together()
        return world

    def _fill_collections(self, group: Group) -> None:
        root = root_collection()
        Grant.objects.all().delete()
        self.collections = [root]
        for number, parent in enumerate(self.plan.parents, start=1):
            above = Collection.objects.get(pk=self.collections[parent].pk)
            made = Collection.objects.add_child(above, create_kwargs={"name": f"veiled{number}x"})
            self.collections.append(made)
        for given in self.plan.grants:
            Grant.objects.create(
                collection=self.collections[given.node],
                user=self.users.get(given.subject),
                group=group if given.subject == GROUP else None,
                level=given.level,
            )

    def _fill_pictures(self) -> None:
        animal = TagFactory(name="animal", kind="ancestor")
        tags = {name: TagFactory(name=name, parents=[animal] if name != "teapot" else []) for name in TAGS}
        today = timezone.now().date()
        for number, picture in enumerate(self.plan.pictures):
            asset = AssetFactory(
                collection=self.collections[picture.node],
                filename=f"hushed{number}x.jpg",
                title=f"whispered{number}x",
                camera=picture.camera,
                colours=[picture.colour],
                width=300 if picture.tall else 400,
                height=400 if picture.tall else 300,
                taken_at=datetime(2020 + number % 3, 1 + number, 1, tzinfo=UTC),
                uploaded_by=self.users[picture.owner],
                tags=[tags[name] for name in sorted(picture.tags)],
                trashed_at=timezone.now() if picture.trashed else None,
                expires_on=today - timedelta(days=1) if picture.expired else None,
                embargo_until=today + timedelta(days=1) if picture.embargoed else None,
                licence=f"licensed{number}x",
                renditions={
                    name: {"key": f"k{number}", "media_type": "image/jpeg", "width": 4, "height": 3}
                    for name in ("grid", "preview")
                },
            )
            Likeness.objects.create(
                asset=asset,
                embedding_id="space-1",
                embedding=_embedding(picture.place, number),
                fingerprint=picture.place,
                bands=[picture.place, 1 << 16, 2 << 16, 3 << 16],
            )
            AuditEntry.objects.create(
                action="asset.edit",
                object_type="asset",
                object_id=asset.pk,
                object_name=f"hushed{number}x.jpg",
                collection_id=asset.collection_id,
            )
            self.assets.append(asset)
        asset_words_write(asset_ids=[asset.pk for asset in self.assets])

    def _fill_what_belongs_together(self) -> None:
        for number, (owner, held) in enumerate(self.plan.albums):
            album = Album.objects.create(name=f"muted{number}x", owner=self.users[owner])
            AlbumEntry.objects.bulk_create(
                AlbumEntry(album=album, asset=self.assets[each]) for each in sorted(held)
            )
            self.albums.append(album)
        for first in range(0, len(self.assets) - 1, 2):
            pair = DuplicatePair.objects.create(
                first=self.assets[first], second=self.assets[first + 1], distance=1
            )
            self.pairs.append((pair, {first, first + 1}))
        for name, user in self.users.items():
            SavedSearch.objects.create(owner=user, name=f"calm-{name}-x", query="tag:animal", shared=False)
            Share.objects.create(
                key=f"silent-{name}-key-which-is-long-enough",
                kind="collection",
                collection=self.collections[0],
                title=f"silent-{name}-x",
                may_download=True,
                created_by=user,
            )

    # ------------------------------------------------------------------ asked

    @cached_property
    def numbers(self) -> dict[int, int]:
        """Asset's id → its number in the plan."""
        return {asset.pk: number for number, asset in enumerate(self.assets)}

    @cached_property
    def tags(self) -> dict[str, Tag]:
        return {tag.slug: tag for tag in Tag.objects.all()}

    def ids(self, numbers: set[int]) -> set[int]:
        """Ids of assets by their numbers."""
        return {self.assets[number].pk for number in numbers}

    def secrets_of(self, name: str, *, trash: bool = False) -> list[str]:
        """Words that may stand on nothing that this person is shown."""
        plan = self.plan
        seen = plan.seen(name)
        if trash:
            seen = seen | {
                number
                for number, picture in enumerate(plan.pictures)
                if picture.trashed and plan.level(name, picture.node) >= VIEW
            }
        hidden = set(range(len(plan.pictures))) - seen
        words = [
            word
            for number in hidden
            for word in (f"hushed{number}x", f"whispered{number}x", f"licensed{number}x")
        ]
        words += [
            f"veiled{number}x" for number in range(1, len(plan.parents) + 1) if not plan.level(name, number)
        ]
        known = plan.albums_seen(name)
        words += [f"muted{number}x" for number in range(len(plan.albums)) if number not in known]
        words += [f"calm-{other}-x" for other in NAMES if other != name]
        return words


def _embedding(place: int, number: int) -> np.ndarray:
    """A direction near others of that place, of unit length."""
    vector = np.zeros(EMBEDDING_DIMENSIONS, dtype=np.float32)
    vector[place] = 1.0
    vector[20 + number] = 0.01 * (number + 1)
    return vector / np.linalg.norm(vector)


def today() -> date:
    return timezone.now().date()
