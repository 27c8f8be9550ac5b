"""Reads for the pages that search has no part in. Pictures go through ``assets_visible_to`` as everywhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import groupby

from django.contrib.auth.models import User
from django.contrib.postgres.expressions import ArraySubquery
from django.core.exceptions import EmptyResultSet
from django.db import connection
from django.db.models import OuterRef, QuerySet, prefetch_related_objects
from django.utils import timezone
from knox.models import AuthToken

from dam.assets.addresses import rendition_url
from dam.assets.models import Asset
from dam.assets.selectors import assets_visible_to
from dam.jobs.models import TaggingJob
from dam.library.wording import waiting_text
from dam.tagging.claims import version_seen
from dam.tagging.models import Claim, ModelVersion, Tag

# Counting tags over a million pictures takes seconds; over the newest ones it is as good for browsing.
TAG_SAMPLE = 20_000
COVERS = 24
# A tag's cover is the surest of its newest pictures, so many of them: to sort all claims of a frequent tag
# by their score would take a second.
_CANDIDATES = 60


@dataclass(frozen=True, slots=True)
class TagUse:
    """A tag and how many of the counted pictures have it; ``asset`` shows it best."""

    tag: Tag
    count: int
    asset: Asset | None = None


@dataclass(frozen=True, slots=True)
class TagGroup:
    """The tags of one first letter."""

    letter: str
    entries: list[TagUse]


@dataclass(frozen=True, slots=True)
class TagOverview:
    """The vocabulary as it occurs in the library."""

    covers: list[TagUse]
    groups: list[TagGroup]
    sampled: int | None
    """Over how many pictures was counted, if not over all."""


def tags_in_use(*, user: User, sample: int = TAG_SAMPLE, covers: int = COVERS) -> TagOverview:
    """Tags of the newest ``sample`` pictures with their counts, the most frequent ones with a picture."""
    newest = assets_visible_to(user).order_by("-id").values("tag_ids")[:sample]
    try:
        sql, params = newest.query.sql_with_params()
    except EmptyResultSet:  # they may see nothing at all
        return TagOverview(covers=[], groups=[], sampled=None)
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT tag_id, count(*) FROM ({sql}) AS newest, unnest(newest.tag_ids) AS tag_id "  # noqa: S608  # our own query set
            "GROUP BY tag_id ORDER BY count(*) DESC, tag_id",
            params,
        )
        counts: dict[int, int] = dict(cursor.fetchall())
    tags = Tag.objects.in_bulk(counts)
    uses = [TagUse(tag=tags[tag_id], count=count) for tag_id, count in counts.items()]
    by_letter = sorted(uses, key=lambda use: (_letter(use.tag), use.tag.name.casefold()))
    return TagOverview(
        covers=_with_covers(uses[:covers], user),
        groups=[
            TagGroup(letter=letter, entries=list(entries))
            for letter, entries in groupby(by_letter, key=lambda use: _letter(use.tag))
        ],
        sampled=sample if len(assets_visible_to(user).values("pk")[: sample + 1]) > sample else None,
    )


def _letter(tag: Tag) -> str:
    first = tag.name[:1].upper()
    return first if first.isalpha() else "#"


def _with_covers(uses: list[TagUse], user: User) -> list[TagUse]:
    """Each with the surest of its newest pictures, and no picture twice as long as there are enough."""
    newest = (
        assets_visible_to(user)
        .filter(state=Asset.State.TAGGED, tag_ids__contains=[OuterRef("pk")])
        .order_by("-id")
    )
    wanted = [use.tag.pk for use in uses]
    candidates: dict[int, list[int]] = dict(
        Tag.objects.filter(pk__in=wanted)
        .annotate(candidates=ArraySubquery(newest.values("pk")[:_CANDIDATES]))
        .values_list("pk", "candidates")
    )
    sureness = _sureness({pk for picks in candidates.values() for pk in picks})
    taken: dict[int, int] = {}
    # Rare tags choose first: the frequent ones have more to choose from.
    for use in reversed(uses):
        picks = sorted(
            candidates.get(use.tag.pk, ()),
            key=lambda pk: (sureness.get((pk, use.tag.pk), (False, 0.0)), pk),
            reverse=True,
        )
        fresh = [pk for pk in picks if pk not in taken.values()]
        if picks:
            taken[use.tag.pk] = (fresh or picks)[0]
    assets = (
        assets_visible_to(user).select_related("current_version__blob").defer("words").in_bulk(taken.values())
    )
    return [
        TagUse(tag=use.tag, count=use.count, asset=assets[taken[use.tag.pk]])
        for use in uses
        if use.tag.pk in taken
    ]


def _sureness(asset_ids: set[int]) -> dict[tuple[int, int], tuple[bool, float]]:
    """(asset, tag) → how sure it is that the picture shows the tag: whether a person said so, and the score.

    A claim speaks for all tags above its own, too: who is sure of the beagle is sure of the dog.
    """
    found: dict[tuple[int, int], tuple[bool, float]] = {}
    claims = Claim.objects.filter(asset__in=asset_ids).exclude(state=Claim.State.REJECTED)
    for asset_id, tag_id, above, state, score in claims.values_list(
        "asset", "tag", "tag__ancestor_ids", "state", "score"
    ):
        sure = (state == Claim.State.ACCEPTED, score or 0.0)
        for shown in (tag_id, *above):
            found[asset_id, shown] = max(sure, found.get((asset_id, shown), sure))
    return found


def previews_of(*, user: User, ids: Sequence[int]) -> dict[int | None, str]:
    """Where the large pictures of these assets are, as far as they were made: pages load them ahead."""
    found = assets_visible_to(user).select_related("current_version__blob").defer("words").in_bulk(ids)
    addresses = {pk: rendition_url(asset, "preview") for pk, asset in found.items()}
    return {pk: address for pk, address in addresses.items() if address}


def claims_with_people(claims: list[Claim]) -> list[Claim]:
    """The same claims with who decided and which model suggested, in two queries."""
    prefetch_related_objects(claims, "decided_by", "model_version")
    return claims


def tagged_by(asset: Asset) -> ModelVersion | None:
    """The model version whose answer the asset's tags come from."""
    seen = version_seen(asset=asset)
    return None if seen is None else ModelVersion.objects.get(pk=seen)


def waiting_for(asset: Asset) -> str:
    """What a pending asset waits for, in a sentence."""
    job = (
        TaggingJob.objects.filter(
            asset=asset, state__in=(TaggingJob.State.QUEUED, TaggingJob.State.PUBLISHED)
        )
        .order_by("-generation")
        .first()
    )
    return waiting_text(job, age=timezone.now() - job.created_at if job else timedelta())


def tokens_of(user: User) -> QuerySet[AuthToken]:
    """The API tokens of a person, newest first."""
    tokens: QuerySet[AuthToken] = AuthToken.objects.filter(user=user).order_by("-created")
    return tokens
