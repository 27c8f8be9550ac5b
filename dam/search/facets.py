"""What a search can be narrowed by: the values that its pictures have, each with how many have it.

All facets come from one pass over what the search finds, or over a sample of it (``sampling``). A value is a
term of the search language, so choosing it is adding the term to the query.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from django.contrib.auth.models import User
from django.core.exceptions import EmptyResultSet
from django.db import connection
from django.db.models import QuerySet

from dam.assets.models import Asset, Collection
from dam.assets.rights import licence_name
from dam.assets.selectors import Person, assets_visible_to, collections_with
from dam.search.compile import compile_query
from dam.search.counting import Count
from dam.search.language_fields import TYPES
from dam.search.sampling import Sample, sample_for
from dam.search.terms import term
from dam.tagging.models import Tag

TAGS = 40
_VALUES = 20
_CLAIMS_LOOKED_AT = 1_000
"""Of more pictures than that, not all are asked whether they need a review: it is estimated."""
_YEARS = 60


@dataclass(frozen=True, slots=True)
class FacetValue:
    """A value that pictures of the search have."""

    term: str
    """In the search language: ``tag:dog``; with a dash before it, everything else."""
    label: str
    count: Count
    all_have_it: bool = False
    """Every picture of the search has it: without it nothing would be left."""


@dataclass(frozen=True, slots=True)
class Facet:
    """One way to narrow a search; its values begin with the most frequent, years with the newest."""

    name: str
    label: str
    values: list[FacetValue]


@dataclass(frozen=True, slots=True)
class Facets:
    """What a search finds, by all its facets; facets without any value are left out."""

    total: Count
    facets: list[Facet]
    estimated: bool
    """The counts are scaled from a part of the pictures; a rare value may be missing."""


def facets_of(*, user: Person, query: str = "") -> Facets:
    """The facets of a search, of what the person may see. Two to four statements, and the names.

    Raises:
        SearchError: the query cannot be understood.
    """
    rows = assets_visible_to(user).filter(compile_query(query, user=user).condition)
    sample = sample_for(rows)
    found, total = _counted(sample.of(rows))
    facets = []
    for name, label, values_of in _FACETS:
        counts = found.get(name, {})
        values = [
            FacetValue(term, text, sample.count(number), all_have_it=number == total)
            for term, text, number in values_of(counts, user)
        ]
        if name == "state":
            values += _needing_review(found.get("needs-review", {}), sample)
        if values:
            facets.append(Facet(name=name, label=label, values=values))
    return Facets(total=_total(sample, total), facets=facets, estimated=not sample.is_everything)


def _needing_review(steps: Counts, sample: Sample) -> list[FacetValue]:
    """Every so manieth picture was looked at; a value at most."""
    return [
        FacetValue(
            term("state", "needs-review"),
            "needs-review",
            replace(sample, share=sample.share / int(step)).count(number),
        )
        for step, number in steps.items()
    ]


def _total(sample: Sample, found: int) -> Count:
    return sample.count(found) if found or sample.is_everything else Count(0, exact=False, estimated=True)


# --------------------------------------------------------------- one pass

_COLUMNS = (
    "id",
    "tag_ids",
    "media_type",
    "width",
    "height",
    "colours",
    "camera",
    "taken_at",
    "collection_id",
    "uploaded_by_id",
    "licence",
    "state",
)

# OFFSET 0: the planner would ask after the claims of all, and leave most of them out then.
_ALL_AT_ONCE = """
WITH found AS MATERIALIZED ({rows})
SELECT 'total', NULL, count(*) FROM found
UNION ALL (
    SELECT 'tag', tag::text, count(*) AS number FROM (SELECT unnest(tag_ids) FROM found) AS tags (tag)
    GROUP BY tag ORDER BY number DESC, tag LIMIT {tags}
)
UNION ALL SELECT 'type', media_type, count(*) FROM found GROUP BY media_type
UNION ALL SELECT 'orientation', side, count(*) FROM (
    SELECT CASE WHEN width > height THEN 'landscape' WHEN width < height THEN 'portrait' ELSE 'square' END
    FROM found
) AS sides (side) GROUP BY side
UNION ALL SELECT 'colour', colour, count(*) FROM (SELECT unnest(colours) FROM found) AS all_of_them (colour)
    GROUP BY colour
UNION ALL SELECT 'camera', camera, count(*) FROM found WHERE camera <> '' GROUP BY camera
UNION ALL SELECT 'year', year::text, count(*) FROM (
    SELECT extract(year FROM taken_at AT TIME ZONE 'UTC') FROM found WHERE taken_at IS NOT NULL
) AS years (year) GROUP BY year
UNION ALL SELECT 'collection', collection_id::text, count(*) FROM found GROUP BY collection_id
UNION ALL SELECT 'uploader', uploaded_by_id::text, count(*) FROM found
    WHERE uploaded_by_id IS NOT NULL GROUP BY uploaded_by_id
