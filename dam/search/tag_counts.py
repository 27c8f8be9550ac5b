"""How many pictures have a tag, as a hint beside its name while somebody types: quick before all else."""

from __future__ import annotations

from collections.abc import Iterable

from django.db import connection
from django.db.models import Count as CountRows
from django.db.models import Q, QuerySet

from dam.assets.models import Asset
from dam.assets.selectors import Person, assets_visible_to
from dam.search.counting import Count
from dam.search.sampling import small_sample

_ENOUGH = 12
"""So many in the sample say how many there are, in two figures; fewer are counted, up to a bound."""
RARE_BOUND = 100


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
    return counts | _bounded(visible, rare)


def _bounded(visible: QuerySet[Asset], tag_ids: Iterable[int]) -> dict[int, Count]:
    """One statement for all, in which each tag is a constant: the planner takes its index for each."""
    statements, parameters = [], []
    for pk in tag_ids:
        rows = visible.filter(tag_ids__contains=[pk]).order_by().values("pk")[: RARE_BOUND + 1]
        statement, values = rows.query.sql_with_params()
        statements.append(f"SELECT {int(pk)}, count(*) FROM ({statement}) AS one_tag")  # noqa: S608 - Django wrote it
        parameters += values
    if not statements:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(" UNION ALL ".join(statements), parameters)
        return {
            pk: Count(min(number, RARE_BOUND), exact=number <= RARE_BOUND) for pk, number in cursor.fetchall()
        }
