"""Tags as people find them while they type."""

from __future__ import annotations

from dataclasses import dataclass

from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import OuterRef, QuerySet

from dam.assets.naming import normalise
from dam.assets.selectors import Person
from dam.search.counting import Count
from dam.search.tag_counts import tag_counts
from dam.tagging.models import Tag

_MAX_TEXT = 100

# One statement, for people wait for it between two letters. LIKE reads the vocabulary once; only the names of
# what it finds are looked at one by one. Normalised names hold no %, _ or |, so LIKE takes them literally.
_FITTING = """
SELECT tag.*, best.place, ARRAY(
    SELECT above.slug
    FROM tagging_tag_parents AS edge
    JOIN tagging_tag AS above ON above.id = edge.to_tag_id
    WHERE edge.from_tag_id = tag.id
    ORDER BY above.slug
) AS parent_slugs
FROM tagging_tag AS tag
CROSS JOIN LATERAL (
    SELECT place - 1 AS place,
        CASE WHEN name = %(typed)s THEN 0 WHEN starts_with(name, %(typed)s) THEN 2 ELSE 4 END
        + (place > 1)::integer AS worse
    FROM unnest(tag.lookup) WITH ORDINALITY AS known (name, place)
    WHERE starts_with(name, %(typed)s) OR strpos(name, %(word)s) > 0
    ORDER BY worse, place
    LIMIT 1
) AS best
WHERE tag.active AND '|' || array_to_string(tag.lookup, '|') LIKE ANY (%(patterns)s)
ORDER BY best.worse, best.place, tag.lookup[1] COLLATE "C", tag.id
LIMIT %(limit)s
"""


@dataclass(frozen=True, slots=True)
class TagSuggestion:
    """A tag that what was typed may become; ``matched`` is the synonym that did, if it was not the name."""

    tag: Tag
    matched: str
    count: Count | None


def suggest_tags(*, user: Person, text: str, limit: int = 10) -> list[TagSuggestion]:
    """Tags of which a word begins with the text: exact names first, then names, then synonyms.

    Each with ``parent_slugs``, as :func:`with_parents`, and how many assets that the user may see have it:
    exact in a small library, an estimate or none in a large one.
    """
    typed = normalise(text[:_MAX_TEXT])
    if not typed:
        return []
    word = f" {typed}"
    asked = {"typed": typed, "word": word, "patterns": [f"%|{typed}%", f"%{word}%"], "limit": limit}
    tags = list(Tag.objects.raw(_FITTING, asked))
    counted = tag_counts(user, [tag.pk for tag in tags]) if tags else {}
    return [TagSuggestion(tag=tag, matched=_matched(tag), count=counted.get(tag.pk)) for tag in tags]


def with_parents(tags: QuerySet[Tag]) -> QuerySet[Tag]:
    """Each with ``parent_slugs``, those of the tags right above it, in alphabetical order."""
    above = Tag.objects.filter(children=OuterRef("pk")).order_by("slug").values("slug")
    return tags.annotate(parent_slugs=ArraySubquery(above))


def _matched(tag: Tag) -> str:
    place: int = vars(tag)["place"]
    if place == 0:
        return ""
    fitting = tag.lookup[place]
    return next((synonym for synonym in tag.synonyms if normalise(synonym)[:100] == fitting), fitting)
