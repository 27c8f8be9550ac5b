"""How many pictures have a tag, as a hint beside its name while somebody types: quick before all else."""

from __future__ import annotations

from django.core.exceptions import EmptyResultSet
from django.db import connection
from django.db.models import BooleanField, Q, QuerySet
from django.db.models import Count as CountRows
from django.db.models.expressions import RawSQL

from dam.assets.models import Asset
from dam.assets.selectors import Person, assets_visible_to
from dam.search.counting import Count
from dam.search.fence import fenced
from dam.search.sampling import small_sample

_ENOUGH = 12
"""So many in the sample say how many there are, in two figures; fewer are counted, up to a bound."""
RARE_BOUND = 30
_HAVING = '"assets_asset"."tag_ids" @> ARRAY[wanted.tag]'
_OF_EACH = "SELECT tag, (SELECT count(*) FROM ({rows}) AS those) FROM unnest(%s::int[]) AS wanted (tag)"


def tag_counts(user: Person, tag_ids: list[int]) -> dict[int, Count]:
    """How many assets that a person may see have each of these tags.

    Exact in a small library. In a large one an estimate for tags that many pictures have; others are counted
    up to :data:`RARE_BOUND`.
    """
    visible = assets_visible_to(user)
    if not tag_ids:
        return {}
    sample = small_sample()
    numbers = {f"tag_{pk}": CountRows("pk", filter=Q(tag_ids__contains=[pk])) for pk in tag_ids}
    found = sample.of(visible).aggregate(**numbers)
    counts: dict[int, Count] = {}
    rare = []
    for pk in tag_ids:
        number = found[f"tag_{pk}"]
        if sample.is_everything or number >= _ENOUGH:
            counts[pk] = sample.count(number)
        else:
            rare.append(pk)
    return counts | (_bounded(visible, rare) if rare else {})


def _bounded(visible: QuerySet[Asset], tag_ids: list[int]) -> dict[int, Count]:
    """One statement for all, by the index of tags alone: what few have is quickly looked through."""
    having = RawSQL(_HAVING, (), output_field=BooleanField())  # noqa: S611 - a constant
    rows = fenced(visible, Asset.objects.filter(having)).order_by().values("pk")[: RARE_BOUND + 1]
    try:
        statement, parameters = rows.query.sql_with_params()
    except EmptyResultSet:
        return dict.fromkeys(tag_ids, Count(0, exact=True))
    with connection.cursor() as cursor:
        cursor.execute(_OF_EACH.format(rows=statement), [*parameters, tag_ids])
        return {
            pk: Count(min(number, RARE_BOUND), exact=number <= RARE_BOUND) for pk, number in cursor.fetchall()
        }