UNION ALL SELECT 'licence', licence, count(*) FROM found WHERE licence <> '' GROUP BY licence
UNION ALL SELECT 'state', state, count(*) FROM found GROUP BY state
UNION ALL SELECT 'state', 'untagged', count(*) FROM found WHERE tag_ids = '{{}}' HAVING count(*) > 0
UNION ALL SELECT 'needs-review', step::text, count(*) FROM (
    SELECT id, step FROM found, (SELECT 1 + count(*) / {looked_at} FROM found) AS steps (step)
    WHERE abs(hashint8(id)::bigint) %% step = 0 OFFSET 0
) AS asked
WHERE (
    SELECT true FROM tagging_claim AS claim
    WHERE claim.asset_id = asked.id AND claim.state = 'suggested' LIMIT 1
) GROUP BY step
"""

Counts = Mapping[str, int]
_Value = tuple[str, str, int]


def _counted(rows: QuerySet[Asset]) -> tuple[dict[str, dict[str, int]], int]:
    """Facet → value → number, and the number of all."""
    try:
        statement, parameters = rows.values(*_COLUMNS).query.sql_with_params()
    except EmptyResultSet:
        return {}, 0
    found: dict[str, dict[str, int]] = {}
    total = 0
    with connection.cursor() as cursor:
        cursor.execute(
            _ALL_AT_ONCE.format(rows=statement, tags=TAGS, looked_at=_CLAIMS_LOOKED_AT), parameters
        )
        for name, value, number in cursor.fetchall():
            if name == "total":
                total = number
            else:
                found.setdefault(name, {})[value] = number
    return found, total


# -------------------------------------------------------------------- names


def _most(values: Iterable[_Value], limit: int = _VALUES) -> list[_Value]:
    return sorted(values, key=lambda value: (-value[2], value[1].casefold()))[:limit]


def _tags(counts: Counts, _user: Person) -> list[_Value]:
    rows = Tag.objects.filter(pk__in=[int(pk) for pk in counts]).exclude(kind=Tag.Kind.UNNAMED)
    tags = rows.order_by().values_list("pk", "slug", "name")
    return _most(((term("tag", slug), name, counts[str(pk)]) for pk, slug, name in tags), TAGS)


def _types(counts: Counts, _user: Person) -> list[_Value]:
    names = {media_type: name for name, media_type in TYPES.items()} | {"image/heif": "heic"}
    sums: dict[str, int] = {}
    for media_type, number in counts.items():
        if media_type in names:
            sums[names[media_type]] = sums.get(names[media_type], 0) + number
    return _most((term("type", name), name.upper(), number) for name, number in sums.items())


def _words(field: str) -> Callable[[Counts, Person], list[_Value]]:
    def values(counts: Counts, _user: Person) -> list[_Value]:
        return _most((term(field, value), value, number) for value, number in counts.items())

    return values


def _licences(counts: Counts, _user: Person) -> list[_Value]:
    return _most((term("licence", value), licence_name(value), number) for value, number in counts.items())


def _cameras(counts: Counts, _user: Person) -> list[_Value]:
    return _most((term("camera", value), value, number) for value, number in counts.items())


def _years(counts: Counts, _user: Person) -> list[_Value]:
    newest_first = sorted(counts, key=int, reverse=True)
    return [(term("taken", year), year, counts[year]) for year in newest_first][:_YEARS]


def _collections(counts: Counts, user: Person) -> list[_Value]:
    """Each with all that lies below it, as the term finds it; only those that the person may know of."""
    rows = list(collections_with(user).values_list("pk", "path", "name"))
    paths = {path: counts.get(str(pk), 0) for pk, path, _ in rows}
    sums: dict[str, int] = dict.fromkeys(paths, 0)
    step = Collection.steplen
    for path, number in paths.items():
        for end in range(step, len(path) + 1, step):
            if number and path[:end] in sums:
                sums[path[:end]] += number
    return _most((term("collection", str(pk)), name, sums[path]) for pk, path, name in rows if sums[path])


def _uploaders(counts: Counts, _user: Person) -> list[_Value]:
    people = User.objects.filter(pk__in=[int(pk) for pk in counts]).values_list("pk", "username")
    return _most((term("owner", name), name, counts[str(pk)]) for pk, name in people)


_FACETS: tuple[tuple[str, str, Callable[[Counts, Person], list[_Value]]], ...] = (
    ("tag", "Tags", _tags),
    ("type", "Type", _types),
    ("orientation", "Orientation", _words("orientation")),
    ("colour", "Colour", _words("color")),
    ("camera", "Camera", _cameras),
    ("year", "Year", _years),
    ("collection", "Collection", _collections),
    ("uploader", "Uploader", _uploaders),
    ("licence", "Licence", _licences),
    ("state", "Tagging", _words("state")),
)
